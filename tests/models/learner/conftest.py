"""A synthetic shop: six archetypes with heavy tails over the features a model sees, and a learner that has met it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from models.catalogue import MODEL_FEATURES
from models.learner.config import LearnerConfig
from models.learner.learner import Learner

FEATURES = MODEL_FEATURES

# Typical values in the order of FEATURES: share, then how such a customer looks. Money in minor units.
ARCHETYPES = {
    "loyals": (0.18, (3, 12, 6, 30_000, 2, 20, 60, 4, 3, 2, 1, 4, 5_000, 0.3, 0.6, 30, 0)),
    "whales": (0.06, (5, 15, 9, 400_000, 3, 15, 40, 5, 2, 3, 0, 3, 45_000, 0.4, 0.7, 25, 0)),
    "window": (0.28, (4, 365, 0, 0, 0, 25, 70, 0.2, 4, 0, 2, 5, 0, 0.05, 0.1, 40, 0)),
    "one_timers": (0.24, (170, 180, 0.5, 2_500, 0.02, 0, 0.3, 0, 0, 0, 0, 0, 5_000, 0.2, 0.5, 3, 0)),
    "abandoners": (0.14, (2, 365, 0, 0, 0, 8, 15, 5, 1, 2, 0, 2, 0, 0.6, 0.05, 9, 12_000)),
    "newcomers": (0.10, (0.5, 365, 0, 0, 0, 2, 2, 0, 0.5, 0, 0, 1, 0, 0.1, 0.2, 2, 0)),
}


@dataclass(frozen=True)
class Shop:
    vectors: NDArray[np.float64]
    archetype: NDArray[np.int64]


def open_shop(customers: int, seed_of_shop: int, noise: float = 0.5) -> Shop:
    """Draw customers; equal arguments, equal shop."""
    rng = np.random.default_rng(seed_of_shop)
    shares, typical = zip(*ARCHETYPES.values(), strict=True)
    archetype = rng.choice(len(shares), customers, p=shares)
    middle = np.array(typical, np.float64)[archetype]
    vectors = middle * rng.lognormal(0.0, noise, middle.shape)
    # Small counts: somebody has one where typically there is none.
    vectors += (middle == 0) * (rng.random(middle.shape) < 0.1) * rng.integers(1, 3, middle.shape)
    vectors[:, 1] = np.minimum(vectors[:, 1], 365.0)
    return Shop(vectors, archetype)


@pytest.fixture(scope="session")
def shop() -> Callable[..., Shop]:
    return open_shop


@pytest.fixture
def config() -> LearnerConfig:
    return LearnerConfig(FEATURES, k=6)


@pytest.fixture
def taught(config: LearnerConfig) -> Learner:
    """A learner that has seeded itself and learnt from 5,000 customers."""
    vectors = open_shop(5_000, 11).vectors
    learner = Learner(config)
    learner.add(vectors[:1_000], 1_000)
    learner.settle(learner.due().run())
    learner.add(vectors[1_000:], 2_000)
    return learner

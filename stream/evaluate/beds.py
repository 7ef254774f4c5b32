"""Synthetic customers whose kind is known: six archetypes, eight features, heavy tails, three levels of noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.transform import Floats

FEATURES = ("recency_days", "orders", "spend", "views", "cart_adds", "sessions", "order_value", "view_to_order")
NOISES = (1.0, 1.3, 1.6)

# Share, then medians: days, orders, spend, views, cart adds, sessions, order value, orders per view.
_KINDS = (
    (0.20, (5, 8, 400, 60, 12, 20, 50, 0.13)),
    (0.04, (4, 20, 6000, 120, 30, 35, 300, 0.17)),
    (0.26, (8, 0.2, 5, 80, 3, 25, 5, 0.003)),
    (0.22, (150, 1, 45, 5, 1.2, 2, 45, 0.2)),
    (0.16, (12, 0.5, 20, 30, 10, 10, 40, 0.02)),
    (0.12, (60, 3, 120, 15, 4, 5, 40, 0.2)),
)
_SIGMAS = (0.5, 0.4, 0.55, 0.45, 0.45, 0.45, 0.4, 0.3)


@dataclass(frozen=True, slots=True)
class Bed:
    """N customers, in the order in which they come."""

    vectors: Floats
    """(N, 8) raw."""
    kind: NDArray[np.int64]
    """(N,) archetype."""


def bed(count: int, noise: float, seed: int, moved: float = 0.0) -> Bed:
    """Draw customers; equal arguments, equal bed. `moved` (0 to 1) shifts three of the six archetypes."""
    rng = np.random.default_rng((seed, round(noise * 10)))
    shares, medians = zip(*_KINDS, strict=True)
    logs = np.log(np.array(medians, np.float64))
    logs[[0, 2, 5]] += moved * np.array(
        [[1.5, -1.0, -1.0, 0.5, 0, 0, 0, 0], [0, 2, 2, -1, 1, -1, 1, 1], [-1, 0, 1, 1, 1, 1, 1, 0]]
    )
    kind = rng.choice(len(shares), count, p=shares)
    tails = rng.normal(size=(count, 8)) * np.where(rng.random((count, 8)) < 0.1, 1.8, 1.0)
    vectors = np.exp(logs[kind] + noise * np.array(_SIGMAS) * tails)
    whole = [1, 3, 4, 5]
    vectors[:, whole] = np.floor(vectors[:, whole] + rng.random((count, len(whole))))
    vectors[:, 7] = (vectors[:, 1] + 2 * 0.05) / (vectors[:, 3] + 2)
    return Bed(vectors, kind.astype(np.int64))

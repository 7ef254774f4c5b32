"""The challenger: looks in the last vectors for a model that is better than the one that serves.

Two candidates, both with the scale measured anew: the serving centroids continued by Lloyd's iteration, and fresh ones.
All are judged on vectors that neither was made from. A continuation keeps every segment where it is and only needs to
be a little better; a fresh one may turn everything over, so it needs 2 % against *both* others, or segments would hop
between solutions that are as good as each other (measured: up to a tenth of all customers every time).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.learner.identity import in_space_of
from models.learner.kmeans import lloyd, squared_distances
from models.learner.seeding import Seeding, seed
from models.transform import Floats, Transform

HELD_OUT = 4
"""Every so many-th vector judges and is not learnt from."""

FRESH_GAIN = 0.02
"""Least share of the held-out squared error that fresh centroids must save."""

REFINED_GAIN = 0.005
"""The same for the serving centroids continued."""

SURE = 3.0
"""Standard errors by which a gain must differ from nothing."""

RESTARTS = 5


@dataclass(frozen=True, slots=True)
class Challenge:
    """How it ended."""

    winner: Literal["serving", "refined", "fresh"]
    seeding: Seeding | None
    """The winner, finished on all the vectors; None where the serving model stays."""
    gain: float
    """Share of the serving model's held-out squared error that the better candidate saves; below 0 if it loses."""


def challenge(
    vectors: Floats, transform: Transform, centroids: Floats, rng: np.random.Generator, restarts: int = RESTARTS
) -> Challenge:
    """Let two candidates challenge (k, F) centroids that serve under `transform`, on (N, F) raw vectors, N >= 8.

    A refined winner has the serving centroids' rows, in their order. Pure: the generator is all its randomness.
    """
    judge = np.arange(len(vectors)) % HELD_OUT == HELD_OUT - 1
    fresh = seed(vectors[~judge], len(centroids), rng, clip=transform.clip, restarts=restarts)
    scale = fresh.transform
    learnt, judges = scale.apply(vectors[~judge]), scale.apply(vectors[judge])
    serving = in_space_of(scale, transform, centroids)
    refined = lloyd(learnt, serving)[0]
    # The serving model assigns by its own scale: one that is out of date costs it here.
    assigned = squared_distances(transform.apply(vectors[judge]), centroids).argmin(axis=1)
    errors = [squared_distances(judges, serving)[np.arange(len(judges)), assigned]]
    errors += [squared_distances(judges, some).min(axis=1) for some in (refined, fresh.centroids)]
    gains = [_gain(errors[0], other) for other in errors[1:]]
    best = max(gains)
    if fresh.k == len(centroids) and gains[1] >= FRESH_GAIN and _gain(errors[1], errors[2]) >= FRESH_GAIN:
        return Challenge("fresh", _finished(vectors, scale, fresh.centroids), best)
    if gains[0] >= REFINED_GAIN:
        return Challenge("refined", _finished(vectors, scale, refined), best)
    return Challenge("serving", None, best)


def _gain(before: Floats, after: Floats) -> float:
    """Share of squared errors saved; what could be chance counts as nothing."""
    saved = before - after
    mean = float(saved.mean())
    if mean > 0.0 and mean < SURE * float(saved.std()) / np.sqrt(len(saved)):
        return 0.0
    return mean / max(float(before.mean()), 1e-12)


def _finished(vectors: Floats, scale: Transform, centroids: Floats) -> Seeding:
    """Run on over the vectors that judged, too."""
    scaled = scale.apply(vectors)
    found, labels, inertia = lloyd(scaled, centroids)
    return Seeding(scale, found, np.bincount(labels, minlength=len(found)), len(found), inertia, 0.0)

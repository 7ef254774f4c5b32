"""What other numbers of segments would look like. Reported; the number is the shop's choice and never changed here.

Measured on customers with six known kinds: silhouette picks five, other scores five to twelve. So no score may choose;
but a segment of hardly anybody, or one that half the customers would not confirm, is worth a warning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.learner.agreement import adjusted_rand
from models.learner.kmeans import squared_distances
from models.learner.seeding import seed
from models.transform import Floats
from schemas.snapshot import CLUSTERS_MAX, CLUSTERS_MIN

AROUND = 2
"""Numbers below and above the present one that are looked at."""

SMALL = 0.02
"""A segment with a smaller share of the customers is a sign of too many segments."""

RESTARTS = 4

AROUND_MIN = 4
"""Vectors that can be cut in halves of which each can be clustered."""


@dataclass(frozen=True, slots=True)
class KReading:
    """One number of segments, tried on the same vectors as the others."""

    k: int
    silhouette: float
    smallest_share: float
    stability: float
    """Adjusted Rand index of the labels that two halves of the vectors, clustered apart, give to all of them."""

    @property
    def over_segmented(self) -> bool:
        """Whether some segment is under SMALL."""
        return self.smallest_share < SMALL


def look_around(vectors: Floats, k: int, rng: np.random.Generator) -> tuple[KReading, ...]:
    """Try k - 2 to k + 2 segments, within what a snapshot allows, on (N, F) raw vectors, N >= AROUND_MIN."""
    tried = range(max(CLUSTERS_MIN, k - AROUND), min(CLUSTERS_MAX, k + AROUND) + 1)
    return tuple(_try(vectors, one, rng) for one in tried)


def _try(vectors: Floats, k: int, rng: np.random.Generator) -> KReading:
    whole = seed(vectors, k, rng, restarts=RESTARTS)
    order = rng.permutation(len(vectors))
    halves = [seed(vectors[order[part::2]], k, rng, restarts=RESTARTS) for part in (0, 1)]
    labels = [squared_distances(half.transform.apply(vectors), half.centroids).argmin(axis=1) for half in halves]
    smallest = float(whole.counts.min()) / len(vectors) if whole.k == k else 0.0
    return KReading(k, whole.silhouette, smallest, adjusted_rand(*labels))

"""The first centroids: k-means++ and Lloyd, many restarts, from a warm-up of feature vectors.

River's own initialisation draws centres at random and many of them never win a customer; this replaces it. Restarts
and the tie-break matter: real customers have several optima within a percent of each other, and among those the one
with the better silhouette is the one people recognise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.learner.kmeans import Labels, lloyd, plus_plus
from models.learner.silhouette import sampled
from models.transform import CLIP, Floats, Transform

RESTARTS = 20
TIE = 0.005
"""Solutions within this share of the best squared error count as equal; the silhouette decides among them."""


@dataclass(frozen=True, slots=True)
class Seeding:
    """What a warm-up of N vectors gave. Immutable and picklable, so it may be made in another thread or process."""

    transform: Transform
    centroids: Floats
    """(k, F), scaled space, in an order that means nothing."""
    counts: Labels
    """(k,) warm-up vectors nearest to each."""
    k_wanted: int
    """What was asked for; `k` is less where the warm-up has fewer distinct vectors."""
    inertia: float
    """Sum of squared distances to the nearest centroid."""
    silhouette: float
    """Of the chosen solution on the sample, -1..1; 0 where there is only one cluster."""

    @property
    def k(self) -> int:
        """Number of centroids found."""
        return len(self.centroids)


def seed(vectors: Floats, k: int, rng: np.random.Generator, *, clip: float = CLIP, restarts: int = RESTARTS) -> Seeding:
    """Scale and cluster (N, F) raw finite vectors, N >= 1, k >= 1. A pure function of its arguments.

    With fewer than k distinct vectors there is one centroid for each. Raises ValueError on a table that is empty or not
    finite.
    """
    transform = Transform.fit(vectors, clip)
    scaled = transform.apply(vectors)
    # Rounded: what differs by less than the noise of a squared distance is one point.
    distinct = np.unique(scaled.round(6), axis=0)
    solutions = [lloyd(scaled, plus_plus(scaled, min(k, len(distinct)), rng)) for _ in range(restarts)]
    best = min(inertia for _, _, inertia in solutions)
    tied = [solution for solution in solutions if solution[2] <= best * (1 + TIE) + 1e-9]
    scores = sampled(scaled, [labels for _, labels, _ in tied], rng)
    chosen = int(np.argmax(scores))
    centroids, labels, inertia = tied[chosen]
    counts = np.bincount(labels, minlength=len(centroids))
    return Seeding(transform, centroids, counts, k, float(inertia), scores[chosen])

"""The first centroids: k-means++ and Lloyd, many restarts, from a warm-up of feature vectors.

River's own initialisation draws centres at random and many of them never win a customer; this replaces it. Restarts
and the tie-break matter: real customers have several optima within one percent of each other, and among those the one
with the better silhouette is the one people recognise.

k-means++: Arthur & Vassilvitskii 2007, "k-means++: The Advantages of Careful Seeding".
Silhouette: Rousseeuw 1987.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.transform import CLIP, Floats, Transform

RESTARTS = 20
LLOYD_STEPS_MAX = 100
TIE = 0.01
"""Solutions within this share of the best squared error count as equal; the silhouette decides among them."""

SILHOUETTE_SAMPLE = 500
"""Silhouette needs all pairs: this bounds them at a quarter of a million."""

Labels = NDArray[np.int64]


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
    solutions = [_lloyd(scaled, _plus_plus(scaled, min(k, len(distinct)), rng)) for _ in range(restarts)]
    best = min(inertia for _, _, inertia in solutions)
    tied = [solution for solution in solutions if solution[2] <= best * (1 + TIE) + 1e-9]
    sample = rng.permutation(len(scaled))[:SILHOUETTE_SAMPLE]
    scores = _silhouettes(scaled[sample], [labels[sample] for _, labels, _ in tied])
    chosen = int(np.argmax(scores))
    centroids, labels, inertia = tied[chosen]
    counts = np.bincount(labels, minlength=len(centroids))
    return Seeding(transform, centroids, counts, k, float(inertia), scores[chosen])


def squared_distances(points: Floats, centroids: Floats) -> Floats:
    """(N, k) squared distances of (N, F) to (k, F), never negative."""
    cross = points @ (-2.0 * centroids.T)
    cross += np.einsum("ij,ij->i", points, points)[:, None]
    cross += np.einsum("ij,ij->i", centroids, centroids)
    squared: Floats = np.maximum(cross, 0.0, out=cross)
    return squared


def sums_by_label(points: Floats, labels: Labels, k: int) -> tuple[Floats, Floats]:
    """(k, F) sums and (k,) counts of the points of each label."""
    member = np.zeros((k, len(points)))
    member[labels, np.arange(len(points))] = 1.0
    return member @ points, member.sum(axis=1)


def _plus_plus(points: Floats, k: int, rng: np.random.Generator) -> Floats:
    """Draw k starting centroids from the points, each with probability proportional to its squared distance so far."""
    chosen = [int(rng.integers(len(points)))]
    nearest = squared_distances(points, points[chosen])[:, 0]
    while len(chosen) < k:
        # What rounding leaves at a point already chosen must not be drawn again.
        nearest[nearest < 1e-12] = 0.0
        total = np.cumsum(nearest)
        if total[-1] <= 0.0:
            break
        drawn = int(total.searchsorted(rng.random() * total[-1], side="right"))
        chosen.append(min(drawn, len(points) - 1))
        np.minimum(nearest, squared_distances(points, points[chosen[-1:]])[:, 0], out=nearest)
    return points[chosen]


def _lloyd(points: Floats, centroids: Floats) -> tuple[Floats, Labels, float]:
    """Alternate assignment and means until no label changes; an empty cluster takes the worst placed point."""
    labels = np.full(len(points), -1, np.int64)
    rows = np.arange(len(points))
    for _ in range(LLOYD_STEPS_MAX):
        squared = squared_distances(points, centroids)
        before, labels = labels, squared.argmin(axis=1)
        if np.array_equal(before, labels):
            break
        sums, counts = sums_by_label(points, labels, len(centroids))
        empty = np.flatnonzero(counts == 0)
        centroids = sums / np.maximum(counts, 1.0)[:, None]
        if len(empty):
            worst = squared[rows, labels].argsort()[::-1][: len(empty)]
            centroids[empty] = points[worst]
    squared = squared_distances(points, centroids)
    labels = squared.argmin(axis=1)
    return centroids, labels, float(squared[rows, labels].sum())


def _silhouettes(points: Floats, partitions: list[Labels]) -> list[float]:
    """Mean silhouette of each labelling of the same points; equal partitions are measured once.

    A point alone in its cluster counts 0, and a labelling with one cluster is 0 in all.
    """
    apart = np.sqrt(squared_distances(points, points))
    np.fill_diagonal(apart, 0.0)
    known: dict[bytes, float] = {}
    scores = []
    for labels in partitions:
        canonical = np.unique(labels, return_inverse=True)[1]
        _, first = np.unique(canonical, return_index=True)
        key = np.argsort(np.argsort(first))[canonical].astype(np.uint8).tobytes()
        if key not in known:
            known[key] = _silhouette(apart, canonical)
        scores.append(known[key])
    return scores


def _silhouette(apart: Floats, labels: Labels) -> float:
    k = int(labels.max()) + 1
    if k < 2:
        return 0.0
    rows = np.arange(len(labels))
    sums, counts = sums_by_label(apart, labels, k)
    own_count = counts[labels]
    within = sums[labels, rows] / np.maximum(own_count - 1.0, 1.0)
    means = sums / counts[:, None]
    means[labels, rows] = np.inf
    other = means.min(axis=0)
    widest = np.maximum(within, other)
    score = np.where((own_count > 1) & (widest > 0), (other - within) / np.maximum(widest, 1e-300), 0.0)
    return float(score.mean())

"""k-means on arrays: distances, sums by label, k-means++ and Lloyd's iteration.

k-means++: Arthur & Vassilvitskii 2007, "k-means++: The Advantages of Careful Seeding".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.transform import Floats

LLOYD_STEPS_MAX = 100

Labels = NDArray[np.int64]


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


def plus_plus(points: Floats, k: int, rng: np.random.Generator) -> Floats:
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


def lloyd(points: Floats, centroids: Floats) -> tuple[Floats, Labels, float]:
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


def lloyd_weighted(points: Floats, weights: Floats, centroids: Floats) -> Floats:
    """(k, F) centroids after Lloyd's iteration over (N, F) points of (N,) weights; one without points stays."""
    labels = np.full(len(points), -1, np.int64)
    rows = np.arange(len(points))
    member = np.zeros((len(centroids), len(points)))
    for _ in range(LLOYD_STEPS_MAX):
        before, labels = labels, squared_distances(points, centroids).argmin(axis=1)
        if np.array_equal(before, labels):
            break
        member[:] = 0.0
        member[labels, rows] = weights
        mass = member.sum(axis=1, keepdims=True)
        centroids = np.where(mass > 0, member @ points / np.maximum(mass, 1e-300), centroids)
    return centroids

"""How well separated clusters are: the mean silhouette (Rousseeuw 1987), exact over all pairs of a sample."""

from __future__ import annotations

import numpy as np

from models.learner.kmeans import Labels, squared_distances, sums_by_label
from models.transform import Floats

SAMPLE = 1000
"""Silhouette needs all pairs: this bounds them at a million."""


def sampled(points: Floats, partitions: list[Labels], rng: np.random.Generator, size: int = SAMPLE) -> list[float]:
    """Mean silhouette of each labelling of the same points, on one sample of them."""
    sample = rng.permutation(len(points))[:size]
    return silhouettes(points[sample], [labels[sample] for labels in partitions])


def silhouettes(points: Floats, partitions: list[Labels]) -> list[float]:
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

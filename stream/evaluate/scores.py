"""How good a partition of customers is, alone and against batch k-means fitted to the same vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.learner.agreement import adjusted_rand
from models.learner.kmeans import Labels, lloyd, plus_plus, squared_distances, sums_by_label
from models.learner.silhouette import sampled, silhouettes
from models.transform import Floats

BATCH_RESTARTS = 10
SAMPLE = 2_000
"""Customers on whom silhouettes are taken: of all pairs."""


@dataclass(frozen=True, slots=True)
class Score:
    """One partition of N customers."""

    inertia: float
    """Sum of squared distances to the mean of the own segment."""
    silhouette: float
    davies_bouldin: float
    """Davies & Bouldin 1979: lower is better."""
    largest_share: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A partition beside batch k-means (k-means++, Lloyd, best of 10) of the same vectors in the same space."""

    ours: Score
    batch: Score
    agreement: float
    """Adjusted Rand index of the two."""

    @property
    def inertia_ratio(self) -> float:
        """1 is as good as batch."""
        return self.ours.inertia / max(self.batch.inertia, 1e-12)

    @property
    def silhouette_ratio(self) -> float:
        """1 is as good as batch."""
        return self.ours.silhouette / self.batch.silhouette if self.batch.silhouette > 0 else 1.0


def batch_labels(scaled: Floats, k: int, rng: np.random.Generator, restarts: int = BATCH_RESTARTS) -> Labels:
    """(N,) labels of batch k-means on (N, F) scaled vectors: the best of so many restarts by squared error."""
    best: tuple[float, Labels] | None = None
    for _ in range(restarts):
        _, labels, inertia = lloyd(scaled, plus_plus(scaled, k, rng))
        if best is None or inertia < best[0]:
            best = inertia, labels
    assert best is not None
    return best[1]


def compare(scaled: Floats, labels: Labels, k: int, rng: np.random.Generator) -> Comparison:
    """Compare (N,) labels with batch k-means on (N, F) scaled vectors."""
    batch = batch_labels(scaled, k, rng)
    ours, theirs = sampled(scaled, [labels, batch], rng, SAMPLE)
    return Comparison(score(scaled, labels, ours), score(scaled, batch, theirs), adjusted_rand(labels, batch))


def score(scaled: Floats, labels: Labels, silhouette: float | None = None) -> Score:
    """Score (N,) labels of (N, F) scaled vectors; the silhouette is taken on the first SAMPLE where it is not given."""
    if silhouette is None:
        silhouette = silhouettes(scaled[:SAMPLE], [labels[:SAMPLE]])[0]
    dense = np.unique(labels, return_inverse=True)[1]
    k = int(dense.max()) + 1
    sums, counts = sums_by_label(scaled, dense, k)
    means = sums / counts[:, None]
    errors = np.square(scaled - means[dense]).sum(axis=1)
    spread = np.bincount(dense, np.sqrt(errors), k) / counts
    apart = np.sqrt(squared_distances(means, means))
    np.fill_diagonal(apart, np.inf)
    worst = ((spread[:, None] + spread) / np.maximum(apart, 1e-12)).max(axis=1)
    return Score(float(errors.sum()), silhouette, float(worst.mean()), float(counts.max() / counts.sum()))

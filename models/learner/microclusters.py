"""Feeding River's CluStream: micro-clusters follow the vectors, and centroids follow the micro-clusters.

Of River's CluStream only the online part is used, with two changes that its defaults need (measured): the radius factor
is 2 sqrt(F), because its radius leaves the factor out and most vectors would force a merge; and the macro step is a
weighted k-means from the present centroids instead of one pass of a random k-means that forgets the weights.

CluStream: Aggarwal, Han, Wang, Yu 2003, "A framework for clustering evolving data streams".
"""

from __future__ import annotations

import numpy as np
from river import cluster

from models.learner.kmeans import lloyd_weighted, squared_distances
from models.transform import Floats

MICRO_CLUSTERS = 60
"""Bounds memory and the cost of a vector."""

NEVER = 2**62
"""River's own macro step is put off for ever."""


class MicroClusters:
    """k centroids that are the weighted k-means of at most MICRO_CLUSTERS micro-clusters."""

    def __init__(self, centroids: Floats, weights: Floats, floor: float) -> None:
        """Start from (k, F) centroids that have seen (k,) vectors; micro-clusters of the last 5 / floor vectors count.

        Until so many vectors have come, the given centroids count for those that are missing.
        """
        k, width = centroids.shape
        self.weights = weights.astype(np.float64)
        self._centroids = centroids.astype(np.float64)
        self._window = max(1, round(5.0 / floor))
        total = max(float(self.weights.sum()), 1.0)
        self._anchors = self._centroids.copy()
        self._anchor_shares = np.maximum(self.weights, 1.0) / total
        self._fed = 0
        self._stream = cluster.CluStream(
            n_macro_clusters=k,
            max_micro_clusters=max(MICRO_CLUSTERS, 2 * k),
            micro_cluster_r_factor=2.0 * np.sqrt(width),
            time_window=self._window,
            time_gap=NEVER,
        )

    @property
    def centroids(self) -> Floats:
        """(k, F) centroids as they are now; a copy."""
        return self._centroids.copy()

    def feed(self, scaled: Floats) -> None:
        """Learn (N, F) scaled finite vectors; then move the centroids once."""
        if not len(scaled):
            return
        labels = squared_distances(scaled, self._centroids).argmin(axis=1)
        self.weights += np.bincount(labels, minlength=len(self._centroids))
        for row in scaled.tolist():
            self._stream.learn_one(dict(enumerate(row)))
        self._fed += len(scaled)
        micro = list(self._stream.micro_clusters.values())
        points = np.array([list(one.center.values()) for one in micro])
        counts = np.array([one.weight for one in micro], np.float64)
        missing = max(0, self._window - self._fed)
        if missing:
            points = np.concatenate((points, self._anchors))
            counts = np.concatenate((counts, missing * self._anchor_shares))
        self._centroids = lloyd_weighted(points, counts, self._centroids)

"""Feeding River's KMeans, warm-started, a block of vectors at a time.

`learn_one` of a mean with the step 1 - (1 - floor)^n moves a centre as n single steps of `floor` would (the centres of
both ways differ by .005 standard deviations), at a twentieth of the cost. The step never falls under n / N, the exact
running mean over all N vectors a centre has seen, so that a young centre settles fast; the floor keeps an old one able
to follow its customers.

Sequential k-means: MacQueen 1967; a step per centre: Sculley 2010, "Web-Scale K-Means Clustering".
"""

from __future__ import annotations

import numpy as np
from river import cluster

from models.learner.kmeans import Labels, squared_distances, sums_by_label
from models.transform import Floats

BLOCK = 256
"""Vectors per step."""


class Feeder:
    """k centres in scaled space that follow the vectors fed to them."""

    def __init__(self, centroids: Floats, weights: Floats, floor: float) -> None:
        """Start from (k, F) centroids that have seen (k,) vectors; 0 < floor < 1 is the least step of one vector."""
        self.floor = floor
        self.weights = weights.astype(np.float64)
        self._centroids = centroids.astype(np.float64)
        self._kmeans = cluster.KMeans(n_clusters=len(centroids), halflife=floor)
        # Plain dicts: River's own would draw a random coordinate for any key they lack. Keys are positions, not names,
        # because River walks a set of them: the order of a set of strings changes with PYTHONHASHSEED.
        self._kmeans.centers = {row: dict(enumerate(values)) for row, values in enumerate(self._centroids.tolist())}

    @property
    def centroids(self) -> Floats:
        """(k, F) centres as they are now; a copy."""
        return self._centroids.copy()

    def assign(self, scaled: Floats) -> Labels:
        """(N,) row of the nearest centre of each of (N, F) scaled vectors."""
        labels: Labels = squared_distances(scaled, self._centroids).argmin(axis=1)
        return labels

    def feed(self, scaled: Floats) -> None:
        """Learn (N, F) scaled finite vectors, N at most BLOCK, in one step per centre that has any of them."""
        sums, counts = sums_by_label(scaled, self.assign(scaled), len(self._centroids))
        for row in np.flatnonzero(counts).tolist():
            count = float(counts[row])
            self.weights[row] += count
            self._kmeans.halflife = max(1.0 - (1.0 - self.floor) ** count, count / float(self.weights[row]))
            # The mean of a centre's own members is nearest to it, unless a centre moved in this very block came
            # nearer; River then moves that one, as it would have for a single vector.
            self._kmeans.learn_one(dict(enumerate((sums[row] / count).tolist())))
        self._centroids = np.array([list(center.values()) for center in self._kmeans.centers.values()])

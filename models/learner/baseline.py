"""How far customers are today from those the model was adopted on: PSI, centroid shift, novelty. All reported only.

Population stability index: sum of (p - q) ln(p / q) over bins. By convention under .1 is no change, over .2 a big one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from models.learner.kmeans import squared_distances
from models.transform import Floats

BINS = 10

FAR_QUANTILE = 0.99
"""A vector is far from every centroid if it is farther than this share of the vectors at adoption was."""


@dataclass(frozen=True, slots=True)
class Shift:
    """The last vectors against those at adoption."""

    psi_features: Floats
    """(F,)"""
    psi_shares: float
    centroid_shift: Floats
    """(k,) how far each centroid has moved, standard deviations."""
    novelty_share: float
    """Share of vectors that are far from every centroid; .01 at adoption."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a window of vectors looked like when a model was adopted."""

    edges: tuple[Floats, ...]
    """Inner bounds of each feature's bins: its deciles, less repeated ones."""
    bins: tuple[Floats, ...]
    """Vectors of each feature's bins."""
    members: Floats
    """(k,) vectors of each segment."""
    centroids: Floats
    far: float
    """Distance past which a vector is far."""

    @classmethod
    def of(cls, scaled: Floats, centroids: Floats) -> Self:
        """Describe (N, F) scaled vectors, N >= 1, under (k, F) centroids."""
        inner = np.linspace(0.0, 1.0, BINS + 1)[1:-1]
        edges = tuple(np.unique(np.quantile(column, inner)) for column in scaled.T)
        bins = tuple(_binned(column, some) for column, some in zip(scaled.T, edges, strict=True))
        squared = squared_distances(scaled, centroids)
        members = np.bincount(squared.argmin(axis=1), minlength=len(centroids)).astype(np.float64)
        far = float(np.sqrt(np.quantile(squared.min(axis=1), FAR_QUANTILE)))
        return cls(edges, bins, members, centroids.copy(), far)

    def compare(self, scaled: Floats, centroids: Floats) -> Shift:
        """Compare (N, F) vectors and (k, F) centroids of today, in the same scaled space."""
        columns = zip(scaled.T, self.edges, self.bins, strict=True)
        psi_features = np.array([psi(_binned(column, edges), before) for column, edges, before in columns])
        squared = squared_distances(scaled, centroids)
        members = np.bincount(squared.argmin(axis=1), minlength=len(centroids)).astype(np.float64)
        moved = np.sqrt(np.square(centroids - self.centroids).sum(axis=1))
        novelty = float((squared.min(axis=1) > self.far**2).mean())
        return Shift(psi_features, psi(members, self.members), moved, novelty)


def psi(today: Floats, before: Floats) -> float:
    """Measure the population stability index of two (B,) tables of counts, half a count added to each bin.

    >>> before = np.array([50.0, 50.0])
    >>> psi(before, before), round(psi(np.array([80.0, 20.0]), before), 2)
    (0.0, 0.41)
    """
    p = (today + 0.5) / (today + 0.5).sum()
    q = (before + 0.5) / (before + 0.5).sum()
    return float(((p - q) * np.log(p / q)).sum())


def _binned(column: Floats, edges: Floats) -> Floats:
    return np.bincount(np.searchsorted(edges, column, side="left"), minlength=len(edges) + 1).astype(np.float64)

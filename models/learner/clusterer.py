"""What follows the customers between two seedings: one protocol, River's KMeans (the default) and its CluStream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, Protocol

from models.learner.feeding import Feeder
from models.learner.microclusters import MicroClusters
from models.transform import Floats

ClustererName = Literal["kmeans", "clustream"]


class Clusterer(Protocol):
    """k centroids in scaled space that follow the vectors fed to them; row i stays the same cluster.

    Memory is bounded, nothing given is kept or changed, and the same vectors give the same centroids in every process.
    """

    weights: Floats
    """(k,) vectors that each centroid has seen."""

    @property
    def centroids(self) -> Floats:
        """(k, F) as they are now; a copy. There from the start: assigning needs no learning first."""

    def feed(self, scaled: Floats) -> None:
        """Learn (N, F) scaled finite vectors, N at most `feeding.BLOCK`."""


CLUSTERERS: Mapping[ClustererName, Callable[[Floats, Floats, float], Clusterer]] = MappingProxyType(
    {"kmeans": Feeder, "clustream": MicroClusters}
)
"""Name -> what makes one of (k, F) centroids, the (k,) vectors they have seen, and the least step of one vector."""

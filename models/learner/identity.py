"""Segments keep their identity when the model is seeded again: new centroids inherit the ids of those they match.

Matching is the assignment of least total distance (Kuhn 1955, the "Hungarian method"), in one common space: the old
centroids are taken back to raw features and through the new transform, because two scalers' spaces do not compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from models.learner.seeding import squared_distances
from models.transform import Floats, Transform


@dataclass(frozen=True, slots=True)
class Succession:
    """Which id each new centroid has, and what became of the old ones."""

    ids: tuple[int, ...]
    """(k,) one id per new centroid, in their order."""
    kept: tuple[int, ...]
    """Old ids that live on, rising."""
    born: tuple[int, ...]
    """Ids never used before, rising."""
    died: tuple[int, ...]
    """Old ids that no new centroid inherits; never used again."""
    next_id: int
    """The next id never used."""


def first(k: int, next_id: int = 0) -> Succession:
    """Ids for k centroids without predecessors.

    >>> first(3, next_id=5).ids
    (5, 6, 7)
    """
    ids = tuple(range(next_id, next_id + k))
    return Succession(ids, (), ids, (), next_id + k)


def in_space_of(new: Transform, old: Transform, centroids: Floats) -> Floats:
    """(k, F) centroids of the old transform's space in the new one's."""
    moved: Floats = np.clip((centroids * old.scale + old.mean - new.mean) / new.scale, -new.clip, new.clip)
    return moved


def succeed(old: Floats, old_ids: Sequence[int], new: Floats, next_id: int) -> Succession:
    """Match (m, F) old centroids with their ids to (k, F) new ones in the same space.

    A match counts only if the new centroid is no farther from its predecessor than the predecessor's own nearest
    neighbour was: past that, customers would find the id of their segment on a different group of people, and an
    honest death and birth is better.

    >>> succeed(np.array([[0.0], [4.0]]), [3, 5], np.array([[4.1], [40.0], [0.2]]), next_id=6)
    Succession(ids=(5, 6, 3), kept=(3, 5), born=(6,), died=(), next_id=7)
    """
    distances = np.sqrt(squared_distances(old, new))
    reach = _reach(old)
    inherited: dict[int, int] = {}
    for row, column in zip(*linear_sum_assignment(distances), strict=True):
        if distances[row, column] <= reach[row]:
            inherited[int(column)] = int(old_ids[row])
    ids: list[int] = []
    born: list[int] = []
    for column in range(len(new)):
        if column not in inherited:
            born.append(next_id + len(born))
        ids.append(inherited[column] if column in inherited else born[-1])
    kept = sorted(inherited.values())
    died = sorted(set(old_ids) - set(kept))
    return Succession(tuple(ids), tuple(kept), tuple(born), tuple(died), next_id + len(born))


def _reach(centroids: Floats) -> Floats:
    """(m,) distance of each centroid to its nearest neighbour; without one, any distance will do."""
    apart = np.sqrt(squared_distances(centroids, centroids))
    np.fill_diagonal(apart, np.inf)
    nearest: Floats = apart.min(axis=1)
    return nearest

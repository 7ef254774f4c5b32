"""Segments keep their identity when the model is seeded again: new centroids inherit the ids of those they match.

Old and new centroids are matched by the members they share, over the same recent vectors: the assignment of greatest
total overlap (Kuhn 1955, the "Hungarian method"). What became of whom is told with published thresholds, after
Spiliopoulou et al. 2006, "MONIC: modeling and monitoring cluster transitions".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from models.learner.kmeans import Labels, squared_distances
from models.transform import Floats, Transform

KEPT = 0.3
"""A new segment has the id of an old one if shared members / members of either is at least this: half of one that was
split in two, or one that took in another of its own size, still counts as the same."""

SPLIT = 0.25
"""A new id came out of an old segment if it holds at least this share of that one's members, and is no farther from
it than its nearest neighbour was; else it was born."""

MERGED = 0.5
"""An old id went into a new segment if at least this share of its members is there; else it died."""

NEARNESS = 0.5
"""What being in the same place adds to the overlap of a pair when it is matched: of two halves, the one that did not
move keeps the id."""

NEAREST = 1e-6
"""Taken for the distance of centroids that coincide, as where all customers are alike."""
FARTHEST = 1e6
"""Reach of a segment that has no neighbour: any distance will do."""

MEMBERS_MIN = 5
"""With fewer members in the recent vectors a segment is matched by its place: a handful proves nothing."""


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments before or after, in one scaled space, and who of the same N recent vectors is in which."""

    centroids: Floats
    """(k, F)."""
    labels: Labels
    """(N,) row of each vector's segment."""


@dataclass(frozen=True, slots=True)
class Fate:
    """A birth or an end."""

    kind: Literal["born", "split", "died", "merged"]
    segment: int
    """The id that began (born, split) or ended (died, merged)."""
    other: int | None
    """The id it came out of (split) or went into (merged)."""
    overlap: float
    """Share of the old segment's members that are in the new one, 0..1; 0 for births and deaths."""


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
    """Old ids that no new centroid inherits, rising; never used again."""
    next_id: int
    """The next id never used."""
    fates: tuple[Fate, ...] = ()
    """One for each id that was born or died."""


def first(k: int, next_id: int = 0) -> Succession:
    """Ids for k centroids without predecessors.

    >>> first(3, next_id=5).ids
    (5, 6, 7)
    """
    ids = tuple(range(next_id, next_id + k))
    return Succession(ids, (), ids, (), next_id + k, tuple(Fate("born", one, None, 0.0) for one in ids))


def in_space_of(new: Transform, old: Transform, centroids: Floats) -> Floats:
    """(k, F) centroids of the old transform's space in the new one's."""
    moved: Floats = np.clip((centroids * old.scale + old.mean - new.mean) / new.scale, -new.clip, new.clip)
    return moved


def succeed(old: Segments, old_ids: Sequence[int], new: Segments, next_id: int) -> Succession:
    """Give the new segments ids: of their predecessors, or from `next_id` on. Neither side may be empty.

    >>> before = Segments(np.array([[0.0], [4.0]]), np.repeat([0, 1], 10))
    >>> after = Segments(np.array([[4.0], [0.0]]), np.repeat([1, 0], 10))
    >>> succeed(before, [3, 5], after, next_id=6).ids
    (5, 3)
    """
    shared, apart = _shared(old, new), _apart(old, new)
    likeness = _likeness(shared, apart)
    inherited = {
        column: int(old_ids[row]) for row, column in _matched(likeness, apart) if likeness[row, column] >= KEPT
    }
    ids: list[int] = []
    born: list[int] = []
    for column in range(len(new.centroids)):
        if column not in inherited:
            born.append(next_id + len(born))
        ids.append(inherited[column] if column in inherited else born[-1])
    kept = sorted(inherited.values())
    died = sorted(set(old_ids) - set(kept))
    fates = tuple(_fates(shared, apart, list(old_ids), ids, frozenset(kept)))
    return Succession(tuple(ids), tuple(kept), tuple(born), tuple(died), next_id + len(born), fates)


def go_on(old: Segments, old_ids: Sequence[int], new: Segments, next_id: int) -> Succession:
    """Give the old ids to as many centroids that the old ones were continued to: none begins, none ends.

    A centroid that a change drew to another's members goes on as that other.

    >>> before = Segments(np.array([[0.0], [4.0]]), np.repeat([0, 1], 10))
    >>> after = Segments(np.array([[4.0], [0.0]]), np.repeat([1, 0], 10))
    >>> go_on(before, [3, 5], after, next_id=6).ids
    (5, 3)
    """
    apart = _apart(old, new)
    ids = list(old_ids)
    for row, column in _matched(_likeness(_shared(old, new), apart), apart):
        ids[column] = int(old_ids[row])
    return Succession(tuple(ids), tuple(sorted(ids)), (), (), next_id)


def _matched(likeness: Floats, apart: Floats) -> list[tuple[int, int]]:
    """Pairs of an old row and a new one, of the greatest total overlap."""
    rows, columns = linear_sum_assignment(likeness + NEARNESS / (1.0 + apart), maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _apart(old: Segments, new: Segments) -> Floats:
    """(m, k) distances of old and new centroids, in those of each old one to its nearest neighbour."""
    distances = np.sqrt(squared_distances(old.centroids, new.centroids))
    apart: Floats = distances / np.clip(_reach(old.centroids), NEAREST, FARTHEST)[:, None]
    return apart


def _shared(old: Segments, new: Segments) -> Floats:
    """(m, k) vectors that are in old segment i and in new segment j."""
    m, k = len(old.centroids), len(new.centroids)
    return np.bincount(old.labels * k + new.labels, minlength=m * k).reshape(m, k).astype(np.float64)


def _likeness(shared: Floats, apart: Floats) -> Floats:
    """(m, k) shared members / members of either; by place, KEPT or nothing, where there are too few."""
    before, after = shared.sum(axis=1), shared.sum(axis=0)
    few = (before < MEMBERS_MIN)[:, None] | (after < MEMBERS_MIN)
    either = np.maximum(before[:, None] + after - shared, 1.0)
    likeness: Floats = np.where(few, KEPT * (apart <= 1.0), shared / either)
    return likeness


def _fates(
    shared: Floats, apart: Floats, old_ids: Sequence[int], new_ids: Sequence[int], kept: frozenset[int]
) -> Iterator[Fate]:
    gone_to = shared / np.maximum(shared.sum(axis=1, keepdims=True), 1.0)
    for column, segment in enumerate(new_ids):
        if segment not in kept:
            row = int(gone_to[:, column].argmax())
            overlap = float(gone_to[row, column])
            split = overlap >= SPLIT and bool(apart[row, column] <= 1.0)
            yield Fate("split" if split else "born", segment, old_ids[row] if split else None, overlap * split)
    for row, segment in enumerate(old_ids):
        if segment not in kept:
            column = int(gone_to[row].argmax())
            overlap = float(gone_to[row, column])
            merged = overlap >= MERGED
            yield Fate("merged" if merged else "died", segment, new_ids[column] if merged else None, overlap * merged)


def _reach(centroids: Floats) -> Floats:
    """(m,) distance of each centroid to its nearest neighbour, infinite without one."""
    apart = np.sqrt(squared_distances(centroids, centroids))
    np.fill_diagonal(apart, np.inf)
    nearest: Floats = apart.min(axis=1)
    return nearest

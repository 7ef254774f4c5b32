"""Which records change: the published part of a customer's row, updated for a group of customers at once.

A customer's record is published when it is new, when its segment moves, when its cart opens or closes, and when its
lifecycle or RFM scores change. `rev` counts
published records and fences Redis, `ver` counts segment changes and is what subscribers see, `record_seq` and
`change_seq` order both within the partition so that a new owner knows what may not have been sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.assign import Model, assign
from models.chances import Heads
from models.columns import COL
from models.standing import CHANCES, Yardsticks, standings
from models.why import moved_by, pack

REASONS = ("behaviour", "model", "time")
"""Why a segment changed; a row says the index."""
NO_SEGMENT = -1
NAME_BITS = 16


@dataclass(frozen=True, slots=True)
class Rules:
    """When a customer may move."""

    margin: float
    dwell_ms: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What a group's judgement changed."""

    published: NDArray[np.intp]
    """Positions in the group whose record must be written, rising."""
    moved: NDArray[np.intp]
    """Positions among them whose segment moved."""
    seq: int
    """The partition's sequence number after this group."""


@dataclass(frozen=True, slots=True)
class Naming:
    """Names of segments as indexes into the partition's list of names, by segment id."""

    index: dict[int, int]
    features: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(F,) the names of the model's features in the same list."""

    def pack(self, previous: NDArray[np.float64], current: NDArray[np.int64]) -> NDArray[np.float64]:
        """Both names in one exact float: previous * 2^16 + current; 0 is the empty name."""
        get = self.index.get
        return np.array(
            [(get(int(p), 0) << NAME_BITS) | get(int(c), 0) for p, c in zip(previous, current, strict=True)],
            dtype=np.float64,
        )

    def reasons(self, moved_by: NDArray[np.int64]) -> NDArray[np.float64]:
        """(T,) the features at (T, n) positions in one exact float each; position -1 is none."""
        if not len(self.features):
            return np.zeros(len(moved_by))
        return pack(np.where(moved_by < 0, 0, self.features[moved_by]))


def judge(
    rows: NDArray[np.float64],
    vectors: NDArray[np.float64] | None,
    cart_state: NDArray[np.float64],
    *,
    model: Model | None,
    yardsticks: Yardsticks | None = None,
    heads: Heads | None = None,
    naming: Naming,
    rules: Rules,
    reason: int,
    seq: int,
    epoch: int,
    now_ms: float,
    forced: NDArray[np.bool_] | None = None,
) -> Judged:
    """Judge the customers of `rows` (T, columns), in place; `vectors` (T, features) are theirs, aged to now.

    `forced` (T,): whose record is published in any case. Without a model no segment moves, but new customers and carts
    are still published.
    """
    current = rows[:, COL.segment].astype(np.int64)
    publish = (rows[:, COL.rev] == 0) | (rows[:, COL.cart_state] != cart_state)
    if forced is not None:
        publish |= forced
    rows[:, COL.cart_state] = cart_state
    if yardsticks is not None:
        standing = standings(rows, yardsticks, now_ms)
        publish |= rows[:, COL.standing] % CHANCES != standing
        rows[:, COL.standing] += standing - rows[:, COL.standing] % CHANCES
    moved = np.zeros(len(rows), dtype=bool)
    if model is not None and vectors is not None:
        found = assign(
            model, vectors, current, rows[:, COL.since], now_ms, margin=rules.margin, dwell_ms=rules.dwell_ms
        )
        moved = found.segment != current
        publish |= moved
        leaving = np.flatnonzero(moved)
        if len(leaving):
            why = naming.reasons(moved_by(model, vectors[leaving], current[leaving], found.segment[leaving]))
            rows[leaving, COL.change_why] = why
        _move(rows, leaving, found.segment, model.version, naming=naming, reason=reason, now_ms=now_ms)
        rows[publish, COL.confidence] = found.confidence[publish]
        if heads is not None:
            chances = heads.packed(vectors[publish])
            rows[publish, COL.standing] = rows[publish, COL.standing] % CHANCES + CHANCES * chances
    published = np.flatnonzero(publish)
    count = len(published)
    if count:
        sequence = np.arange(seq + 1, seq + count + 1, dtype=np.float64)
        rows[published, COL.record_seq] = sequence
        rows[published, COL.rev] += 1
        rows[published, COL.as_of] = now_ms
        rows[published, COL.epoch] = epoch
        shifted = np.flatnonzero(moved)
        rows[shifted, COL.change_seq] = rows[shifted, COL.record_seq]
        rows[shifted, COL.change_epoch] = epoch
    return Judged(published, np.flatnonzero(moved), seq + count)


def _move(
    rows: NDArray[np.float64],
    moved: NDArray[np.intp],
    segment: NDArray[np.int64],
    version: int,
    *,
    naming: Naming,
    reason: int,
    now_ms: float,
) -> None:
    if not len(moved):
        return
    previous = rows[moved, COL.segment]
    rows[moved, COL.previous] = previous
    rows[moved, COL.segment] = segment[moved]
    rows[moved, COL.names] = naming.pack(previous, segment[moved])
    rows[moved, COL.ver] += 1
    rows[moved, COL.since] = rows[moved, COL.last_seen] if REASONS[reason] == "behaviour" else now_ms
    rows[moved, COL.change_reason] = reason
    rows[moved, COL.change_model] = version

"""The newest 16 ids of each customer that was active lately: what makes a repeat a repeat.

An id is one uint64: minutes since 1990 (25 bits) over 39 bits of its hash, so that "newest 16" is a maximum, which any
order of arrival reaches. A repeat shares the 39 hash bits and lies within the window of minutes; a false one needs two
ids of one customer to agree in 39 bits within it: under 16 in 5.5e11 an event.

Forgetting is exact. An event in time is at most `LATE_MS` behind its topic, so once a customer's latest event lies more
than `LATE_MS` plus the window behind every topic, nothing that is still looked up can match what is stored.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.slots import grown

KEPT = 16
"""Ids kept of each customer."""
LATE_MS = 24 * 3_600_000
"""H: an event further behind the newest of its own topic partition is late, and not looked up."""
EVENT_WINDOW_MINUTES = 24 * 60
"""A resent event keeps its time, or is stamped again within the day."""
ORDER_WINDOW_MINUTES = 30 * 24 * 60
"""A confirmation page is reloaded days later."""

_EPOCH_1990_MS = 631_152_000_000
_HASH_BITS = np.uint64(39)
_HASH_MASK = np.uint64((1 << 39) - 1)
_BLOCK_BITS = 19
_BLOCK = 1 << _BLOCK_BITS
_ROUNDS = 4
"""Ids of one customer inserted one by one before the rest of the batch is inserted by sorting."""


class RecentIds:
    """Sparse pool of id sets: a customer's slot points to a row of 16 ids, 0 where there is none."""

    def __init__(self, window_minutes: int) -> None:
        self._window = window_minutes
        self._blocks: list[NDArray[np.uint64]] = []
        self._pointer: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._free: list[int] = []
        self._used = 0

    def __len__(self) -> int:
        return self._used - len(self._free)

    def grow(self, capacity: int) -> None:
        """Make room for slots below `capacity`."""
        self._pointer = grown(self._pointer, capacity, fill=-1)

    def admit(
        self, slots: NDArray[np.int64], row: NDArray[np.int64], time_ms: NDArray[np.int64], hashes: NDArray[np.uint64]
    ) -> NDArray[np.bool_] | None:
        """Which of N ids, in order of arrival, repeat one that is kept; the others are now kept.

        `slots` (T,) are distinct customers, `row` (N,) says whose each id is. None means that none repeats. The result
        is that of taking the ids one by one, however they are cut into calls.
        """
        pointers = self._ensure(slots)
        pool = self._take(pointers)
        values = pack(time_ms, hashes)
        known, slow = _judge(pool, row, values, self._window)
        if known is None and len(row) == len(slots):
            # Every customer has some id, so each has one.
            _replace_oldest(pool, row, values)
        elif known is None:
            _insert(pool, row, values)
        else:
            for each in slow:
                mine = np.flatnonzero(row == each)
                known[mine] = _one_by_one(pool, each, values[mine], self._window)
            fresh = np.flatnonzero(~known & ~np.isin(row, slow) if slow else ~known)
            _insert(pool, row[fresh], values[fresh])
        self._put(pointers, pool)
        return known

    def get(self, slot: int) -> list[int]:
        """Return the packed ids of one customer, newest first."""
        pointer = int(self._pointer[slot])
        if pointer < 0:
            return []
        ids = self._blocks[pointer >> _BLOCK_BITS][pointer & (_BLOCK - 1)]
        return sorted((int(value) for value in ids[ids > 0]), reverse=True)

    def load(
        self,
        slots: NDArray[np.int64],
        ids: NDArray[np.uint64],
        last_seen_ms: NDArray[np.float64],
        oldest_watermark_ms: int,
    ) -> None:
        """Set the (T, 16) ids of distinct customers, except where `prune` would forget them; all 0 forgets them."""
        some = ids.any(axis=1) & (last_seen_ms >= self._horizon_ms(oldest_watermark_ms))
        self._release(slots[~some])
        if some.any():
            self._put(self._ensure(slots[some]), ids[some])

    def gather(self, slots: NDArray[np.int64]) -> NDArray[np.uint64]:
        """(T, 16) ids, newest first, 0 where there is none."""
        ids = np.zeros((len(slots), KEPT), dtype=np.uint64)
        pointers = self._pointer[slots]
        there = np.flatnonzero(pointers >= 0)
        if there.size:
            ids[there] = np.sort(self._take(pointers[there]), axis=1)[:, ::-1]
        return ids

    def prune(self, last_seen_ms: NDArray[np.float64], oldest_watermark_ms: int) -> int:
        """Forget the sets of customers whose latest event is too old to matter; how many."""
        horizon = self._horizon_ms(oldest_watermark_ms)
        old = np.flatnonzero((self._pointer[: len(last_seen_ms)] >= 0) & (last_seen_ms < horizon))
        self._release(old)
        return len(old)

    def _horizon_ms(self, oldest_watermark_ms: int) -> int:
        # One minute more, because ids know their time to the minute.
        return oldest_watermark_ms - LATE_MS - (self._window + 1) * 60_000

    def _ensure(self, slots: NDArray[np.int64]) -> NDArray[np.int32]:
        pointers = self._pointer[slots]
        absent = pointers < 0
        if np.count_nonzero(absent):
            missing = np.flatnonzero(absent)
            reused = [self._free.pop() for _ in range(min(len(self._free), len(missing)))]
            fresh = range(self._used, self._used + len(missing) - len(reused))
            self._used += len(fresh)
            while self._used > len(self._blocks) * _BLOCK:
                # Zeroed memory is given by the system when first written: an unused block costs nothing.
                self._blocks.append(np.zeros((_BLOCK, KEPT), dtype=np.uint64))
            pointers[missing] = [*reused, *fresh]
            self._pointer[slots[missing]] = pointers[missing]
        return pointers

    def _release(self, slots: NDArray[np.int64]) -> None:
        pointers = self._pointer[slots]
        pointers = pointers[pointers >= 0]
        if pointers.size:
            self._put(pointers, np.zeros((len(pointers), KEPT), dtype=np.uint64))
            self._free.extend(pointers.tolist())
            self._pointer[slots] = -1

    def _take(self, pointers: NDArray[np.int32]) -> NDArray[np.uint64]:
        if len(self._blocks) == 1:
            return self._blocks[0].take(pointers, axis=0)
        ids = np.empty((len(pointers), KEPT), dtype=np.uint64)
        for number, block in enumerate(self._blocks):
            mine = np.flatnonzero(pointers >> _BLOCK_BITS == number)
            ids[mine] = block.take(pointers[mine] & (_BLOCK - 1), axis=0)
        return ids

    def _put(self, pointers: NDArray[np.int32], ids: NDArray[np.uint64]) -> None:
        if len(self._blocks) == 1:
            self._blocks[0][pointers] = ids
            return
        for number, block in enumerate(self._blocks):
            mine = np.flatnonzero(pointers >> _BLOCK_BITS == number)
            block[pointers[mine] & (_BLOCK - 1)] = ids[mine]


def pack(time_ms: NDArray[np.int64], hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One uint64 per id that orders by time: minutes since 1990 (to 2053, 25 bits) over 39 bits of hash.

    Events before 1990 are refused by their schema, and those of the future too.
    """
    minutes = ((time_ms - _EPOCH_1990_MS) // 60_000).view(np.uint64)
    return (minutes << _HASH_BITS) | (hashes & _HASH_MASK)


def merge(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(T, 16) newest ids of two (T, 16) sets."""
    both = np.sort(np.concatenate([left, right], axis=1), axis=1)[:, ::-1]
    both[:, 1:][both[:, 1:] == both[:, :-1]] = 0
    return np.sort(both, axis=1)[:, : KEPT - 1 : -1].copy()


def _judge(
    pool: NDArray[np.uint64], row: NDArray[np.int64], values: NDArray[np.uint64], window: int
) -> tuple[NDArray[np.bool_] | None, list[int]]:
    """Which ids are known, as if none were evicted within the batch, and the rows where one may have been."""
    hashes = values & _HASH_MASK
    equal = (pool & _HASH_MASK).take(row, axis=0) == hashes[:, None]
    key = (row.astype(np.uint64) << _HASH_BITS) | hashes
    ordered = np.sort(key)
    repeated = np.count_nonzero(ordered[1:] == ordered[:-1]) > 0
    if not repeated and not np.count_nonzero(equal):
        return None, []
    minutes = (values >> _HASH_BITS).astype(np.int64)
    anchor = np.zeros(len(values), dtype=np.uint64)
    hit = np.zeros(len(values), dtype=np.bool_)
    at, place = np.nonzero(equal)
    entry = pool[row[at], place]
    close = np.abs(minutes[at] - (entry >> _HASH_BITS).astype(np.int64)) <= window
    hit[at[close]] = True
    anchor[at[close]] = entry[close]
    known = hit.copy()
    doubtful = np.zeros(len(values), dtype=np.bool_)
    if repeated:
        order = np.argsort(key, kind="stable")
        starts = np.concatenate([[True], key[order][1:] != key[order][:-1]])
        first = order[np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))]
        later, first = order[~starts], first[~starts]
        known[later] = True
        anchor[later] = np.where(hit[later], anchor[later], values[first])
        # An id again outside the window, or half known: left to the exact way.
        doubtful[later] = (np.abs(minutes[later] - minutes[first]) > window) | (hit[later] != hit[first])
    arriving = np.bincount(row[~known], minlength=len(pool))
    which = np.flatnonzero(known)
    newer = (pool[row[which]] > anchor[which, None]).sum(axis=1)
    doubtful[which] |= arriving[row[which]] + newer > KEPT - hit[which]
    return known, np.unique(row[doubtful]).tolist()


def _one_by_one(pool: NDArray[np.uint64], row: int, values: NDArray[np.uint64], window: int) -> list[bool]:
    """Apply the definition itself, for a customer whose ids may evict each other within one batch."""
    kept = [int(value) for value in pool[row] if value]
    known: list[bool] = []
    for value in values.tolist():
        low, minute = value & int(_HASH_MASK), value >> 39
        known.append(any(e & int(_HASH_MASK) == low and abs((e >> 39) - minute) <= window for e in kept))
        if not known[-1]:
            kept = sorted([*kept, value], reverse=True)[:KEPT]
    pool[row] = kept + [0] * (KEPT - len(kept))
    return known


def _insert(pool: NDArray[np.uint64], row: NDArray[np.int64], values: NDArray[np.uint64]) -> None:
    """Put new ids in place of the oldest of their row, in place, if they are newer."""
    mark = np.empty(len(pool), dtype=np.int64)
    for _ in range(_ROUNDS):
        if not row.size:
            return
        positions = np.arange(len(row))
        mark[row] = positions
        chosen = mark[row] == positions
        _replace_oldest(pool, row[chosen], values[chosen])
        row, values = row[~chosen], values[~chosen]
    if row.size:
        order = np.lexsort((values, row))
        row, values = row[order], values[order]
        last = np.concatenate([np.flatnonzero(row[1:] != row[:-1]), [len(row) - 1]])
        rank = np.repeat(last, np.diff(last, prepend=-1)) - np.arange(len(row))
        newest = rank < KEPT
        add = np.zeros((len(last), KEPT), dtype=np.uint64)
        add[np.cumsum(np.diff(row, prepend=row[0]) > 0)[newest], rank[newest]] = values[newest]
        mine = row[last]
        pool[mine] = np.sort(np.concatenate([pool[mine], add], axis=1), axis=1)[:, KEPT:]


def _replace_oldest(pool: NDArray[np.uint64], row: NDArray[np.int64], values: NDArray[np.uint64]) -> None:
    """One new id for each of distinct rows."""
    at = row * KEPT + pool.take(row, axis=0).argmin(axis=1)
    flat = pool.reshape(-1)
    flat[at] = np.maximum(flat[at], values)

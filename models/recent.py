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

from models.compiled import compiled
from models.slots import grown, read, write

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


class RecentIds:
    """Sparse pool of id sets: a customer's slot points to a row of 16 ids, 0 where there is none."""

    def __init__(self, window_minutes: int) -> None:
        self._window = window_minutes
        self._blocks: list[NDArray[np.uint64]] = []
        self._pointer: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._free: list[int] = []
        # Row 0 is nobody's and stays empty: who has no ids points there.
        self._used = 1

    def __len__(self) -> int:
        return self._used - 1 - len(self._free)

    def grow(self, capacity: int) -> None:
        """Make room for slots below `capacity`."""
        self._pointer = grown(self._pointer, capacity)

    def get(self, slot: int) -> list[int]:
        """Return the packed ids of one customer, newest first."""
        pointer = int(self._pointer[slot])
        if pointer == 0:
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
        self.put(slots[some], ids[some])

    def gather(self, slots: NDArray[np.int64]) -> NDArray[np.uint64]:
        """(T, 16) ids, newest first, 0 where there is none."""
        return np.sort(self.take(slots), axis=1)[:, ::-1]

    def take(self, slots: NDArray[np.int64]) -> NDArray[np.uint64]:
        """(T, 16) copy of the ids, as `admit` keeps them: in no order, 0 where there is none."""
        pointers, ids = self._pointer[slots], np.zeros((len(slots), KEPT), dtype=np.uint64)
        for number, block in enumerate(self._blocks):
            read(block, number << _BLOCK_BITS, pointers, ids)
        return ids

    def put(self, slots: NDArray[np.int64], ids: NDArray[np.uint64]) -> None:
        """Set the (T, 16) ids of distinct customers; who has none (all 0) takes no room."""
        pointers = self._pointer[slots]
        new = _homeless(pointers, ids)
        if new.size:
            pointers[new] = self._reserve(len(new))
            self._pointer[slots[new]] = pointers[new]
        for number, block in enumerate(self._blocks):
            write(block, number << _BLOCK_BITS, pointers, ids)

    def prune(self, last_seen_ms: NDArray[np.float64], oldest_watermark_ms: int) -> int:
        """Forget the sets of customers whose latest event is too old to matter; how many."""
        horizon = self._horizon_ms(oldest_watermark_ms)
        old = np.flatnonzero((self._pointer[: len(last_seen_ms)] > 0) & (last_seen_ms < horizon))
        self._release(old)
        return len(old)

    def move(self, source: int, target: int) -> None:
        """Forget the set of slot `target`, and give it that of `source`, which then has none; the same slot: forget."""
        self._release(np.array([target]))
        if source != target:
            self._pointer[target], self._pointer[source] = self._pointer[source], 0

    def _horizon_ms(self, oldest_watermark_ms: int) -> int:
        # One minute more, because ids know their time to the minute.
        return oldest_watermark_ms - LATE_MS - (self._window + 1) * 60_000

    def _reserve(self, count: int) -> list[int]:
        """Pointers to rows that nobody has."""
        reused = [self._free.pop() for _ in range(min(len(self._free), count))]
        fresh = range(self._used, self._used + count - len(reused))
        self._used += len(fresh)
        while self._used > len(self._blocks) * _BLOCK:
            # Zeroed memory is given by the system when first written: an unused block costs nothing.
            self._blocks.append(np.zeros((_BLOCK, KEPT), dtype=np.uint64))
        return [*reused, *fresh]

    def _release(self, slots: NDArray[np.int64]) -> None:
        self._free.extend(pointer for pointer in self._pointer[slots].tolist() if pointer > 0)
        self._pointer[slots] = 0


@compiled
def admit(kept: NDArray[np.uint64], time_ms: int, id_hash: np.uint64, window_minutes: int) -> bool:
    """Whether an id repeats one of the 16 `kept`; if not it takes the place of the oldest, should it be newer.

    An id is packed so that it orders by time. Events before 1990 are refused by their schema, and those of the future
    too.
    """
    minute, low = (time_ms - _EPOCH_1990_MS) // 60_000, id_hash & _HASH_MASK
    oldest = 0
    for place in range(KEPT):
        known = kept[place]
        if known & _HASH_MASK == low and known and abs(np.int64(known >> _HASH_BITS) - minute) <= window_minutes:
            return True
        if known < kept[oldest]:
            oldest = place
    kept[oldest] = max(kept[oldest], np.uint64(minute) << _HASH_BITS | low)
    return False


@compiled
def _homeless(pointers: NDArray[np.int32], ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Positions (n,) of those of T customers who have ids (T, 16) but no row for them."""
    found = np.empty(len(pointers), dtype=np.int64)
    count = 0
    for at in range(len(pointers)):
        if pointers[at] == 0 and ids[at].any():
            found[count] = at
            count += 1
    return found[:count]


def merge(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(T, 16) newest ids of two (T, 16) sets."""
    both = np.sort(np.concatenate([left, right], axis=1), axis=1)[:, ::-1]
    both[:, 1:][both[:, 1:] == both[:, :-1]] = 0
    return np.sort(both, axis=1)[:, : KEPT - 1 : -1].copy()

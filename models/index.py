"""Customer id -> slot, for thousands of ids at once.

Open addressing over 64-bit hashes in buckets of one cache line, looked up with array operations: at a million customers
a lookup costs a fraction of a dict's, whose every hit follows four pointers into cold memory, and takes half its space.

The ids themselves are not compared. Two of a million customers share a hash with a probability of 3e-8; Python's string
hash is keyed at random in each process, so nobody can make them. Hashes never leave the process.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WAYS = 8
"""Hashes of one bucket: 64 bytes."""
_FULL = 0.6
"""Share of places in use at which the index doubles: about 3 % of ids then lie outside their own bucket."""


class SlotIndex:
    """A map from id to slot that only grows."""

    def __init__(self) -> None:
        self._size = 0
        self._allocate(128)

    def __len__(self) -> int:
        return self._size

    def get(self, customer: str) -> int | None:
        """Return the slot of one customer, or None."""
        slot = int(self.find([customer])[0])
        return slot if slot >= 0 else None

    def find(self, customers: Sequence[str]) -> NDArray[np.int64]:
        """(n,) slots, -1 for the unknown."""
        hashes = _hashes(customers)
        slots, open_ended = self._probe(hashes, hashes & self._mask)
        step = 1
        while open_ended.size:
            # A full bucket without the id: it may have moved on to the next.
            found, again = self._probe(hashes[open_ended], (hashes[open_ended] + np.uint64(step)) & self._mask)
            slots[open_ended] = found
            open_ended = open_ended[again]
            step += 1
        return slots

    def add(self, customers: Sequence[str], first: int) -> None:
        """Give distinct, unknown ids the slots from `first` on."""
        self._size += len(customers)
        while self._size > _FULL * self._hashes.size:
            self._double()
        self._insert(_hashes(customers), np.arange(first, first + len(customers), dtype=np.int32))

    def _allocate(self, buckets: int) -> None:
        self._mask = np.uint64(buckets - 1)
        self._hashes: NDArray[np.uint64] = np.zeros((buckets, _WAYS), dtype=np.uint64)
        self._slots: NDArray[np.int32] = np.zeros(buckets * _WAYS, dtype=np.int32)

    def _probe(
        self, hashes: NDArray[np.uint64], buckets: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Look into one bucket for each hash: slots, -1 without, and the positions of those without in full buckets."""
        buckets = buckets.view(np.int64)
        lines = self._hashes.take(buckets, axis=0)
        places = (lines == hashes[:, None]).argmax(axis=1) + buckets * _WAYS
        there = self._hashes.reshape(-1)[places] == hashes
        slots = self._slots[places].astype(np.int64)
        if np.count_nonzero(there) == len(hashes):
            return slots, places[:0]
        slots[~there] = -1
        # Buckets fill from the left.
        return slots, np.flatnonzero(~there & (lines[:, -1] != 0))

    def _insert(self, hashes: NDArray[np.uint64], slots: NDArray[np.int32]) -> None:
        flat, step = self._hashes.reshape(-1), np.uint64(0)
        while hashes.size:
            buckets = ((hashes + step) & self._mask).view(np.int64)
            order = np.argsort(buckets, kind="stable")
            hashes, slots, buckets = hashes[order], slots[order], buckets[order]
            rank = np.arange(len(buckets)) - np.searchsorted(buckets, buckets)
            place = np.count_nonzero(self._hashes[buckets], axis=1) + rank
            fits = place < _WAYS
            at = buckets[fits] * _WAYS + place[fits]
            flat[at], self._slots[at] = hashes[fits], slots[fits]
            hashes, slots, step = hashes[~fits], slots[~fits], step + np.uint64(1)

    def _double(self) -> None:
        """Split each bucket in two by one more bit of the hashes: an order less work than inserting all anew."""
        hashes, slots, buckets = self._hashes, self._slots.reshape(-1, _WAYS), len(self._hashes)
        numbers = np.arange(buckets)[:, None]
        home = (hashes & self._mask).view(np.int64) == numbers
        used, high = hashes != 0, (hashes & np.uint64(buckets)) != 0
        self._allocate(2 * buckets)
        for part, first in ((used & home & ~high, 0), (used & home & high, buckets)):
            at = ((numbers + first) * _WAYS + np.cumsum(part, axis=1) - 1)[part]
            self._hashes.reshape(-1)[at], self._slots[at] = hashes[part], slots[part]
        moved_on = used & ~home
        self._insert(hashes[moved_on], slots[moved_on])


def _hashes(customers: Sequence[str]) -> NDArray[np.uint64]:
    """Hash ids; 0 is the empty place, so that its ids share 1."""
    return np.maximum(np.fromiter(map(hash, customers), np.int64, len(customers)).view(np.uint64), np.uint64(1))

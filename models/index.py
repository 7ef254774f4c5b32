"""Customer id -> slot, for thousands of ids at once.

Open addressing over 64-bit hashes: at a million customers a lookup costs a fraction of a dict's, whose every hit
follows four pointers into cold memory, and takes half its space.

The ids themselves are not compared. Two of a million customers share a hash with a probability of 3e-8; Python's string
hash is keyed at random in each process, so nobody can make them. Hashes never leave the process.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

_FIRST_PLACES = 1024
_FULL = 0.6
"""Share of places in use at which the index doubles: a known id is then found within two places on average."""


class SlotIndex:
    """A map from id to slot. The place of an id that was made unknown is kept for it until the index doubles."""

    def __init__(self) -> None:
        self._size = 0
        self._allocate(_FIRST_PLACES)

    def __len__(self) -> int:
        return self._size

    def get(self, customer: str) -> int | None:
        """Return the slot of one customer, or None."""
        slot = int(self.find([customer])[0])
        return slot if slot >= 0 else None

    def find(self, customers: Sequence[str]) -> NDArray[np.int64]:
        """(n,) slots, -1 for the unknown."""
        return _find(self._hashes, self._slots, _hashes(customers))

    def add(self, customers: Sequence[str], first: int) -> None:
        """Give distinct, unknown ids the slots from `first` on."""
        self._size += len(customers)
        while self._size > _FULL * self._hashes.size:
            self._double()
        _insert(self._hashes, self._slots, _hashes(customers), np.arange(first, first + len(customers), dtype=np.int32))

    def put(self, customer: str, slot: int) -> None:
        """Give a known id another slot; -1 makes it unknown."""
        _replace(self._hashes, self._slots, _hashes([customer]), slot)

    def _allocate(self, places: int) -> None:
        self._hashes: NDArray[np.uint64] = np.zeros(places, dtype=np.uint64)
        self._slots: NDArray[np.int32] = np.zeros(places, dtype=np.int32)

    def _double(self) -> None:
        """Insert all anew, in order of place: the new places fill along two lines of memory, one in each half."""
        hashes, slots = self._hashes, self._slots
        self._allocate(2 * len(hashes))
        used = (hashes != 0) & (slots >= 0)
        _insert(self._hashes, self._slots, hashes[used], slots[used])


@compiled
def _find(places: NDArray[np.uint64], slots: NDArray[np.int32], hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(n,) slots of hashes, -1 for the unknown."""
    found = np.full(len(hashes), -1, dtype=np.int64)
    last = np.uint64(len(places) - 1)
    for at in range(len(hashes)):
        sought = _not_0(hashes[at])
        place = sought & last
        while places[place] != sought and places[place]:
            place = (place + np.uint64(1)) & last
        if places[place]:
            found[at] = slots[place]
    return found


@compiled
def _insert(
    places: NDArray[np.uint64], slots: NDArray[np.int32], hashes: NDArray[np.uint64], new: NDArray[np.int32]
) -> None:
    """Put hashes, with their slots, each into the first place from its own on that is free or was its own."""
    last = np.uint64(len(places) - 1)
    for at in range(len(hashes)):
        place = _not_0(hashes[at]) & last
        while places[place] and not (places[place] == _not_0(hashes[at]) and slots[place] < 0):
            place = (place + np.uint64(1)) & last
        places[place], slots[place] = _not_0(hashes[at]), new[at]


@compiled
def _replace(places: NDArray[np.uint64], slots: NDArray[np.int32], hashes: NDArray[np.uint64], slot: int) -> None:
    """Set the slot of one hash that has a place."""
    last = np.uint64(len(places) - 1)
    place = _not_0(hashes[0]) & last
    while places[place] != _not_0(hashes[0]):
        place = (place + np.uint64(1)) & last
    slots[place] = slot


@compiled
def _not_0(key: np.uint64) -> np.uint64:
    """Hash of an id as it is kept: 0 is the empty place, so that its ids share 1."""
    return max(key, np.uint64(1))


def _hashes(customers: Sequence[str]) -> NDArray[np.uint64]:
    return np.fromiter(map(hash, customers), np.int64, len(customers)).view(np.uint64)

"""When a customer was active in the last seven days: a ring of 336 half hours that ends at the latest event.

Bit k (of six uint64 words, low to high) says that something happened k half hours before the half hour of the latest
event. It is a set above a threshold that only a maximum moves, hence independent of order.

A session is a run of set bits: gaps under 30 minutes never split one, gaps over 60 always do, between them it depends
on how the half hours fall. Purchases, order lines and refunds neither open nor extend a session.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

HALF_HOUR_MS = 1_800_000
SLOTS = 336
WORDS = 6
_ALL = np.uint64(2**64 - 1)
_ONE = np.uint64(1)


@compiled
def shift(ring: NDArray[np.uint64], by: int) -> None:
    """See a ring (6,), in place, from `by` half hours later; what is over 336 half hours old falls out."""
    words, bits = min(by, SLOTS) >> 6, np.uint64(min(by, SLOTS) & 63)
    for word in range(WORDS - 1, -1, -1):
        moved = ring[word - words] << bits if word >= words else np.uint64(0)
        if word > words:
            # Two shifts for the carry: a shift by 64 is undefined.
            moved |= (ring[word - words - 1] >> (np.uint64(63) - bits)) >> _ONE
        ring[word] = moved & _still_seen(word, 0)


@compiled
def mark(ring: NDArray[np.uint64], age: int) -> None:
    """Set, in place, bit `age` of a ring; ages outside 0-335 are left out."""
    if 0 <= age < SLOTS:
        ring[age >> 6] |= _ONE << np.uint64(age & 63)


@compiled
def sessions(ring: NDArray[np.uint64], aged: int) -> int:
    """Count the runs of active half hours in the seven days before now, `aged` half hours after the ring's end."""
    runs, before = 0, np.uint64(0)
    for word in range(WORDS):
        seen = ring[word] & _still_seen(word, aged)
        runs += bits_set(seen & ~(seen << _ONE | before >> np.uint64(63)))
        before = seen
    return runs


@compiled
def bits_set(word: np.uint64) -> int:
    """Count the bits of a word that are set.

    >>> bits_set(np.uint64(0b1011))
    3
    """
    count = 0
    while word:
        word &= word - _ONE
        count += 1
    return count


@compiled
def _still_seen(word: int, aged: int) -> np.uint64:
    """Bits of a word of the ring that are at most seven days old, `aged` half hours after the ring's end."""
    bits = SLOTS - aged - 64 * word
    if bits >= 64:
        return _ALL
    return (_ONE << np.uint64(bits)) - _ONE if bits > 0 else np.uint64(0)

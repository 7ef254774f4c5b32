"""When a customer was active in the last seven days: a ring of 336 half hours that ends at the latest event.

Bit k (of six uint64 words, low to high) says that something happened k half hours before the half hour of the latest
event. It is a set above a threshold that only a maximum moves, hence independent of order.

A session is a run of set bits: gaps under 30 minutes never split one, gaps over 60 always do, between them it depends
on how the half hours fall. Purchases, order lines and refunds neither open nor extend a session.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

HALF_HOUR_MS = 1_800_000
SLOTS = 336
WORDS = 6
_TOP_MASK = np.uint64((1 << (SLOTS - 64 * (WORDS - 1))) - 1)
_STILL_SEEN = np.array(
    [
        [((1 << max(0, SLOTS - aged)) - 1) >> (64 * word) & (2**64 - 1) for word in range(WORDS)]
        for aged in range(SLOTS + 1)
    ],
    dtype=np.uint64,
)
"""Which bits are at most seven days old, by the half hours since the ring's end."""
_ONE = np.uint64(1)


def shift(ring: NDArray[np.uint64], by: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Rings (T, 6) seen from `by` (T,) half hours later; what is over 336 half hours old falls out."""
    moved = np.minimum(by, SLOTS)
    words, bits = moved >> 6, (moved & 63).astype(np.uint64)[:, None]
    padded = np.zeros((len(ring), 2 * WORDS + 1), dtype=np.uint64)
    padded[:, WORDS + 1 :] = ring
    at = (np.arange(len(ring)) * padded.shape[1] + WORDS + 1 - words)[:, None] + np.arange(WORDS)
    flat = padded.reshape(-1)
    # Two shifts for the carry: a shift by 64 is undefined.
    result: NDArray[np.uint64] = (flat[at] << bits) | ((flat[at - 1] >> (np.uint64(63) - bits)) >> _ONE)
    result[:, -1] &= _TOP_MASK
    return result


def mark(ring: NDArray[np.uint64], row: NDArray[np.int64], age: NDArray[np.int64]) -> None:
    """Set, in place, bit `age` (N,) of the rings of `row` (N,); ages outside 0-335 are left out."""
    inside = age.view(np.uint64) < SLOTS
    if np.count_nonzero(inside) < len(age):
        row, age = row[inside], age[inside]
    if not np.count_nonzero(age):
        ring[row, 0] |= _ONE
        return
    word = age >> 6
    for each in np.unique(word).tolist():
        mine = word == each
        ring[:, each] |= bitmaps(row[mine], age[mine] & 63, len(ring))


def bitmaps(row: NDArray[np.int64], bit: NDArray[np.int64], rows: int) -> NDArray[np.uint64]:
    """(rows,) uint64 with each given bit (0-63) of each given row set.

    >>> bitmaps(np.array([0, 2, 2]), np.array([1, 0, 3]), 3).tolist()
    [2, 0, 9]
    """
    flags = np.zeros(rows * 64, dtype=np.uint8)
    flags[row * 64 + bit] = 1
    return np.packbits(flags, bitorder="little").view("<u8").astype(np.uint64, copy=False)


def sessions(ring: NDArray[np.uint64], aged: NDArray[np.int64]) -> NDArray[np.float64]:
    """(T,) runs of active half hours in the seven days before now, `aged` (T,) half hours after the ring's end."""
    seen = ring & _STILL_SEEN[np.minimum(aged, SLOTS)]
    before = seen << _ONE
    before[:, 1:] |= seen[:, :-1] >> np.uint64(63)
    # At most 168 runs, so that bytes do; adding six columns costs a tenth of a sum over the short axis.
    runs: NDArray[np.uint8] = functools.reduce(np.add, np.bitwise_count(seen & ~before).T)
    return runs.astype(np.float64)

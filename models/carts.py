"""What lies in customers' carts: the newest operations, kept as bytes, judged when read.

T is the latest time of a purchase, an order line or a clear. Of a cart count the newest 50 operations, ordered by
(time, event hash, product, quantity, price), that are later than max(T, the customer's latest event - 30 days); a tie
with T is cleared. Value and items are sums per product, clamped at 0 (a product of which nothing is left has no value);
the cart is open if it has items; its age counts from the oldest kept add.

Nothing here depends on the order of arrival: operations are appended raw, and whatever is dropped later lies below a
threshold that only maxima move. A cart is a header (time of the latest clear, time of the newest operation that 50
newer ones pushed out) and 40 bytes an operation; customers without operations pay nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEPT = 50
WINDOW_MS = 30 * 86_400_000
_HEADER_WORDS = 2
_WORDS = 5
_OPERATION_BYTES = _WORDS * 8
_EMPTY = bytes(_HEADER_WORDS * 8)
_BYTES_MAX = len(_EMPTY) + 2 * KEPT * _OPERATION_BYTES
"""Beyond this a cart is compacted at once, so that a customer who never buys stays bounded."""


@dataclass(frozen=True, slots=True)
class CartView:
    """Carts of T customers, as they count now; all zero where there is none."""

    value_minor: NDArray[np.float64]
    items: NDArray[np.float64]
    """Units in the cart; the cart is open where this is above 0."""
    oldest_add_ms: NDArray[np.float64]
    """Time of the oldest kept add, 0 without one."""
    truncated: NDArray[np.bool_]
    """True where more than 50 operations count, so that value and items may be off."""


@dataclass(frozen=True, slots=True)
class _Kept:
    cleared: NDArray[np.int64]
    dropped: NDArray[np.int64]
    floor: NDArray[np.int64]
    owner: NDArray[np.int64]
    operations: NDArray[np.int64]


class Carts:
    """The carts of a table, by slot."""

    def __init__(self) -> None:
        self.blobs: dict[int, bytes] = {}
        self._has: NDArray[np.bool_] = np.zeros(1024, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.blobs)

    def having(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the slots that have anything of a cart."""
        if not self.blobs:
            return slots[:0]
        self._grow(slots)
        return slots[self._has[slots]]

    def append(
        self,
        slots: NDArray[np.int64],
        *,
        time_ms: NDArray[np.int64],
        event_hash: NDArray[np.uint64],
        product: NDArray[np.uint64],
        quantity: NDArray[np.int64],
        price_minor: NDArray[np.int64],
    ) -> list[int]:
        """Add N operations; slots whose carts grew so long that the caller must `compact` them."""
        packed = np.empty((len(slots), _WORDS), dtype="<i8")
        packed[:, 0] = time_ms
        packed[:, 1] = event_hash.view(np.int64)
        packed[:, 2] = product.view(np.int64)
        packed[:, 3] = quantity
        packed[:, 4] = price_minor
        clears = (quantity == 0) & (product == 0)
        self._grow(slots)
        self._has[slots] = True
        raw, blobs, long = packed.tobytes(), self.blobs, []
        at = 0
        for slot in slots.tolist():
            blob = blobs.get(slot, _EMPTY) + raw[at : at + _OPERATION_BYTES]
            at += _OPERATION_BYTES
            blobs[slot] = blob
            if len(blob) > _BYTES_MAX:
                long.append(slot)
        # A clear stays among the operations until the cart is compacted or read: `_kept` knows it by its zeros.
        return long if not clears.any() else sorted({*long, *slots[clears].tolist()})

    def read(
        self, slots: NDArray[np.int64], last_seen_ms: NDArray[np.float64], last_order_ms: NDArray[np.float64]
    ) -> CartView:
        """Carts of T customers, given when each was last seen and last bought."""
        size = len(slots)
        value, items, oldest = np.zeros(size), np.zeros(size), np.zeros(size)
        truncated = np.zeros(size, dtype=np.bool_)
        view = CartView(value, items, oldest, truncated)
        if not self.blobs:
            return view
        self._grow(slots)
        there = np.flatnonzero(self._has[slots])
        if not there.size:
            return view
        kept = _kept(
            [self.blobs[slot] for slot in slots[there].tolist()], _floor(last_seen_ms[there], last_order_ms[there])
        )
        truncated[there] = kept.dropped > 0
        owner, operations = kept.owner, kept.operations
        if not owner.size:
            return view
        adds = operations[:, 3] > 0
        first = np.full(len(there), np.inf)
        np.minimum.at(first, owner[adds], operations[adds, 0])
        oldest[there] = np.where(np.isinf(first), 0, first)
        order = np.lexsort((operations[:, 2], owner))
        owner, operations = owner[order], operations[order]
        starts = np.flatnonzero(
            np.concatenate([[True], (owner[1:] != owner[:-1]) | (operations[1:, 2] != operations[:-1, 2])])
        )
        units = np.maximum(np.add.reduceat(operations[:, 3], starts), 0)
        money = np.maximum(np.add.reduceat(operations[:, 3] * operations[:, 4], starts), 0)
        items[there] = np.bincount(owner[starts], units, len(there))
        value[there] = np.bincount(owner[starts], np.where(units > 0, money, 0), len(there))
        return view

    def compact(
        self, slots: NDArray[np.int64], last_seen_ms: NDArray[np.float64], last_order_ms: NDArray[np.float64]
    ) -> None:
        """Bring the carts of slots that have one to canonical form: what counts, in order; none if nothing does."""
        if not len(slots):
            return
        base = _floor(last_seen_ms, last_order_ms)
        kept = _kept([self.blobs[slot] for slot in slots.tolist()], base)
        order = _order(kept.owner, kept.operations)
        raw = kept.operations[order].astype("<i8", copy=False).tobytes()
        counts = np.bincount(kept.owner, minlength=len(slots)).tolist()
        cleared = np.where(kept.cleared > base, kept.cleared, 0)
        heads = np.stack([cleared, kept.dropped], axis=1).astype("<i8", copy=False).tobytes()
        at = 0
        for number, (slot, count) in enumerate(zip(slots.tolist(), counts, strict=True)):
            size = count * _OPERATION_BYTES
            blob = heads[number * len(_EMPTY) : (number + 1) * len(_EMPTY)] + raw[at : at + size]
            at += size
            self.put(slot, blob if blob != _EMPTY else None)

    def put(self, slot: int, blob: bytes | None) -> None:
        """Set or remove one cart, as `models.rows` and `models.merge` do."""
        if slot >= len(self._has):
            self._grow(np.array([slot]))
        if blob is None:
            self.blobs.pop(slot, None)
            self._has[slot] = False
        else:
            self.blobs[slot] = blob
            self._has[slot] = True

    def _grow(self, slots: NDArray[np.int64]) -> None:
        needed = int(slots.max(initial=-1)) + 1
        while needed > len(self._has):
            self._has = np.concatenate([self._has, np.zeros_like(self._has)])


def join(left: bytes | None, right: bytes | None) -> bytes | None:
    """Unite two carts' operations; the caller compacts it."""
    if left is None or right is None:
        return left or right
    heads = np.frombuffer(left[: len(_EMPTY)] + right[: len(_EMPTY)], dtype="<i8").reshape(2, _HEADER_WORDS)
    head: bytes = heads.max(axis=0).astype("<i8", copy=False).tobytes()
    return head + left[len(_EMPTY) :] + right[len(_EMPTY) :]


def is_blob(blob: bytes) -> bool:
    """Whether bytes have the shape of a cart."""
    return len(blob) >= len(_EMPTY) and (len(blob) - len(_EMPTY)) % _OPERATION_BYTES == 0


def _floor(last_seen_ms: NDArray[np.float64], last_order_ms: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.maximum(last_order_ms, last_seen_ms - WINDOW_MS).astype(np.int64)


def _order(owner: NDArray[np.int64], operations: NDArray[np.int64]) -> NDArray[np.int64]:
    unsigned = operations.view(np.uint64)
    keys = (operations[:, 4], operations[:, 3], unsigned[:, 2], unsigned[:, 1], operations[:, 0], owner)
    return np.lexsort(keys)


def _kept(blobs: list[bytes], base: NDArray[np.int64]) -> _Kept:
    """Find what counts of n carts: operations later than each floor, the newest 50, and the header as it then is."""
    words = np.frombuffer(b"".join(blobs), dtype="<i8")
    lengths = np.fromiter(map(len, blobs), np.int64, len(blobs)) // 8
    starts = np.cumsum(lengths) - lengths
    cleared, dropped = words[starts].copy(), words[starts + 1].copy()
    body = np.ones(len(words), dtype=np.bool_)
    body[starts] = body[starts + 1] = False
    operations = words[body].reshape(-1, _WORDS)
    owner = np.repeat(np.arange(len(blobs)), (lengths - _HEADER_WORDS) // _WORDS)
    clears = (operations[:, 3] == 0) & (operations[:, 2] == 0)
    if clears.any():
        np.maximum.at(cleared, owner[clears], operations[clears, 0])
    floor = np.maximum(base, cleared)
    counting = operations[:, 0] > floor[owner]
    counting &= ~clears
    operations, owner = operations[counting], owner[counting]
    if len(owner) > KEPT and (np.bincount(owner) > KEPT).any():
        order = _order(owner, operations)
        operations, owner = operations[order], owner[order]
        ends = np.searchsorted(owner, owner, side="right")
        over = ends - np.arange(len(owner)) > KEPT
        np.maximum.at(dropped, owner[over], operations[over, 0])
        operations, owner = operations[~over], owner[~over]
    return _Kept(cleared, np.where(dropped > floor, dropped, 0), floor, owner, operations)

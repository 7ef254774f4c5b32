"""What lies in customers' carts: the newest operations, kept as bytes.

T is the latest time of a purchase, an order line or a clear. Of a cart count the newest 50 operations, ordered by
(time, event hash, product, quantity, price), that are later than max(T, the customer's latest event - 30 days); a tie
with T is cleared. Value and items are sums per product, clamped at 0 (a product of which nothing is left has no value);
the cart is open if it has items; its age counts from the oldest kept add.

Nothing here depends on the order of arrival: what is dropped lies below a threshold that only maxima move. A cart is a
header (time of the latest clear, time of the newest operation that 50 newer ones pushed out) and 40 bytes an operation;
customers without operations pay nothing but the columns that say what the cart holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.slots import grown

KEPT = 50
WINDOW_MS = 30 * 86_400_000
_HEADER_WORDS = 2
_WORDS = 5
_OPERATION_BYTES = _WORDS * 8
_EMPTY = bytes(_HEADER_WORDS * 8)


@dataclass(frozen=True, slots=True)
class CartView:
    """Carts of T customers, as they count; all zero where there is none."""

    value_minor: NDArray[np.float64]
    items: NDArray[np.float64]
    """Units in the cart; the cart is open where this is above 0."""
    oldest_add_ms: NDArray[np.float64]
    """Time of the oldest kept add, 0 without one."""
    truncated: NDArray[np.bool_]
    """True where more than 50 operations count, so that value and items may be off."""
    watch_ms: NDArray[np.float64]
    """Time of the oldest thing that counts, 0 without one: nothing changes by age before it is 30 days behind."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What counts of n carts: header fields (n,), 0 where they do not, and operations in canonical order."""

    cleared: NDArray[np.int64]
    dropped: NDArray[np.int64]
    owner: NDArray[np.int64]
    operations: NDArray[np.int64]
    changed: NDArray[np.bool_]
    """(n,) where this is not what the bytes said."""


class Carts:
    """The carts of a table, by slot."""

    def __init__(self) -> None:
        self.blobs: dict[int, bytes] = {}
        self._has: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.blobs)

    def grow(self, capacity: int) -> None:
        """Make room for slots below `capacity`."""
        self._has = grown(self._has, capacity, fill=False)

    def has(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the slots have anything of a cart."""
        return self._has[slots]

    def append(
        self,
        slots: NDArray[np.int64],
        *,
        time_ms: NDArray[np.int64],
        event_hash: NDArray[np.uint64],
        product: NDArray[np.uint64],
        quantity: NDArray[np.int64],
        price_minor: NDArray[np.int64],
    ) -> None:
        """Add N operations, as they come; the caller then has their carts settled."""
        packed = np.empty((len(slots), _WORDS), dtype="<i8")
        packed[:, 0] = time_ms
        packed[:, 1] = event_hash.view(np.int64)
        packed[:, 2] = product.view(np.int64)
        packed[:, 3] = quantity
        packed[:, 4] = price_minor
        self._has[slots] = True
        raw, blobs = packed.tobytes(), self.blobs
        at = 0
        for slot in slots.tolist():
            end = at + _OPERATION_BYTES
            blobs[slot] = blobs.get(slot, _EMPTY) + raw[at:end]
            at = end

    def settle(
        self, slots: NDArray[np.int64], last_seen_ms: NDArray[np.float64], last_order_ms: NDArray[np.float64]
    ) -> CartView:
        """Bring the carts of T slots that have one to canonical form, and say what is in them.

        Canonical is what counts, in order, and no cart where nothing does: equal histories have equal bytes.
        """
        base = np.maximum(last_order_ms, last_seen_ms - WINDOW_MS).astype(np.int64)
        kept = _kept([self.blobs[slot] for slot in slots.tolist()], base)
        self._rewrite(slots, kept)
        watch = np.full(len(slots), np.inf)
        for header in (kept.cleared, kept.dropped):
            np.minimum(watch, header, out=watch, where=header > 0)
        value, items, added = np.zeros(len(slots)), np.zeros(len(slots)), np.full(len(slots), np.inf)
        if len(kept.owner):
            np.minimum.at(watch, kept.owner, kept.operations[:, 0])
            adds = kept.operations[:, 3] > 0
            np.minimum.at(added, kept.owner[adds], kept.operations[adds, 0])
            value, items = _contents(kept, len(slots))
        added[added == np.inf] = 0
        watch[watch == np.inf] = 0
        return CartView(value, items, added, kept.dropped > 0, watch)

    def put(self, slot: int, blob: bytes | None) -> None:
        """Set or remove one cart, as `models.rows` and `models.merge` do."""
        if blob is None:
            self.blobs.pop(slot, None)
            self._has[slot] = False
        else:
            self.blobs[slot] = blob
            self._has[slot] = True

    def _rewrite(self, slots: NDArray[np.int64], kept: _Kept) -> None:
        """Write the carts that are not canonical already, which most are: an operation was added at the end."""
        which = np.flatnonzero(kept.changed)
        if not which.size:
            return
        raw = kept.operations.tobytes()
        ends = (np.bincount(kept.owner, minlength=len(slots)).cumsum() * _OPERATION_BYTES).tolist()
        heads = np.stack([kept.cleared, kept.dropped], axis=1).tobytes()
        for cart, slot in zip(which.tolist(), slots[which].tolist(), strict=True):
            head = cart * len(_EMPTY)
            blob = heads[head : head + len(_EMPTY)] + raw[ends[cart - 1] if cart else 0 : ends[cart]]
            self.put(slot, None if blob == _EMPTY else blob)


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


def _contents(kept: _Kept, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(value, items) of each of `size` carts: sums per product, clamped at 0."""
    product = kept.operations[:, 2]
    order = np.lexsort((product, kept.owner))
    owner, product = kept.owner[order], product[order]
    starts = np.flatnonzero((owner[1:] != owner[:-1]) | (product[1:] != product[:-1])) + 1
    starts = np.concatenate([[0], starts])
    quantity = kept.operations[order, 3]
    units = np.maximum(np.add.reduceat(quantity, starts), 0)
    money = np.maximum(np.add.reduceat(quantity * kept.operations[order, 4], starts), 0)
    owner = owner[starts]
    value, items = np.zeros(size), np.zeros(size)
    np.add.at(value, owner, money * (units > 0))
    np.add.at(items, owner, units)
    return value, items


def _order(owner: NDArray[np.int64], operations: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Order operations by owner, then time, event hash, product, quantity and price; None if they already are."""
    time = operations[:, 0]
    # Nearly always new operations are later than the old ones, which are in order: seeing it costs less than sorting.
    if np.count_nonzero((time[1:] <= time[:-1]) & (owner[1:] == owner[:-1])) == 0:
        return None
    unsigned = operations.view(np.uint64)
    return np.lexsort((operations[:, 4], operations[:, 3], unsigned[:, 2], unsigned[:, 1], time, owner))


def _kept(blobs: list[bytes], base: NDArray[np.int64]) -> _Kept:
    """Find what counts of n carts: the newest 50 operations later than max(base, the latest clear)."""
    words = np.frombuffer(b"".join(blobs), dtype="<i8").astype(np.int64, copy=False)
    lengths = np.fromiter(map(len, blobs), np.int64, len(blobs)) // 8
    starts = np.cumsum(lengths) - lengths
    cleared, dropped = words[starts], words[starts + 1]
    body = np.ones(len(words), dtype=np.bool_)
    body[starts] = body[starts + 1] = False
    operations = words[body].reshape(-1, _WORDS)
    owner = np.repeat(np.arange(len(blobs)), (lengths - _HEADER_WORDS) // _WORDS)
    clears = (operations[:, 3] == 0) & (operations[:, 2] == 0)
    if np.count_nonzero(clears):
        np.maximum.at(cleared, owner[clears], operations[clears, 0])
    floor = np.maximum(base, cleared)
    changed = (cleared <= base) & (cleared > 0) | (dropped <= floor) & (dropped > 0)
    cleared[cleared <= base] = 0
    # A clear is not later than itself, so that none counts as an operation.
    counting = operations[:, 0] > floor[owner]
    if np.count_nonzero(counting) < len(owner):
        changed[owner[~counting]] = True
        owner, operations = owner[counting], operations[counting]
    order = _order(owner, operations)
    if order is not None:
        changed[owner[order != np.arange(len(order))]] = True
        operations = operations[order]
    if len(owner) > KEPT and (np.bincount(owner) > KEPT).any():
        over = np.searchsorted(owner, owner, side="right") - np.arange(len(owner)) > KEPT
        changed[owner[over]] = True
        np.maximum.at(dropped, owner[over], operations[over, 0])
        owner, operations = owner[~over], operations[~over]
    dropped[dropped <= floor] = 0
    return _Kept(cleared, dropped, owner, operations, changed)

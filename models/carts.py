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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled
from models.slots import grown

KEPT = 50
WINDOW_MS = 30 * 86_400_000
_HEADER_WORDS = 2
WORDS = 5
"""Of an operation: time, event hash, product hash, quantity, price."""
_OPERATION_BYTES = WORDS * 8
_EMPTY = bytes(_HEADER_WORDS * 8)


class CartView(NamedTuple):
    """A cart as it counts; all zero where there is none."""

    value_minor: float
    items: float
    """Units in the cart; the cart is open where this is above 0."""
    oldest_add_ms: float
    """Time of the oldest kept add, 0 without one."""
    watch_ms: float
    """Time of the oldest thing that counts, 0 without one: nothing changes by age before it is 30 days behind. Negative
    where more than 50 operations count, so that value and items may be off."""
    touched_ms: float
    """Time of the newest operation that counts, 0 without one: the cart has been silent since then."""
    opened_ms: float
    """Since when the cart has held something without a break, by the operations that count; 0 while it is empty."""


class Carts:
    """The carts of a table, by slot."""

    def __init__(self) -> None:
        self.blobs: dict[int, bytes] = {}
        self._has: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.blobs)

    def grow(self, capacity: int) -> None:
        """Make room for slots below `capacity`."""
        self._has = grown(self._has, capacity)

    def has(self, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the slots have anything of a cart."""
        return self._has[slots]

    def append(self, slots: NDArray[np.int64], operations: NDArray[np.int64]) -> None:
        """Add (N, WORDS) operations, as they come; the caller then has their carts settled."""
        self._has[slots] = True
        raw, blobs = operations.astype("<i8", copy=False).tobytes(), self.blobs
        at = 0
        for slot in slots.tolist():
            end = at + _OPERATION_BYTES
            blobs[slot] = blobs.get(slot, _EMPTY) + raw[at:end]
            at = end

    def settle(
        self, slots: NDArray[np.int64], last_seen_ms: NDArray[np.float64], last_order_ms: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Bring the carts of T slots that have one to canonical form, and say what is in them: (T, 6) `CartView`s.

        Canonical is what counts, in order, and no cart where nothing does: equal histories have equal bytes.
        """
        blobs = [self.blobs[slot] for slot in slots.tolist()]
        words = np.frombuffer(bytearray().join(blobs), dtype="<i8").astype(np.int64, copy=False)
        lengths = np.array([len(blob) // 8 for blob in blobs], np.int64)
        views = np.zeros((len(blobs), len(CartView._fields)))
        starts, ends = _settle(words, lengths, last_seen_ms, last_order_ms, views)
        # Nearly all carts are canonical already: an operation was added at the end.
        for at in (ends >= 0).nonzero()[0].tolist():
            blob = words[starts[at] : ends[at]].astype("<i8", copy=False).tobytes()
            self.put(int(slots[at]), None if blob == _EMPTY else blob)
        return views

    def put(self, slot: int, blob: bytes | None) -> None:
        """Set or remove one cart, as `models.rows` and `models.merge` do."""
        if blob is None:
            self.blobs.pop(slot, None)
            self._has[slot] = False
        else:
            self.blobs[slot] = blob
            self._has[slot] = True

    def emptied(self, slot: int, opened_ms: float, last_order_ms: float) -> float:
        """Find when a cart opened at `opened_ms`, not settled yet, was first emptied by its operations; else infinity.

        It looks at every clear and at the newest 50 operations. Not at orders: the latest one only says what lies
        before the cart.
        """
        words = np.frombuffer(self.blobs[slot], dtype="<i8").astype(np.int64, copy=False)
        before = last_order_ms if last_order_ms < opened_ms else opened_ms - 1
        return float(_emptied(words, int(opened_ms), int(before)))

    def times(self, slot: int) -> list[int]:
        """Read when a settled cart was operated on, rising."""
        words = np.frombuffer(self.blobs.get(slot, _EMPTY), dtype="<i8")
        times: list[int] = words[_HEADER_WORDS::WORDS].tolist()
        return times

    def products(self) -> set[int]:
        """Hashes of all products that operations name."""
        found: set[int] = set()
        for blob in self.blobs.values():
            found.update(np.frombuffer(blob, dtype="<u8")[_HEADER_WORDS + 2 :: WORDS].tolist())
        return found

    def lines(self, slot: int) -> dict[int, tuple[int, int]]:
        """Read a settled cart: (units, money) by product hash, of products of which something is left."""
        blob = self.blobs.get(slot, _EMPTY)
        found: dict[int, tuple[int, int]] = {}
        operations = np.frombuffer(blob, dtype="<i8")[_HEADER_WORDS:].reshape(-1, WORDS)
        products = operations[:, 2].view(np.uint64).tolist() if len(operations) else []
        for product, (quantity, price) in zip(products, operations[:, 3:].tolist(), strict=True):
            units, money = found.get(product, (0, 0))
            found[product] = units + quantity, money + quantity * price
        return {product: (units, max(money, 0)) for product, (units, money) in found.items() if units > 0}


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


@compiled
def _settle(
    words: NDArray[np.int64],
    lengths: NDArray[np.int64],
    last_seen_ms: NDArray[np.float64],
    last_order_ms: NDArray[np.float64],
    views: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Make T carts that lie one after the other canonical; where each starts, and where it now ends (-1: as before)."""
    starts, ends = np.empty(len(lengths), dtype=np.int64), np.full(len(lengths), -1, dtype=np.int64)
    kept = np.empty((KEPT, WORDS), dtype=np.int64)
    start = 0
    for cart in range(len(lengths)):
        starts[cart], end = start, start + lengths[cart]
        base = int(max(last_order_ms[cart], last_seen_ms[cart] - WINDOW_MS))
        operations = words[start + _HEADER_WORDS : end].reshape(-1, WORDS)
        cleared = words[start]
        for at in range(len(operations)):
            if _is_clear(operations[at]):
                cleared = max(cleared, operations[at, 0])
        floor = max(base, cleared)
        size, dropped = _newest(operations, floor, words[start + 1], kept)
        header = cleared if cleared > base else 0, dropped if dropped > floor else 0
        changed = size != len(operations) or header[0] != words[start] or header[1] != words[start + 1]
        words[start], words[start + 1] = header
        for at in range(size):
            for word in range(WORDS):
                changed |= operations[at, word] != kept[at, word]
                operations[at, word] = kept[at, word]
        if changed:
            ends[cart] = start + _HEADER_WORDS + size * WORDS
        _describe(kept[:size], header, views[cart])
        start = end
    return starts, ends


@compiled
def _emptied(words: NDArray[np.int64], opened: int, before: int) -> float:
    """Earliest time from `opened` on at which a cart held nothing; what is not later than `before` is not its own."""
    operations = words[_HEADER_WORDS:].reshape(-1, WORDS)
    first, floor = np.inf, max(before, words[0] if words[0] < opened else 0)
    for at in range(len(operations)):
        time = operations[at, 0]
        if _is_clear(operations[at]):
            if time >= opened:
                first = min(first, time)
            else:
                floor = max(floor, time)
    kept = np.empty((KEPT, WORDS), dtype=np.int64)
    size, _ = _newest(operations, floor, 0, kept)
    items = 0
    for at in range(size):
        if _is_clear(kept[at]):
            break
        moved = _units_moved(kept, at)
        items += moved
        # What takes nothing out empties nothing, though it may come before the add that opened the cart.
        if items == 0 and moved < 0 and kept[at, 0] >= opened:
            return min(first, float(kept[at, 0]))
    return first


@compiled
def _is_clear(operation: NDArray[np.int64]) -> bool:
    return bool(operation[3] == 0 and operation[2] == 0)


@compiled
def _newest(operations: NDArray[np.int64], floor: int, dropped: int, kept: NDArray[np.int64]) -> tuple[int, int]:
    """Collect in `kept`, in order, the newest operations later than `floor`; (how many, newest time pushed out)."""
    size = 0
    for at in range(len(operations)):
        operation = operations[at]
        # A clear is not later than itself, so that none counts as an operation.
        if operation[0] <= floor:
            continue
        if size < KEPT:
            place = size
            size += 1
            while place > 0 and _precedes(operation, kept[place - 1]):
                kept[place] = kept[place - 1]
                place -= 1
            kept[place] = operation
        elif _precedes(operation, kept[0]):
            dropped = max(dropped, operation[0])
        else:
            dropped = max(dropped, kept[0, 0])
            place = 0
            while place + 1 < KEPT and _precedes(kept[place + 1], operation):
                kept[place] = kept[place + 1]
                place += 1
            kept[place] = operation
    return size, dropped


@compiled
def _precedes(left: NDArray[np.int64], right: NDArray[np.int64]) -> bool:
    """Whether an operation comes before another, by time, hashes (unsigned), quantity and price."""
    for word in range(WORDS):
        if left[word] != right[word]:
            if word in (1, 2):
                return bool(np.uint64(left[word]) < np.uint64(right[word]))
            return bool(left[word] < right[word])
    return False


@compiled
def _describe(kept: NDArray[np.int64], header: tuple[int, int], view: NDArray[np.float64]) -> None:
    """Write what a canonical cart holds, as a `CartView`."""
    cleared, dropped = header
    value = items = added = watch = touched = 0
    for at in range(len(kept)):
        time, quantity = kept[at, 0], kept[at, 3]
        touched = time
        # In order of time: the first is the oldest.
        watch = watch or time
        if quantity > 0:
            added = added or time
        units, money = _left_of(kept, at)
        if units > 0:
            items += units
            value += max(money, 0)
    for other in (cleared, dropped):
        if other > 0 and (watch == 0 or other < watch):
            watch = other
    view[0], view[1], view[2], view[3] = value, items, added, -watch if dropped > 0 else watch
    view[4], view[5] = touched, _opened(kept)


@compiled
def _opened(kept: NDArray[np.int64]) -> int:
    """Time of the operation since which the cart was never empty, 0 if it is empty now."""
    opened = items = 0
    for at in range(len(kept)):
        items += _units_moved(kept, at)
        if items == 0:
            opened = 0
        elif opened == 0:
            opened = int(kept[at, 0])
    return opened


@compiled
def _units_moved(kept: NDArray[np.int64], at: int) -> int:
    """By how many units operation `at` fills the cart that the ones before it left; a product has at least none."""
    before = 0
    for earlier in range(at):
        if kept[earlier, 2] == kept[at, 2]:
            before += kept[earlier, 3]
    return int(max(before + kept[at, 3], 0) - max(before, 0))


@compiled
def _left_of(kept: NDArray[np.int64], first: int) -> tuple[int, int]:
    """(units, money) of the product of an operation; nothing if an earlier one has that product."""
    product, units, money = kept[first, 2], 0, 0
    for at in range(first):
        if kept[at, 2] == product:
            return 0, 0
    for at in range(first, len(kept)):
        if kept[at, 2] == product:
            units += kept[at, 3]
            money += kept[at, 3] * kept[at, 4]
    return units, money

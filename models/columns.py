"""The customers of one partition as columns: customer id -> slot -> row.

A row is one customer's state and, byte for byte, the heart of its changelog row. What few customers have is kept
sparsely: recent ids and carts beside the rows, and of the columns those of `BUYING` (`models.row_store`). Nothing here
decides anything: `models.apply` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.carts import Carts
from models.categories import CategoryNames
from models.compiled import compiled
from models.ids import CustomerIds
from models.index import SlotIndex
from models.recent import EVENT_WINDOW_MINUTES, ORDER_WINDOW_MINUTES, RecentIds
from models.row_store import RowStore
from models.slots import grown

_RECENT_FEW = 10_000
"""Customers with recent ids among whom nobody looks early for those who need none any more."""
_FEWEST = 2_048
"""Slots that there is room for at first."""
_PRODUCTS_FEW = 50_000
"""Names of products that are kept before anybody looks which of them lie in no cart any more."""

COUNTED = ("views", "cart_adds", "cart_removes", "checkouts", "searches", "wishlist_adds")
"""The actions that are counted with decay, in column order within each half-life."""


class Columns(NamedTuple):
    """Position of each column in a row: plain integers, which compiled code takes as constants.

    A change is a new row version (`models.rows`).
    """

    first_seen: int = 0  # ms; inf until the first event
    last_seen: int = 1  # ms; 0 until the first event
    last_order_at: int = 2  # ms; 0 = never
    events: int = 3
    duplicates: int = 4
    late: int = 5
    custom: int = 6
    orders: int = 7
    spend_minor: int = 8
    refunds_minor: int = 9
    orders_hl7d: int = 10
    orders_hl30d: int = 11
    orders_hl180d: int = 12
    spend_hl7d: int = 13
    spend_hl30d: int = 14
    spend_hl180d: int = 15
    views_hl1d: int = 16
    cart_adds_hl1d: int = 17
    cart_removes_hl1d: int = 18
    checkouts_hl1d: int = 19
    searches_hl1d: int = 20
    wishlist_adds_hl1d: int = 21
    views_hl7d: int = 22
    cart_adds_hl7d: int = 23
    cart_removes_hl7d: int = 24
    checkouts_hl7d: int = 25
    searches_hl7d: int = 26
    wishlist_adds_hl7d: int = 27
    views_hl30d: int = 28
    cart_adds_hl30d: int = 29
    cart_removes_hl30d: int = 30
    checkouts_hl30d: int = 31
    searches_hl30d: int = 32
    wishlist_adds_hl30d: int = 33
    ring0: int = 34  # uint64 bits, read through a view
    ring1: int = 35
    ring2: int = 36
    ring3: int = 37
    ring4: int = 38
    ring5: int = 39
    products: int = 40  # uint64 bits
    next_clickstream: int = 41
    next_purchases: int = 42
    cart_value_minor: int = 43
    cart_items: int = 44
    cart_added_at: int = 45  # ms; time of the oldest add that counts, 0 without one
    cart_watch: int = 46  # ms; time of the oldest thing that counts, 0 without one, negative where it is truncated
    cart_touched_at: int = 47  # ms; time of the newest operation that counts, 0 without one
    cart_opened_at: int = 48  # ms; since when the cart has held something, 0 while it is empty
    first_order_at: int = 49  # ms; 0 = never
    night_weekend: int = 50  # events of the night + 2**26 x events of the weekend (`models.day_parts`)
    discount_minor: int = 51
    category0_hl30d: int = 52
    category1_hl30d: int = 53
    category2_hl30d: int = 54
    category3_hl30d: int = 55
    category4_hl30d: int = 56
    category5_hl30d: int = 57
    category_labels: int = 58  # uint64 bits (`models.affinity`)
    # From here on: the published part, which `models.apply` never touches.
    segment: int = 59  # -1 = none
    previous: int = 60  # -1 = none
    since: int = 61
    rev: int = 62
    ver: int = 63
    epoch: int = 64
    change_epoch: int = 65
    change_seq: int = 66
    change_reason: int = 67
    change_model: int = 68
    names: int = 69  # the previous segment's name << 16 | the present one's, as indexes of the partition's names
    cart_state: int = 70
    record_seq: int = 71  # the partition's sequence number of the last published record
    as_of: int = 72  # ms; when the record was last published
    confidence: int = 73
    told_cart: int = 74  # ms; `cart_opened_at` of the cart that reminders were last due for, 0 = none
    told_passed: int = 75  # how many of its reminders were due so far, sent or not; -1 = it was bought or emptied
    told_due1: int = 76  # ms; when the first reminder that was sent was due, negative if it was withdrawn; 0 = none
    told_due2: int = 77
    told_due3: int = 78
    trigger_seq: int = 79  # `record_seq` of the last cart trigger
    standing: int = 80  # `models.standing`: stage x 1000 + RFM digits, + 10000 x `models.chances`; 0 = not known
    change_why: int = 81  # three indexes of 16 bits into the partition's names: features (`models.why`)


COL = Columns()
COLUMNS = Columns._fields
POSITION: Mapping[str, int] = MappingProxyType(COL._asdict())
"""Position of a column by name."""
WIDTH = len(COLUMNS)
RING = slice(COL.ring0, COL.ring5 + 1)
CATEGORIES = slice(COL.category0_hl30d, COL.category5_hl30d + 1)
_CART = slice(COL.cart_value_minor, COL.cart_opened_at + 1)
"""What `models.carts.CartView` says, in its order."""
_BUYS = ("order", "spend", "refunds", "discount", "next_purchases", "cart_", "checkouts", "told_", "trigger_seq")
BUYING: tuple[int, ...] = tuple(
    place for name, place in POSITION.items() if name.startswith(_BUYS) or name in {"last_order_at", "first_order_at"}
)
"""Columns in which only who ever put something into a cart or ordered has anything but 0."""
BIT_COLUMNS = frozenset({*COLUMNS[RING], "products", "category_labels"})
"""Columns whose 64 bits are a uint64: arithmetic on them as float64 is meaningless."""


def _fading(half_life_days: int) -> NDArray[np.int64]:
    return np.array([place for name, place in POSITION.items() if name.endswith(f"_hl{half_life_days}d")])


FADING: Mapping[int, NDArray[np.int64]] = MappingProxyType({days: _fading(days) for days in (1, 7, 30, 180)})
"""Columns that fade, by half-life in days."""
HALF_LIFE_DAYS: NDArray[np.int64] = np.zeros(WIDTH, dtype=np.int64)
"""Half-life of each column, 0 for those that do not fade."""
for _days, _columns in FADING.items():
    HALF_LIFE_DAYS[_columns] = _days


def _empty_row() -> NDArray[np.float64]:
    row = np.zeros(WIDTH)
    row[COL.first_seen] = np.inf
    row[COL.segment] = row[COL.previous] = -1
    return row


EMPTY_ROW = _empty_row()
"""A customer without events: minima start at infinity, ids at -1, everything else at 0."""


class CustomerTable:
    """All customers of one partition. Slots are dense, given once, in order of arrival."""

    def __init__(self) -> None:
        self.index = SlotIndex()
        self.ids = CustomerIds()
        self.rows = RowStore(EMPTY_ROW, BUYING)
        self.recent_events = RecentIds(EVENT_WINDOW_MINUTES)
        self.recent_orders = RecentIds(ORDER_WINDOW_MINUTES)
        self.carts = Carts()
        self.products: dict[int, str] = {}
        """Product ids by their hashes: of all that lies in a cart, and some more."""
        self.categories = CategoryNames()
        self.triggers: dict[int, bytes] = {}
        """By slot, the cart triggers of the last published record while they may not have been sent."""
        self._products_max = _PRODUCTS_FEW
        self._recent_max = _RECENT_FEW
        self._capacity = 0
        self._dirty: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._mark: NDArray[np.int32] = np.zeros(0, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dirty(self) -> NDArray[np.bool_]:
        """(len,) writable view: true where a row is newer than its last `rows.encode` that the caller cleared."""
        return self._dirty[: len(self.ids)]

    def add_all(self, customers: Sequence[str]) -> NDArray[np.int64]:
        """Slots of n distinct customers; those without are given one, with an empty row, in their order."""
        slots = self.index.find(customers)
        unknown = np.flatnonzero(slots < 0)
        if unknown.size:
            slots[unknown] = np.arange(len(self), len(self) + unknown.size)
            self.add_new([customers[at] for at in unknown.tolist()])
        return slots

    def add_new(self, customers: Sequence[str]) -> None:
        """Give distinct customers that have no slot the next ones, with empty rows."""
        self.index.add(customers, len(self.ids))
        self.ids.extend(customers)
        self.rows.make(len(self.ids))
        if len(self.ids) > self._capacity:
            self._grow(max(_FEWEST, 2 * len(self.ids)))

    def group(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sorted unique slots, and for each given slot its position among them (as `np.unique` with inverse).

        A slot below 0 is none: it is left out, and its position is -1.
        """
        unique = _distinct(slots, self._mark)
        unique.sort()
        return unique, _ranks(slots, unique, self._mark)

    def gather(self, slots: NDArray[np.int64]) -> NDArray[np.float64]:
        """(T, WIDTH) copy of the rows of T slots."""
        return self.rows.read(slots)

    def scatter(self, slots: NDArray[np.int64], rows: NDArray[np.float64]) -> None:
        """Write (T, WIDTH) rows back to T distinct slots."""
        self.rows.write(slots, rows)

    def mark_dirty(self, slots: NDArray[np.int64]) -> None:
        """Say that these rows are newer than what was last written of them."""
        self._dirty[slots] = True

    def column(self, name: str) -> NDArray[np.float64]:
        """(len,) copy of one column; bit columns come as uint64 seen as float64 (`.view(np.uint64)`)."""
        return self.span(name, 0, len(self.ids))

    def span(self, name: str, start: int, end: int) -> NDArray[np.float64]:
        """(end - start,) copy of one column of the slots from `start` to before `end`."""
        return self.rows.span(POSITION[name], start, end)

    def settle_carts(self, slots: NDArray[np.int64], rows: NDArray[np.float64]) -> None:
        """Settle the carts of T slots that have one, and set the cart columns of their rows (T, WIDTH) in place."""
        held = self.carts.settle(slots, rows[:, COL.last_seen], rows[:, COL.last_order_at])
        rows[:, _CART] = held

    def tally(self, name: str) -> dict[int, int]:
        """Count customers by the whole number that a column holds."""
        values, sizes = np.unique(self.column(name).astype(np.int64), return_counts=True)
        return dict(zip(values.tolist(), sizes.tolist(), strict=True))

    @property
    def crowded(self) -> bool:
        """Whether `prune` may save memory: a quarter more customers have recent ids than after the last one.

        A backlog brings in a minute whom a shop sees in days.
        """
        return len(self.recent_events) > self._recent_max

    def forget(self, slot: int) -> list[int]:
        """Let go of everything of one customer; the last customer takes the slot, and the slot `len` is no more.

        Returns slots whose rows are to be written now: they hold what other rows held before.
        """
        last = len(self) - 1
        here, there = np.array([slot]), np.array([last])
        for recent in (self.recent_events, self.recent_orders):
            recent.move(last, slot)
        self.carts.put(slot, self.carts.blobs.get(last) if last != slot else None)
        self.carts.put(last, None)
        self.triggers.pop(slot, None)
        if last in self.triggers:
            self.triggers[slot] = self.triggers.pop(last)
        heir = slot if slot != last else 0
        inherits = self.categories.move(slot, last, heir)
        self.scatter(here, self.gather(there))
        self.scatter(there, EMPTY_ROW[None, :])
        self._dirty[slot], self._dirty[last] = self._dirty[last] and last != slot, False
        self.index.put(self.ids[slot], -1)
        if last != slot:
            self.index.put(self.ids[last], slot)
        self.ids.forget(slot)
        return [heir] if len(self) and (inherits or slot != last) else []

    def prune(self, oldest_watermark_ms: int) -> int:
        """Forget recent ids that no event in time can repeat any more; how many customers' sets were freed.

        Exact: what is forgotten could not have matched (`models.recent`), so when this runs changes no result.
        """
        if len(self.products) > self._products_max:
            held = self.carts.products()
            self.products = {product: name for product, name in self.products.items() if product in held}
            self._products_max = max(_PRODUCTS_FEW, 2 * len(self.products))
        last_seen = self.column("last_seen")
        freed = self.recent_events.prune(last_seen, oldest_watermark_ms)
        freed += self.recent_orders.prune(last_seen, oldest_watermark_ms)
        self._recent_max = max(_RECENT_FEW, len(self.recent_events) * 5 // 4)
        return freed

    def _grow(self, capacity: int) -> None:
        """Make room beside the rows for slots below `capacity`."""
        self._capacity = capacity
        self._dirty = grown(self._dirty, capacity)
        self._mark = grown(self._mark, capacity)
        self.recent_events.grow(capacity)
        self.recent_orders.grow(capacity)
        self.carts.grow(capacity)


@compiled
def _distinct(slots: NDArray[np.int64], mark: NDArray[np.int32]) -> NDArray[np.int64]:
    """Each slot that is at least 0 once; `mark` is one scratch cell a customer, which replaces sorting all."""
    for at in range(len(slots)):
        if slots[at] >= 0:
            mark[slots[at]] = -1
    found = np.empty(len(slots), dtype=np.int64)
    count = 0
    for at in range(len(slots)):
        if slots[at] >= 0 and mark[slots[at]] < 0:
            mark[slots[at]] = count
            found[count] = slots[at]
            count += 1
    return found[:count]


@compiled
def _ranks(slots: NDArray[np.int64], unique: NDArray[np.int64], mark: NDArray[np.int32]) -> NDArray[np.int64]:
    """Position of each slot among the unique ones, -1 for those below 0."""
    for at in range(len(unique)):
        mark[unique[at]] = at
    ranks = np.full(len(slots), -1, dtype=np.int64)
    for at in range(len(slots)):
        if slots[at] >= 0:
            ranks[at] = mark[slots[at]]
    return ranks

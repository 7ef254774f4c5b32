"""The customers of one partition as columns: customer id -> slot, and one row-major matrix in blocks of slots.

A row of the matrix is one customer's dense state and, byte for byte, the heart of its changelog row. What few customers
have (recent ids, carts) is kept beside it, sparsely. Nothing here decides anything: `models.apply` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.carts import Carts
from models.index import SlotIndex
from models.recent import EVENT_WINDOW_MINUTES, ORDER_WINDOW_MINUTES, RecentIds
from models.slots import grown

_BLOCK_BITS = 16
BLOCK = 1 << _BLOCK_BITS
"""Slots of one block. Growth never copies; a block's memory is only taken as its rows are made, `_FILL` at a time; few
blocks are quick to gather from."""
_FILL = 1024

COUNTED = ("views", "cart_adds", "cart_removes", "checkouts", "searches", "wishlist_adds")
"""The actions that are counted with decay, in column order within each half-life."""


class COL:
    """Position of each column in a row, plain integers because they index in the hot path (an enum costs 1 us there).

    A change is a new row version (`models.rows`).
    """

    first_seen = 0  # ms; inf until the first event
    last_seen = 1  # ms; 0 until the first event
    last_order_at = 2  # ms; 0 = never
    events = 3
    duplicates = 4
    late = 5
    custom = 6
    orders = 7
    spend_minor = 8
    refunds_minor = 9
    orders_hl7d = 10
    orders_hl30d = 11
    orders_hl180d = 12
    spend_hl7d = 13
    spend_hl30d = 14
    spend_hl180d = 15
    views_hl1d = 16
    cart_adds_hl1d = 17
    cart_removes_hl1d = 18
    checkouts_hl1d = 19
    searches_hl1d = 20
    wishlist_adds_hl1d = 21
    views_hl7d = 22
    cart_adds_hl7d = 23
    cart_removes_hl7d = 24
    checkouts_hl7d = 25
    searches_hl7d = 26
    wishlist_adds_hl7d = 27
    views_hl30d = 28
    cart_adds_hl30d = 29
    cart_removes_hl30d = 30
    checkouts_hl30d = 31
    searches_hl30d = 32
    wishlist_adds_hl30d = 33
    ring0 = 34  # uint64 bits, read through a view
    ring1 = 35
    ring2 = 36
    ring3 = 37
    ring4 = 38
    ring5 = 39
    products = 40  # uint64 bits
    next_clickstream = 41
    next_purchases = 42
    cart_value_minor = 43
    cart_items = 44
    cart_added_at = 45  # ms; time of the oldest add that counts, 0 without one
    cart_watch = 46  # ms; time of the oldest thing that counts, 0 without one, negative where the cart is truncated
    # From here on: the published part, which `models.apply` never touches.
    segment = 47  # -1 = none
    previous = 48  # -1 = none
    since = 49
    rev = 50
    ver = 51
    epoch = 52
    change_epoch = 53
    change_seq = 54
    change_reason = 55
    change_model = 56
    names = 57  # the previous segment's name << 16 | the present one's, as indexes of the partition's names
    cart_state = 58
    record_seq = 59  # the partition's sequence number of the last published record
    as_of = 60  # ms; when the record was last published
    confidence = 61


COLUMNS: tuple[str, ...] = tuple(name for name, place in vars(COL).items() if isinstance(place, int))
POSITION: Mapping[str, int] = MappingProxyType({name: place for place, name in enumerate(COLUMNS)})
"""Position of a column by name."""
WIDTH = len(COLUMNS)
ROW_BYTES = WIDTH * 8
RING = slice(int(COL.ring0), int(COL.ring5) + 1)
BIT_COLUMNS = frozenset({*COLUMNS[RING], "products"})
"""Columns whose 64 bits are a uint64: arithmetic on them as float64 is meaningless."""


def _fading(half_life_days: int) -> NDArray[np.int64]:
    return np.array([place for name, place in POSITION.items() if name.endswith(f"_hl{half_life_days}d")])


FADING: Mapping[int, NDArray[np.int64]] = MappingProxyType({days: _fading(days) for days in (1, 7, 30, 180)})
"""Columns that fade, by half-life in days."""


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
        self.ids: list[str] = []
        self.blocks: list[NDArray[np.float64]] = []
        self.recent_events = RecentIds(EVENT_WINDOW_MINUTES)
        self.recent_orders = RecentIds(ORDER_WINDOW_MINUTES)
        self.carts = Carts()
        self._made = 0
        self._capacity = 0
        self._dirty: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._mark: NDArray[np.int32] = np.zeros(0, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dirty(self) -> NDArray[np.bool_]:
        """(len,) writable view: true where a row is newer than its last `rows.encode` that the caller cleared."""
        return self._dirty[: len(self.ids)]

    def add(self, customer: str) -> int:
        """Slot of a customer, given one with an empty row if it has none."""
        return int(self.add_all([customer])[0])

    def add_all(self, customers: Sequence[str]) -> NDArray[np.int64]:
        """Slots of n distinct customers; those without are given one, with an empty row, in their order."""
        slots = self.index.find(customers)
        unknown = np.flatnonzero(slots < 0)
        if unknown.size:
            first = len(self.ids)
            new = [customers[at] for at in unknown.tolist()]
            self.index.add(new, first)
            self.ids += new
            slots[unknown] = np.arange(first, len(self.ids))
            while self._made < len(self.ids):
                self._extend()
        return slots

    def group(self, slots: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sorted unique slots, and for each given slot its position among them (as `np.unique` with inverse).

        One scratch cell a customer replaces the sort: a third of `np.unique`'s time at 4,800 events.
        """
        mark = self._mark
        positions = np.arange(len(slots), dtype=np.int32)
        mark[slots] = positions
        unique = slots[mark[slots] == positions]
        unique.sort()
        mark[unique] = positions[: len(unique)]
        return unique, mark[slots].astype(np.int64)

    def gather(self, slots: NDArray[np.int64]) -> NDArray[np.float64]:
        """(T, WIDTH) copy of the rows of *sorted* slots."""
        if len(self.blocks) == 1:
            return self.blocks[0].take(slots, axis=0)
        rows = np.empty((len(slots), WIDTH))
        for block, start, end in self._parts(slots):
            # "clip" lets take write into `out` without a buffer; the slots are in range.
            block.take(slots[start:end] & (BLOCK - 1), axis=0, out=rows[start:end], mode="clip")
        return rows

    def scatter(self, slots: NDArray[np.int64], rows: NDArray[np.float64]) -> None:
        """Write (T, WIDTH) rows back to *sorted* slots."""
        for block, start, end in self._parts(slots):
            block[slots[start:end] & (BLOCK - 1)] = rows[start:end]

    def mark_dirty(self, slots: NDArray[np.int64]) -> None:
        """Say that these rows are newer than what was last written of them."""
        self._dirty[slots] = True

    def column(self, name: str) -> NDArray[np.float64]:
        """(len,) copy of one column; bit columns come as uint64 seen as float64 (`.view(np.uint64)`)."""
        position = POSITION[name]
        if not self.blocks:
            return np.empty(0)
        return np.concatenate([block[:, position] for block in self.blocks])[: len(self.ids)]

    def settle_carts(self, slots: NDArray[np.int64], rows: NDArray[np.float64]) -> None:
        """Settle the carts of T slots that have one, and set the cart columns of their rows (T, WIDTH) in place."""
        held = self.carts.settle(slots, rows[:, COL.last_seen], rows[:, COL.last_order_at])
        rows[:, COL.cart_value_minor] = held.value_minor
        rows[:, COL.cart_items] = held.items
        rows[:, COL.cart_added_at] = held.oldest_add_ms
        rows[:, COL.cart_watch] = np.where(held.truncated, -held.watch_ms, held.watch_ms)

    def tally(self, name: str) -> dict[int, int]:
        """Count customers by the whole number that a column holds."""
        values, sizes = np.unique(self.column(name).astype(np.int64), return_counts=True)
        return dict(zip(values.tolist(), sizes.tolist(), strict=True))

    def prune(self, oldest_watermark_ms: int) -> int:
        """Forget recent ids that no event in time can repeat any more; how many customers' sets were freed.

        Exact: what is forgotten could not have matched (`models.recent`), so when this runs changes no result.
        """
        last_seen = self.column("last_seen")
        return self.recent_events.prune(last_seen, oldest_watermark_ms) + self.recent_orders.prune(
            last_seen, oldest_watermark_ms
        )

    def _parts(self, slots: NDArray[np.int64]) -> list[tuple[NDArray[np.float64], int, int]]:
        """(block, start, end) of the runs of sorted slots that share a block."""
        if len(self.blocks) == 1:
            return [(self.blocks[0], 0, len(slots))]
        bounds = np.searchsorted(slots, np.arange(len(self.blocks) + 1) << _BLOCK_BITS).tolist()
        return [(block, a, b) for block, a, b in zip(self.blocks, bounds[:-1], bounds[1:], strict=True) if b > a]

    def _extend(self) -> None:
        """Make the next `_FILL` rows."""
        inside = self._made % BLOCK
        if inside == 0:
            self.blocks.append(np.empty((BLOCK, WIDTH)))
        self.blocks[-1][inside : inside + _FILL] = EMPTY_ROW
        self._made += _FILL
        if self._made > self._capacity:
            self._capacity = 2 * self._made
            self._dirty = grown(self._dirty, self._capacity, fill=False)
            self._mark = grown(self._mark, self._capacity, fill=0)
            self.recent_events.grow(self._capacity)
            self.recent_orders.grow(self._capacity)
            self.carts.grow(self._capacity)

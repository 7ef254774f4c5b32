"""Apply one decoded batch to a partition's customers: a handful of vectorised steps, the same result as one by one.

Order of the steps, which is the order in which an event can fall out:

1. its customer gets a slot; a new customer's key is looked at (`refused`);
2. its offset lies below its customer's next offset of that topic (`replayed`: it was counted before a crash);
3. its id is known, or it is the `purchase` of a known order (`duplicates`: nothing moves but that counter);
4. else it is applied. Late events are too; they are only not looked up among the recent ids.

Sums, maxima and sets do not mind order (class A of the semantics); what does is decided in arrival order in step 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models import activity, decay
from models.batch import SOURCES, EventBatch
from models.carts import WINDOW_MS
from models.columns import COL, FADING, RING, WIDTH, CustomerTable
from models.recent import LATE_MS, RecentIds
from models.selection import Selection, select_all
from schemas.kinds import Kind

Admit = Callable[[str, bytes | None], bool]
"""(customer id, Kafka key) -> whether the key is the right one; asked once per new customer."""


class Watermarks(NamedTuple):
    """Newest event time (ms) seen per source topic of a partition, 0 before the first; durable with the offsets."""

    clickstream: int = 0
    purchases: int = 0

    @property
    def oldest(self) -> int:
        """The least of those topics that had events: how far `CustomerTable.prune` may go."""
        return min((time for time in self if time), default=0)


@dataclass(frozen=True, slots=True)
class Applied:
    """What one batch did. refused + replayed + duplicates + applied = events."""

    touched: NDArray[np.int64]
    """(T,) sorted slots of customers that an event was applied to or a duplicate counted for."""
    rows: NDArray[np.float64]
    """(T, WIDTH) copy of their rows as they now are."""
    positions: NDArray[np.int64]
    """Positions in the batch of the applied events."""
    applied: int
    duplicates: int
    late: int
    """Of the applied."""
    custom: int
    """Of the applied."""
    replayed: int
    refused: list[int]
    """Positions of events whose key is not their customer's: `key_mismatch`."""
    cart_touched: NDArray[np.int64]
    """(t,) sorted slots whose cart was judged anew: only theirs may hold something else than before."""
    watermarks: Watermarks
    reasons: dict[str, int] = field(default_factory=dict)
    """Duplicates by reason: event_repeat, order_repeat."""


_COUNTS = {1: COL.views_hl1d, 7: COL.views_hl7d, 30: COL.views_hl30d}
"""First of the counted actions' columns by half-life."""
_ORDERS = {7: COL.orders_hl7d, 30: COL.orders_hl30d, 180: COL.orders_hl180d}
_SPEND = {7: COL.spend_hl7d, 30: COL.spend_hl30d, 180: COL.spend_hl180d}

_COUNTED_AT = np.full(len(Kind), -1)
"""Place of each kind of event among the counted actions, -1 for none."""
for _place, _kind in enumerate(
    (Kind.VIEW_ITEM, Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART, Kind.BEGIN_CHECKOUT, Kind.SEARCH, Kind.ADD_TO_WISHLIST)
):
    _COUNTED_AT[_kind] = _place
_COUNT_DAYS = np.array(list(_COUNTS))[:, None]
_COUNT_CELLS = np.array(list(_COUNTS.values()))[:, None]
_ORDER_DAYS = np.array(list(_ORDERS))[:, None]
_ORDER_CELLS = np.array(list(_ORDERS.values()))[:, None]
_SPEND_CELLS = np.array(list(_SPEND.values()))[:, None]

_ACTIVITY, _PURCHASE, _ORDER_LINE, _REFUND = (
    int(kind) for kind in (Kind.ACTIVITY, Kind.PURCHASE, Kind.ORDER_LINE, Kind.REFUND)
)


def apply(table: CustomerTable, batch: EventBatch, watermarks: Watermarks, admit: Admit) -> Applied:
    """Apply a batch, in log order per source topic, to the table; `watermarks` are those before it.

    Any split of the same events into batches gives the same table, counters and watermarks.
    """
    if not len(batch):
        return _nothing(watermarks)
    slots, refused = _resolve(table, batch, admit)
    watermarks, late = _lateness(batch, watermarks)
    events = select_all(batch, slots, late)
    if refused:
        events = events.kept(slots >= 0)
    group = _Group(table, events.slot)
    replays = events.offset < group.flat[group.next_cell(events)]
    replayed = int(np.count_nonzero(replays))
    if replayed:
        events = events.kept(~replays)
        group = _Group(table, events.slot)
    np.maximum.at(group.flat, group.next_cell(events), events.offset + 1.0)

    events, repeats = _drop_event_repeats(table, events, group)
    events, new_orders, order_repeats = _drop_order_repeats(table, events, group)
    custom, late_count = _add(events, group, new_orders) if len(events) else (0, 0)
    settled = _settle_carts(table, events, group)
    table.scatter(group.touched, group.rows)
    table.mark_dirty(group.touched)
    reasons = {"event_repeat": repeats, "order_repeat": order_repeats}
    return Applied(
        touched=group.touched,
        rows=group.rows,
        positions=events.position,
        applied=len(events),
        duplicates=repeats + order_repeats,
        late=late_count,
        custom=custom,
        replayed=replayed,
        refused=refused,
        cart_touched=settled,
        watermarks=watermarks,
        reasons={reason: count for reason, count in reasons.items() if count},
    )


class _Group:
    """The customers of some events: their slots, a working copy of their rows, and whose each event is."""

    __slots__ = ("flat", "row", "rows", "touched")

    def __init__(self, table: CustomerTable, slot: NDArray[np.int64]) -> None:
        self.touched, self.row = table.group(slot)
        self.rows = table.gather(self.touched)
        self.flat = self.rows.reshape(-1)

    def next_cell(self, events: Selection) -> NDArray[np.int64]:
        """Cell of each event's next offset, that of its own topic."""
        return self.row * WIDTH + COL.next_clickstream + events.source

    def count_duplicates(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> None:
        np.add.at(self.flat, self.row[which] * WIDTH + COL.duplicates, 1.0)


def _nothing(watermarks: Watermarks) -> Applied:
    none = np.empty(0, dtype=np.int64)
    return Applied(none, np.empty((0, WIDTH)), none, 0, 0, 0, 0, 0, [], none, watermarks)


def _resolve(table: CustomerTable, batch: EventBatch, admit: Admit) -> tuple[NDArray[np.int64], list[int]]:
    """(E,) slots, -1 where refused, and the refused positions."""
    slots = table.index.find(batch.customer)
    unknown = slots < 0
    if not np.count_nonzero(unknown):
        return slots, []
    positions = np.flatnonzero(unknown).tolist()
    new: dict[str, int] = {}
    refused = []
    for position in positions:
        customer = batch.customer[position]
        if customer not in new:
            if not admit(customer, batch.key[position]):
                refused.append(position)
                continue
            new[customer] = len(table) + len(new)
    table.add_all(list(new))
    slots[positions] = [new.get(batch.customer[position], -1) for position in positions]
    slots[refused] = -1
    return slots, refused


def _lateness(batch: EventBatch, watermarks: Watermarks) -> tuple[Watermarks, NDArray[np.bool_] | None]:
    """Find the watermarks after the batch, and which events were late when their turn came."""
    newest = np.array(watermarks)
    np.maximum.at(newest, batch.source, batch.time_ms)
    after = Watermarks(*newest.tolist())
    if int(batch.time_ms.min()) >= max(after) - LATE_MS:
        return after, None
    late = np.zeros(len(batch), dtype=np.bool_)
    for source in range(len(SOURCES)):
        mine = np.flatnonzero(batch.source == source)
        if mine.size:
            times = batch.time_ms[mine]
            running = np.maximum(np.maximum.accumulate(times), watermarks[source])
            late[mine] = times < running - LATE_MS
    return after, late if np.count_nonzero(late) else None


def _drop_event_repeats(table: CustomerTable, events: Selection, group: _Group) -> tuple[Selection, int]:
    ids = table.recent_events
    if events.late is None:
        known = ids.admit(group.touched, group.row, events.time_ms, events.event_hash)
    else:
        known = _admit_some(table, ids, events.slot, (events.time_ms, events.event_hash), np.flatnonzero(~events.late))
    if known is None:
        return events, 0
    group.count_duplicates(known)
    group.row = group.row[~known]
    return events.kept(~known), int(np.count_nonzero(known))


def _drop_order_repeats(
    table: CustomerTable, events: Selection, group: _Group
) -> tuple[Selection, NDArray[np.bool_], int]:
    """Drop repeated purchases; also (O,) which of the remaining order entries open an order."""
    at = events.order_event
    if not at.size:
        return events, np.empty(0, dtype=np.bool_), 0
    kind = events.kind[at]
    buys = kind != _REFUND
    # A late order line is still looked up, as well as memory allows: a backfill's orders would count once per line.
    asked = buys if events.late is None else buys & (~events.late[at] | (kind == _ORDER_LINE))
    ids = (events.time_ms[at], events.order_hash)
    known = _admit_some(table, table.recent_orders, events.slot[at], ids, np.flatnonzero(asked))
    if known is None:
        return events, buys, 0
    opens = buys & ~known
    repeated = known & (kind == _PURCHASE)
    count = int(np.count_nonzero(repeated))
    if not count:
        return events, opens, 0
    gone = at[repeated]
    group.count_duplicates(gone)
    keep = np.ones(len(events), dtype=np.bool_)
    keep[gone] = False
    group.row = group.row[keep]
    return events.kept(keep), opens[~repeated], count


def _admit_some(
    table: CustomerTable,
    ids: RecentIds,
    slot: NDArray[np.int64],
    times_and_hashes: tuple[NDArray[np.int64], NDArray[np.uint64]],
    asked: NDArray[np.int64],
) -> NDArray[np.bool_] | None:
    """`RecentIds.admit` for those of N ids that are asked about."""
    if not asked.size:
        return None
    time_ms, hashes = times_and_hashes
    customers, row = table.group(slot[asked])
    some = ids.admit(customers, row, time_ms[asked], hashes[asked])
    if some is None:
        return None
    known = np.zeros(len(slot), dtype=np.bool_)
    known[asked] = some
    return known


def _add(events: Selection, group: _Group, new_orders: NDArray[np.bool_]) -> tuple[int, int]:
    """Everything that commutes, into the gathered rows; (custom, late) events."""
    base = group.row * WIDTH
    days = _advance(events, group, base)
    cells, amounts = [base + COL.events], [np.ones(len(events))]
    counted = _COUNTED_AT[events.kind]
    which = np.flatnonzero(counted >= 0)
    if which.size:
        cells.append((base[which] + counted[which] + _COUNT_CELLS).reshape(-1))
        amounts.append(decay.weight(days[which], _COUNT_DAYS).reshape(-1))
    if events.order_event.size:
        _add_orders(events, group, (base, days), new_orders, (cells, amounts))
    custom_at = base[events.kind == _ACTIVITY]
    late_at = base[:0] if events.late is None else base[events.late]
    for where in (custom_at + COL.custom, late_at + COL.late):
        if len(where):
            cells.append(where)
            amounts.append(np.ones(len(where)))
    np.add.at(group.flat, np.concatenate(cells), np.concatenate(amounts))
    if events.item_event.size:
        bit = (events.item_product >> np.uint64(58)).view(np.int64)
        products = activity.bitmaps(group.row[events.item_event], bit, len(group.rows))
        group.rows.view(np.uint64)[:, COL.products] |= products
    return len(custom_at), len(late_at)


def _advance(events: Selection, group: _Group, base: NDArray[np.int64]) -> NDArray[np.float64]:
    """Move first and last event, landmark and ring; (N,) days of each event from its customer's landmark."""
    rows = group.rows
    before = rows[:, COL.last_seen].copy()
    times = events.time_ms.astype(np.float64)
    np.minimum.at(group.flat, base + COL.first_seen, times)
    np.maximum.at(group.flat, base + COL.last_seen, times)
    after = rows[:, COL.last_seen].copy()
    cells = decay.cell(after)
    left = decay.cell(before)
    if np.count_nonzero(cells != left):
        # A new customer crosses too, from no time at all, with nothing to scale.
        crossed = np.flatnonzero(cells != left)
        moved = cells[crossed] - left[crossed]
        for half_life, columns in FADING.items():
            part = crossed[:, None], columns
            rows[part] = decay.rebase(rows[part], moved, half_life)
    ring = rows.view(np.uint64)[:, RING]
    half_hour = (after // activity.HALF_HOUR_MS).astype(np.int64)
    steps = half_hour - (before // activity.HALF_HOUR_MS).astype(np.int64)
    moved_on = np.flatnonzero(steps)
    if moved_on.size:
        ring[moved_on] = activity.shift(ring[moved_on], steps[moved_on])
    age = half_hour[group.row] - events.time_ms // activity.HALF_HOUR_MS
    if events.order_event.size:
        acts = events.kind < _PURCHASE
        activity.mark(ring, group.row[acts], age[acts])
    else:
        activity.mark(ring, group.row, age)
    return decay.days_from_landmark(times, cells[group.row])


def _add_orders(
    events: Selection,
    group: _Group,
    base_and_days: tuple[NDArray[np.int64], NDArray[np.float64]],
    new_orders: NDArray[np.bool_],
    sums: tuple[list[NDArray[np.int64]], list[NDArray[np.float64]]],
) -> None:
    """Move the last orders, and append what purchases, order lines and refunds add to (cells, amounts)."""
    cells, amounts = sums
    order = events.order_event
    base, days = base_and_days[0][order], base_and_days[1][order]
    buys = events.kind[order] != _REFUND
    money = events.order_amount_minor.astype(np.float64)
    # A refund moves no recency: it writes 0, which is never later.
    np.maximum.at(group.flat, base + COL.last_order_at, (events.time_ms[order] * buys).astype(np.float64))
    weights = decay.weight(days, _ORDER_DAYS)
    opened = base[new_orders]
    cells += [
        base + np.where(buys, COL.spend_minor, COL.refunds_minor),
        (base + _SPEND_CELLS).reshape(-1),
        opened + COL.orders,
        (opened + _ORDER_CELLS).reshape(-1),
    ]
    signed = np.where(buys, money, -money)
    amounts += [money, (signed * weights).reshape(-1), np.ones(len(opened)), weights[:, new_orders].reshape(-1)]


def _settle_carts(table: CustomerTable, events: Selection, group: _Group) -> NDArray[np.int64]:
    """Add cart operations, and judge the carts again that they, an order or 30 days may have changed; their slots."""
    at = events.cart_event
    if at.size:
        table.carts.append(
            events.slot[at],
            time_ms=events.time_ms[at],
            event_hash=events.event_hash[at],
            product=events.cart_product,
            quantity=events.cart_quantity,
            price_minor=events.cart_price_minor,
        )
    rows = group.rows
    watch = np.abs(rows[:, COL.cart_watch])
    stale = (watch > 0) & (watch <= rows[:, COL.last_seen] - WINDOW_MS)
    stale[group.row[at]] = True
    stale[group.row[events.order_event]] = True
    which = np.flatnonzero(stale)
    which = which[table.carts.has(group.touched[which])]
    slots = group.touched[which]
    if which.size:
        judged = rows[which]
        table.settle_carts(slots, judged)
        rows[which] = judged
    return slots

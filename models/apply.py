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
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models import activity, decay
from models.batch import SOURCES, EventBatch
from models.columns import COL, RING, WIDTH, CustomerTable
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
    """(t,) touched slots that have anything of a cart: only theirs may read differently."""
    watermarks: Watermarks
    reasons: dict[str, int] = field(default_factory=dict)
    """Duplicates by reason: event_repeat, order_repeat."""


_WIDTH = int(WIDTH)
_FIRST, _LAST, _LAST_ORDER = int(COL.first_seen), int(COL.last_seen), int(COL.last_order_at)
_NEXT = int(COL.next_clickstream)
_COUNTS_1D, _COUNTS_7D, _COUNTS_30D = int(COL.views_hl1d), int(COL.views_hl7d), int(COL.views_hl30d)
_ORDER_FADING = ((7, int(COL.orders_hl7d)), (30, int(COL.orders_hl30d)), (180, int(COL.orders_hl180d)))
_SPEND_FADING = ((7, int(COL.spend_hl7d)), (30, int(COL.spend_hl30d)), (180, int(COL.spend_hl180d)))
FADING = (
    (7, (_ORDER_FADING[0][1], _SPEND_FADING[0][1], *range(_COUNTS_7D, _COUNTS_7D + 6))),
    (30, (_ORDER_FADING[1][1], _SPEND_FADING[1][1], *range(_COUNTS_30D, _COUNTS_30D + 6))),
    (180, (_ORDER_FADING[2][1], _SPEND_FADING[2][1])),
    (1, tuple(range(_COUNTS_1D, _COUNTS_1D + 6))),
)
"""(half-life in days, the columns that fade with it)."""

_COUNTED_AT = np.full(len(Kind), -1)
for _place, _kind in enumerate(
    (Kind.VIEW_ITEM, Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART, Kind.BEGIN_CHECKOUT, Kind.SEARCH, Kind.ADD_TO_WISHLIST)
):
    _COUNTED_AT[_kind] = _place


def apply(table: CustomerTable, batch: EventBatch, watermarks: Watermarks, admit: Admit) -> Applied:
    """Apply a batch, in log order per source topic, to the table; `watermarks` are those before it.

    Any split of the same events into batches gives the same table, counters and watermarks.
    """
    slots, refused = _resolve(table, batch, admit)
    watermarks, late = _lateness(batch, watermarks)
    events = select_all(batch, slots, late)
    if refused:
        events = events.kept(slots >= 0)
    touched, row = table.group(events.slot)
    rows = table.gather(touched)
    flat = rows.reshape(-1)
    replays = events.offset < flat[row * _WIDTH + _NEXT + events.source]
    replayed = int(np.count_nonzero(replays))
    if replayed:
        events = events.kept(~replays)
        touched, row = table.group(events.slot)
        rows = table.gather(touched)
        flat = rows.reshape(-1)
    np.maximum.at(flat, row * _WIDTH + _NEXT + events.source, events.offset + 1.0)

    events, row, repeats = _drop_event_repeats(table, events, touched, row, flat)
    events, row, new_orders, order_repeats = _drop_order_repeats(table, events, row, flat)
    custom, late_count = _add(events, row, rows, flat, new_orders)
    table.scatter(touched, rows)
    table.mark_dirty(touched)
    _operate_carts(table, events, touched, rows)
    return Applied(
        touched=touched,
        rows=rows,
        positions=events.position,
        applied=len(events),
        duplicates=repeats + order_repeats,
        late=late_count,
        custom=custom,
        replayed=replayed,
        refused=refused,
        cart_touched=table.carts.having(touched),
        watermarks=watermarks,
        reasons={
            reason: count for reason, count in (("event_repeat", repeats), ("order_repeat", order_repeats)) if count
        },
    )


def _resolve(table: CustomerTable, batch: EventBatch, admit: Admit) -> tuple[NDArray[np.int64], list[int]]:
    """(E,) slots, -1 where refused, and the refused positions."""
    slots = np.fromiter(map(table.index.get, batch.customer, repeat(-1)), np.int64, len(batch))
    refused: list[int] = []
    missing = np.flatnonzero(slots < 0)
    if missing.size:
        added = []
        for position in missing.tolist():
            customer = batch.customer[position]
            slot = table.index.get(customer, -1)
            if slot < 0:
                if admit(customer, batch.key[position]):
                    slot = table.add(customer)
                else:
                    refused.append(position)
            added.append(slot)
        slots[missing] = added
    return slots, refused


def _lateness(batch: EventBatch, watermarks: Watermarks) -> tuple[Watermarks, NDArray[np.bool_] | None]:
    """Find the watermarks after the batch, and which events were late when their turn came."""
    late: NDArray[np.bool_] | None = None
    newest = list(watermarks)
    for source in range(len(SOURCES)):
        mine = np.flatnonzero(batch.source == source)
        if not mine.size:
            continue
        times = batch.time_ms[mine]
        newest[source] = max(newest[source], int(times.max()))
        if int(times.min()) < newest[source] - LATE_MS:
            running = np.maximum(np.maximum.accumulate(times), watermarks[source])
            behind = times < running - LATE_MS
            if behind.any():
                late = np.zeros(len(batch), dtype=np.bool_) if late is None else late
                late[mine[behind]] = True
    return Watermarks(*newest), late


def _drop_event_repeats(
    table: CustomerTable,
    events: Selection,
    touched: NDArray[np.int64],
    row: NDArray[np.int64],
    flat: NDArray[np.float64],
) -> tuple[Selection, NDArray[np.int64], int]:
    if events.late is None:
        known = table.recent_events.admit(touched, row, events.time_ms, events.event_hash)
    else:
        timely = np.flatnonzero(~events.late)
        known = _admit_some(
            table,
            table.recent_events,
            events.slot,
            time_ms=events.time_ms,
            hashes=events.event_hash,
            asked=timely,
        )
    if known is None:
        return events, row, 0
    np.add.at(flat, row[known] * _WIDTH + COL.duplicates, 1.0)
    return events.kept(~known), row[~known], int(np.count_nonzero(known))


def _drop_order_repeats(
    table: CustomerTable,
    events: Selection,
    row: NDArray[np.int64],
    flat: NDArray[np.float64],
) -> tuple[Selection, NDArray[np.int64], NDArray[np.bool_], int]:
    """Drop repeated purchases; also (O,) which of the remaining order entries open an order."""
    at = events.order_event
    if not at.size:
        return events, row, np.empty(0, dtype=np.bool_), 0
    kind = events.kind[at]
    buys = kind != Kind.REFUND
    # A late order line is still looked up, as well as memory allows: a backfill's orders would count once per line.
    asked = buys if events.late is None else buys & (~events.late[at] | (kind == Kind.ORDER_LINE))
    known = _admit_some(
        table,
        table.recent_orders,
        events.slot[at],
        time_ms=events.time_ms[at],
        hashes=events.order_hash,
        asked=np.flatnonzero(asked),
    )
    if known is None:
        return events, row, buys, 0
    opens = buys & ~known
    repeated = known & (kind == Kind.PURCHASE)
    count = int(np.count_nonzero(repeated))
    if not count:
        return events, row, opens, 0
    gone = at[repeated]
    np.add.at(flat, row[gone] * _WIDTH + COL.duplicates, 1.0)
    keep = np.ones(len(events), dtype=np.bool_)
    keep[gone] = False
    return events.kept(keep), row[keep], opens[~repeated], count


def _admit_some(
    table: CustomerTable,
    ids: RecentIds,
    slot: NDArray[np.int64],
    *,
    time_ms: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    asked: NDArray[np.int64],
) -> NDArray[np.bool_] | None:
    """`RecentIds.admit` for those of N ids that are asked about."""
    if not asked.size:
        return None
    customers, row = table.group(slot[asked])
    some = ids.admit(customers, row, time_ms[asked], hashes[asked])
    if some is None:
        return None
    known = np.zeros(len(slot), dtype=np.bool_)
    known[asked] = some
    return known


def _add(
    events: Selection,
    row: NDArray[np.int64],
    rows: NDArray[np.float64],
    flat: NDArray[np.float64],
    new_orders: NDArray[np.bool_],
) -> tuple[int, int]:
    """Everything that commutes, into the gathered rows; (custom, late) events."""
    if not len(events):
        return 0, 0
    base = row * _WIDTH
    days = _advance(events, row, base, rows, flat)
    at, amounts = [base + COL.events], [np.ones(len(events))]
    custom_at = base[events.kind == Kind.ACTIVITY]
    if custom_at.size:
        at.append(custom_at + COL.custom)
        amounts.append(np.ones(len(custom_at)))
    late_count = 0
    if events.late is not None:
        late_at = base[events.late]
        late_count = len(late_at)
        at.append(late_at + COL.late)
        amounts.append(np.ones(late_count))
    counted = _COUNTED_AT[events.kind]
    which = np.flatnonzero(counted >= 0)
    if which.size:
        cell_at, age = base[which] + counted[which], days[which]
        at += [cell_at + _COUNTS_1D, cell_at + _COUNTS_7D, cell_at + _COUNTS_30D]
        amounts += [decay.weight(age, 1), decay.weight(age, 7), decay.weight(age, 30)]
    if events.order_event.size:
        np.maximum.at(flat, *_latest_orders(events, base))
        _order_amounts(events, base, days, new_orders, (at, amounts))
    np.add.at(flat, np.concatenate(at), np.concatenate(amounts))
    if events.item_event.size:
        bit = (events.item_product >> np.uint64(58)).astype(np.int64)
        rows.view(np.uint64)[:, COL.products] |= activity.bitmaps(row[events.item_event], bit, len(rows))
    return len(custom_at), late_count


def _advance(
    events: Selection,
    row: NDArray[np.int64],
    base: NDArray[np.int64],
    rows: NDArray[np.float64],
    flat: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Move first and last event, landmark and ring; (N,) days of each event from its customer's landmark."""
    before = rows[:, _LAST].copy()
    np.minimum.at(flat, base + _FIRST, events.time_ms.astype(np.float64))
    np.maximum.at(flat, base + _LAST, events.time_ms.astype(np.float64))
    after = rows[:, _LAST]
    cells = decay.cell(after)
    crossed = np.flatnonzero((cells != decay.cell(before)) & (before > 0))
    if crossed.size:
        moved = cells[crossed] - decay.cell(before[crossed])
        for half_life, columns in FADING:
            part = crossed[:, None], np.array(columns)
            rows[part] = decay.rebase(rows[part], moved, half_life)
    ring = rows.view(np.uint64)[:, RING]
    half_hour = after.astype(np.int64) // activity.HALF_HOUR_MS
    steps = half_hour - before.astype(np.int64) // activity.HALF_HOUR_MS
    moved_on = np.flatnonzero((steps > 0) & (before > 0))
    if moved_on.size:
        ring[moved_on] = activity.shift(ring[moved_on], steps[moved_on])
    acts = events.kind < Kind.PURCHASE
    age = half_hour[row] - events.time_ms // activity.HALF_HOUR_MS
    if acts.all():
        activity.mark(ring, row, age)
    else:
        activity.mark(ring, row[acts], age[acts])
    return decay.days_from_landmark(events.time_ms, cells[row])


def _latest_orders(events: Selection, base: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cells of `last_order_at` and the times of purchases and order lines; refunds move no recency."""
    bought = events.order_event[events.kind[events.order_event] != Kind.REFUND]
    return base[bought] + _LAST_ORDER, events.time_ms[bought].astype(np.float64)


def _order_amounts(
    events: Selection,
    base: NDArray[np.int64],
    days: NDArray[np.float64],
    new_orders: NDArray[np.bool_],
    sums: tuple[list[NDArray[np.int64]], list[NDArray[np.float64]]],
) -> None:
    """Append what purchases, order lines and refunds add to the (cells, amounts) of `sums`."""
    at, amounts = sums
    order = events.order_event
    buys = events.kind[order] != Kind.REFUND
    where, age, money = base[order], days[order], events.order_amount_minor.astype(np.float64)
    opened = where[new_orders]
    signed = np.where(buys, money, -money)
    at += [where + np.where(buys, int(COL.spend_minor), int(COL.refunds_minor)), opened + COL.orders]
    amounts += [money, np.ones(len(opened))]
    for (half_life, orders_at), (_, spend_at) in zip(_ORDER_FADING, _SPEND_FADING, strict=True):
        factor = decay.weight(age, half_life)
        at += [where + spend_at, opened + orders_at]
        amounts += [signed * factor, factor[new_orders]]


def _operate_carts(
    table: CustomerTable,
    events: Selection,
    touched: NDArray[np.int64],
    rows: NDArray[np.float64],
) -> None:
    at = events.cart_event
    if not at.size:
        return
    full = table.carts.append(
        events.slot[at],
        time_ms=events.time_ms[at],
        event_hash=events.event_hash[at],
        product=events.cart_product,
        quantity=events.cart_quantity,
        price_minor=events.cart_price_minor,
    )
    if full:
        slots = np.array(full)
        mine = np.searchsorted(touched, slots)
        table.carts.compact(slots, rows[mine, _LAST], rows[mine, _LAST_ORDER])

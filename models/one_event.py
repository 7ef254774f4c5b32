"""What one event does to its customer's row: a compiled loop that takes a batch event by event.

Order of the steps, which is the order in which an event can fall out:

1. its customer was refused a slot (`REFUSED`);
2. its offset lies below its customer's next offset of that topic (`REPLAYED`: it was counted before a crash);
3. its id is known (`EVENT_REPEAT`), or it is the `purchase` of a known order (`ORDER_REPEAT`): nothing moves but the
   counter of duplicates;
4. else it is `APPLIED`. Late events are too; they are only not looked up among the recent ids.

One after the other, so that no cut into batches can make a difference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models import activity, affinity, day_parts, decay, recent
from models.columns import COL, HALF_LIFE_DAYS, RING
from models.compiled import compiled
from schemas.kinds import Kind

REFUSED, REPLAYED, EVENT_REPEAT, ORDER_REPEAT, APPLIED = range(5)
"""What became of an event; of the first two its customer's row shows nothing."""
LATE, CUSTOM = APPLIED + 1, APPLIED + 2
"""Also counted, of the applied."""

_COUNTS = (COL.views_hl1d, COL.views_hl7d, COL.views_hl30d)
"""First of the counted actions' columns by half-life."""
_ORDERS = (COL.orders_hl7d, COL.orders_hl30d, COL.orders_hl180d)
_SPEND = (COL.spend_hl7d, COL.spend_hl30d, COL.spend_hl180d)

_COUNTED_AT = np.full(len(Kind), -1)
"""Place of each kind of event among the counted actions, -1 for none."""
for _place, _kind in enumerate(
    (Kind.VIEW_ITEM, Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART, Kind.BEGIN_CHECKOUT, Kind.SEARCH, Kind.ADD_TO_WISHLIST)
):
    _COUNTED_AT[_kind] = _place

_ACTIVITY, _PURCHASE, _ORDER_LINE, _REFUND = (
    int(kind) for kind in (Kind.ACTIVITY, Kind.PURCHASE, Kind.ORDER_LINE, Kind.REFUND)
)
_RING_START, _RING_END = RING.start, RING.stop
_NO_ORDER = -1


@compiled
def lateness(source: NDArray[np.int8], time_ms: NDArray[np.int64], watermarks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(E,) whether each event was late when its turn came; moves the watermarks (one a source), in place."""
    late = np.empty(len(source), dtype=np.bool_)
    for at in range(len(source)):
        newest = max(watermarks[source[at]], time_ms[at])
        watermarks[source[at]] = newest
        late[at] = time_ms[at] < newest - recent.LATE_MS
    return late


@compiled
def take(  # noqa: PLR0917 (compiled code takes arrays one by one)
    source: NDArray[np.int8],
    offset: NDArray[np.int64],
    time_ms: NDArray[np.int64],
    kind: NDArray[np.int8],
    event_hash: NDArray[np.uint64],
    day_part: NDArray[np.int8],
    late: NDArray[np.bool_],
    order_event: NDArray[np.int64],
    order_hash: NDArray[np.uint64],
    order_amount_minor: NDArray[np.int64],
    order_discount_minor: NDArray[np.int64],
    row: NDArray[np.int64],
    rows: NDArray[np.float64],
    bits: NDArray[np.uint64],
    event_ids: NDArray[np.uint64],
    order_ids: NDArray[np.uint64],
) -> NDArray[np.int8]:
    """Let E events happen to T customers, in place; what became of each.

    The first arrays are those of an `EventBatch`. `row` (E,) says whose an event is, below 0 if refused; `rows`
    (T, WIDTH) and the same seen as `bits`, and the recent ids (T, 16), are the customers'.
    """
    became = np.empty(len(row), dtype=np.int8)
    order_of = _order_of(order_event, len(row))
    for at in range(len(row)):
        if row[at] < 0:
            became[at] = REFUSED
            continue
        customer, order, lookup = rows[row[at]], order_of[at], not late[at]
        following = COL.next_clickstream + source[at]
        if offset[at] < customer[following]:
            became[at] = REPLAYED
            continue
        customer[following] = offset[at] + 1
        if lookup and recent.admit(event_ids[row[at]], time_ms[at], event_hash[at], recent.EVENT_WINDOW_MINUTES):
            customer[COL.duplicates] += 1
            became[at] = EVENT_REPEAT
            continue
        opens = False
        if order != _NO_ORDER and kind[at] != _REFUND:
            # A late order line is still looked up, as well as memory allows: a backfill's orders would count by line.
            lookup |= kind[at] == _ORDER_LINE
            ids, window = order_ids[row[at]], recent.ORDER_WINDOW_MINUTES
            opens = not (lookup and recent.admit(ids, time_ms[at], order_hash[order], window))
            if not opens and kind[at] == _PURCHASE:
                customer[COL.duplicates] += 1
                became[at] = ORDER_REPEAT
                continue
        became[at] = APPLIED
        customer[COL.late] += late[at]
        if customer[COL.events] < day_parts.COUNTED_MAX:
            customer[COL.night_weekend] += day_parts.counted(day_part[at])
        days = _happen(customer, bits[row[at]], time_ms[at], kind[at])
        if order != _NO_ORDER:
            buys = kind[at] != _REFUND
            _order(customer, time_ms[at], days, buys, order_amount_minor[order], opens)
            customer[COL.discount_minor] += order_discount_minor[order] * buys
    return became


@compiled
def _order_of(order_event: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """(E,) position among the orders of each event's, `_NO_ORDER` where it has none."""
    order_of = np.full(size, _NO_ORDER, dtype=np.int64)
    for order in range(len(order_event)):
        order_of[order_event[order]] = order
    return order_of


@compiled
def _happen(customer: NDArray[np.float64], bits: NDArray[np.uint64], time_ms: int, kind: int) -> float:
    """Do what an event of any kind does; its days from the customer's landmark."""
    _advance(customer, bits, time_ms)
    if kind < _PURCHASE:
        age = customer[COL.last_seen] // activity.HALF_HOUR_MS - time_ms // activity.HALF_HOUR_MS
        activity.mark(bits[_RING_START:_RING_END], int(age))
    days = decay.days_from_landmark(time_ms, decay.cell(customer[COL.last_seen]))
    customer[COL.events] += 1
    if kind == _ACTIVITY:
        customer[COL.custom] += 1
    counted = _COUNTED_AT[kind]
    if counted >= 0:
        for first in _COUNTS:
            customer[first + counted] += decay.weight(days, HALF_LIFE_DAYS[first + counted])
    return days


@compiled
def _advance(customer: NDArray[np.float64], bits: NDArray[np.uint64], time_ms: int) -> None:
    """Move first and last event, and what counts from the last: the landmark of the sums, the end of the ring."""
    before, after = customer[COL.last_seen], float(time_ms)
    customer[COL.first_seen] = min(customer[COL.first_seen], after)
    if after <= before:
        return
    customer[COL.last_seen] = after
    half_hours = after // activity.HALF_HOUR_MS - before // activity.HALF_HOUR_MS
    if half_hours > 0:
        activity.shift(bits[_RING_START:_RING_END], int(half_hours))
    cells_moved = decay.cell(after) - decay.cell(before)
    # A new customer crosses too, from no time at all, with nothing to scale.
    if cells_moved != 0 and customer[COL.events] > 0:
        for column in range(len(HALF_LIFE_DAYS)):
            if HALF_LIFE_DAYS[column]:
                customer[column] = decay.rebase(customer[column], cells_moved, HALF_LIFE_DAYS[column])


@compiled
def _order(  # noqa: PLR0917 (as above)
    customer: NDArray[np.float64], time_ms: int, days: float, buys: bool, amount_minor: int, opens: bool
) -> None:
    """Do what a purchase, an order line or a refund does beyond; a refund moves no recency."""
    money = float(amount_minor)
    if buys:
        customer[COL.last_order_at] = max(customer[COL.last_order_at], float(time_ms))
        if customer[COL.first_order_at] == 0 or time_ms < customer[COL.first_order_at]:
            customer[COL.first_order_at] = float(time_ms)
        customer[COL.spend_minor] += money
    else:
        customer[COL.refunds_minor] += money
        money = -money
    for column in _SPEND:
        customer[column] += money * decay.weight(days, HALF_LIFE_DAYS[column])
    if opens:
        customer[COL.orders] += 1
        for column in _ORDERS:
            customer[column] += decay.weight(days, HALF_LIFE_DAYS[column])


@compiled
def see_products(
    became: NDArray[np.int8],
    item_event: NDArray[np.int64],
    item_product: NDArray[np.uint64],
    row: NDArray[np.int64],
    bits: NDArray[np.uint64],
) -> None:
    """Set, in place, the bits of the products that applied events name."""
    for item in range(len(item_event)):
        event = item_event[item]
        if became[event] == APPLIED:
            bits[row[event], COL.products] |= np.uint64(1) << (item_product[item] >> np.uint64(58))


@compiled
def see_categories(  # noqa: PLR0917 (as above)
    became: NDArray[np.int8],
    category_event: NDArray[np.int64],
    category: NDArray[np.uint64],
    time_ms: NDArray[np.int64],
    row: NDArray[np.int64],
    rows: NDArray[np.float64],
    bits: NDArray[np.uint64],
) -> None:
    """Add, in place, what applied events say of categories, each customer's landmark being that of all its events."""
    for at in range(len(category_event)):
        event = category_event[at]
        if became[event] == APPLIED:
            customer, labels = rows[row[event]], bits[row[event]]
            days = decay.days_from_landmark(time_ms[event], decay.cell(customer[COL.last_seen]))
            place = affinity.bucket(category[at])
            customer[COL.category0_hl30d + place] += decay.weight(days, affinity.HALF_LIFE_DAYS)
            sign = affinity.signature(category[at])
            labels[COL.category_labels] = affinity.labelled(labels[COL.category_labels], place, sign)


@compiled
def counts(became: NDArray[np.int8], late: NDArray[np.bool_], kind: NDArray[np.int8]) -> NDArray[np.int64]:
    """How many events became each, and how many of the applied were `LATE` and `CUSTOM`."""
    found = np.zeros(CUSTOM + 1, dtype=np.int64)
    for at in range(len(became)):
        found[became[at]] += 1
        if became[at] == APPLIED:
            found[LATE] += late[at]
            found[CUSTOM] += kind[at] == _ACTIVITY
    return found

"""Apply one decoded batch to a partition's customers, with the same result as one event by one.

Customers get slots and their rows are gathered; `models.one_event` takes the events one after the other; the rows go
back, and the carts that may have changed are judged anew. A new customer's key is looked at (`refused`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models import carts, ends, one_event, reminders
from models.batch import EventBatch
from models.columns import COL, WIDTH, CustomerTable
from models.compiled import compiled
from models.one_event import APPLIED, CUSTOM, EVENT_REPEAT, LATE, ORDER_REPEAT, REPLAYED

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
    ended: reminders.Ended = reminders.NOTHING_ENDED
    reasons: dict[str, int] = field(default_factory=dict)
    """Duplicates by reason: event_repeat, order_repeat."""


def apply(table: CustomerTable, batch: EventBatch, watermarks: Watermarks, admit: Admit) -> Applied:
    """Apply a batch, in log order per source topic, to the table; `watermarks` are those before it.

    Any split of the same events into batches gives the same table, counters and watermarks.
    """
    if not len(batch):
        return _nothing(watermarks)
    slots, refused = _resolve(table, batch, admit)
    newest = np.array(watermarks)
    late = one_event.lateness(batch.source, batch.time_ms, newest)
    touched, row = table.group(slots)
    rows = table.gather(touched)
    became = _take(table, batch, late, (touched, row, rows))
    counts = one_event.counts(became, late, batch.kind).tolist()
    settled, ended = _settle_carts(table, batch, became, (touched, row, rows))
    if counts[REPLAYED]:
        seen = np.zeros(len(touched), dtype=np.bool_)
        seen[row[became > REPLAYED]] = True
        touched, rows = touched[seen], rows[seen]
    table.scatter(touched, rows)
    table.mark_dirty(touched)
    reasons = {"event_repeat": counts[EVENT_REPEAT], "order_repeat": counts[ORDER_REPEAT]}
    return Applied(
        touched=touched,
        rows=rows,
        positions=(became == APPLIED).nonzero()[0],
        applied=counts[APPLIED],
        duplicates=counts[EVENT_REPEAT] + counts[ORDER_REPEAT],
        late=counts[LATE],
        custom=counts[CUSTOM],
        replayed=counts[REPLAYED],
        refused=refused,
        cart_touched=settled,
        watermarks=Watermarks(*newest.tolist()),
        ended=ended,
        reasons={reason: count for reason, count in reasons.items() if count},
    )


_Group = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""The customers of a batch: their sorted slots, for each event which of them is its, a working copy of their rows."""


def _nothing(watermarks: Watermarks) -> Applied:
    none = np.empty(0, dtype=np.int64)
    return Applied(none, np.empty((0, WIDTH)), none, 0, 0, 0, 0, 0, [], none, watermarks)


def _resolve(table: CustomerTable, batch: EventBatch, admit: Admit) -> tuple[NDArray[np.int64], list[int]]:
    """(E,) slots, -1 where refused, and the refused positions."""
    slots = table.index.find(batch.customer)
    unknown = (slots < 0).nonzero()[0]
    if not unknown.size:
        return slots, []
    new: dict[str, int] = {}
    refused = []
    for position in unknown.tolist():
        customer = batch.customer[position]
        slot = new.get(customer)
        if slot is None:
            if not admit(customer, batch.key[position]):
                refused.append(position)
                continue
            slot = new[customer] = len(table) + len(new)
        slots[position] = slot
    table.add_new(list(new))
    return slots, refused


def _take(table: CustomerTable, batch: EventBatch, late: NDArray[np.bool_], group: _Group) -> NDArray[np.int8]:
    touched, row, rows = group
    bits, event_ids = rows.view(np.uint64), table.recent_events.take(touched)
    has_orders = len(batch.order_event) > 0
    order_ids = table.recent_orders.take(touched) if has_orders else event_ids[:0]
    became = one_event.take(
        batch.source,
        batch.offset,
        batch.time_ms,
        batch.kind,
        batch.event_hash,
        batch.day_part,
        late,
        batch.order_event,
        batch.order_hash,
        batch.order_amount_minor,
        batch.order_discount_minor,
        row,
        rows,
        bits,
        event_ids,
        order_ids,
    )
    one_event.see_products(became, batch.item_event, batch.item_product, row, bits)
    if len(batch.category):
        one_event.see_categories(became, batch.category_event, batch.category, batch.time_ms, row, rows, bits)
        _name_categories(table, batch, became, group)
    table.recent_events.put(touched, event_ids)
    if has_orders:
        table.recent_orders.put(touched, order_ids)
    return became


def _name_categories(table: CustomerTable, batch: EventBatch, became: NDArray[np.int8], group: _Group) -> None:
    """Keep the names of categories that were never met, each with the customer who brought it."""
    touched, row, _ = group
    for category in sorted(table.categories.unknown(batch.category_names)):
        events = batch.category_event[batch.category == category]
        brought = events[became[events] == APPLIED]
        if len(brought):
            table.categories.bring(int(touched[row[brought[0]]]), category, batch.category_names[category])


def _settle_carts(
    table: CustomerTable, batch: EventBatch, became: NDArray[np.int8], group: _Group
) -> tuple[NDArray[np.int64], reminders.Ended]:
    """Add cart operations, and judge the carts again that they, an order or 30 days may have changed.

    Returns their slots, and which carts ended that somebody was reminded of: told before what they held is forgotten.
    """
    touched, row, rows = group
    if len(batch.cart_event):
        events, operations = _operations(
            became,
            batch.cart_event,
            batch.time_ms,
            batch.event_hash,
            batch.cart_product,
            batch.cart_quantity,
            batch.cart_price_minor,
        )
        table.carts.append(touched[row[events]], operations)
        table.products.update(batch.cart_names)
    ended = ends.find(table.carts, batch, became, group)
    stale = _stale(rows, row, became, batch.cart_event, batch.order_event)
    which = (stale & table.carts.has(touched)).nonzero()[0]
    slots = touched[which]
    if which.size:
        judged = rows[which]
        table.settle_carts(slots, judged)
        rows[which] = judged
    return slots, ended


@compiled
def _operations(  # noqa: PLR0917 (arrays one by one)
    became: NDArray[np.int8],
    cart_event: NDArray[np.int64],
    time_ms: NDArray[np.int64],
    event_hash: NDArray[np.uint64],
    product: NDArray[np.uint64],
    quantity: NDArray[np.int64],
    price_minor: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) events and (N, WORDS) cart operations of those that were applied."""
    events = np.empty(len(cart_event), dtype=np.int64)
    operations = np.empty((len(cart_event), carts.WORDS), dtype=np.int64)
    size = 0
    for at in range(len(cart_event)):
        event = cart_event[at]
        if became[event] == APPLIED:
            events[size] = event
            operations[size, 0], operations[size, 1] = time_ms[event], np.int64(event_hash[event])
            operations[size, 2] = np.int64(product[at])
            operations[size, 3], operations[size, 4] = quantity[at], price_minor[at]
            size += 1
    return events[:size], operations[:size]


@compiled
def _stale(
    rows: NDArray[np.float64],
    row: NDArray[np.int64],
    became: NDArray[np.int8],
    cart_event: NDArray[np.int64],
    order_event: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """(T,) whose cart may hold something else than its row says."""
    stale = np.empty(len(rows), dtype=np.bool_)
    for at in range(len(rows)):
        watch = abs(rows[at, COL.cart_watch])
        stale[at] = 0 < watch <= rows[at, COL.last_seen] - carts.WINDOW_MS
    for event in cart_event:
        if became[event] == APPLIED:
            stale[row[event]] = True
    for event in order_event:
        if became[event] == APPLIED:
            stale[row[event]] = True
    return stale

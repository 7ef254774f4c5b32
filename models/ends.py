"""Which carts ended in a batch, of those that somebody was reminded of: by an order, a clear or a removal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.batch import EventBatch
from models.carts import Carts
from models.columns import COL
from models.compiled import compiled
from models.one_event import APPLIED
from models.reminders import NOTHING_ENDED, Ended
from schemas.kinds import Kind

Group = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""The customers of a batch: their sorted slots, for each event which of them is its, a working copy of their rows."""


def find(carts: Carts, batch: EventBatch, became: NDArray[np.int8], group: Group) -> Ended:
    """Find, before carts are settled, the first end of each reminded cart; orders of carts that had ended before, too.

    What an order line brings is the money of all lines of its order in the batch.
    """
    touched, row, rows = group
    reminded = _reminded(rows)
    if not reminded.any():
        return NOTHING_ENDED
    first: dict[int, tuple[float, bool, float]] = {}
    for at in _changed(batch.cart_event, became, row, reminded):
        customer = rows[at]
        if customer[COL.told_passed] > 0:
            emptied = carts.emptied(int(touched[at]), customer[COL.told_cart], customer[COL.last_order_at])
            if np.isfinite(emptied):
                first[at] = emptied, False, 0.0
    for order in _orders(batch, became, row, reminded):
        event = int(batch.order_event[order])
        at, time = int(row[event]), float(batch.time_ms[event])
        if time < rows[at, COL.told_cart]:
            continue
        if at not in first or time <= first[at][0]:
            same = batch.order_hash == batch.order_hash[order]
            mine = same & (row[batch.order_event] == at) & (became[batch.order_event] == APPLIED)
            first[at] = time, True, float(batch.order_amount_minor[mine].sum())
    if not first:
        return NOTHING_ENDED
    places = sorted(first)
    at_ms, bought, money = zip(*(first[at] for at in places), strict=True)
    return Ended(touched[places], np.array(at_ms), np.array(bought), np.array(money))


@compiled
def _reminded(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T,) of whom a reminder stands."""
    found = np.empty(len(rows), dtype=np.bool_)
    for at in range(len(rows)):
        found[at] = rows[at, COL.told_due1] > 0 or rows[at, COL.told_due2] > 0 or rows[at, COL.told_due3] > 0
    return found


def _changed(
    events: NDArray[np.int64], became: NDArray[np.int8], row: NDArray[np.int64], reminded: NDArray[np.bool_]
) -> list[int]:
    """Places of the reminded customers of whom one of these events was applied."""
    applied = events[became[events] == APPLIED]
    mine = np.unique(row[applied])
    return [int(at) for at in mine if reminded[at]]


def _orders(
    batch: EventBatch, became: NDArray[np.int8], row: NDArray[np.int64], reminded: NDArray[np.bool_]
) -> list[int]:
    """Positions among the orders of purchases and order lines that reminded customers made."""
    events = batch.order_event
    kinds = batch.kind[events]
    made = (became[events] == APPLIED) & ((kinds == Kind.PURCHASE) | (kinds == Kind.ORDER_LINE))
    which = np.flatnonzero(made)
    places: list[int] = which[reminded[row[events[which]]]].tolist()
    return places

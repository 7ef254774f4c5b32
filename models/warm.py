"""Run each compiled function once, so that none is compiled, or read from disk, in the way of an event.

`python -m models.warm` puts the machine code on disk, where `models.compiled` says: what an installation ends with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models import day_parts, features, money, reminders
from models.agenda import Agenda
from models.apply import Watermarks, apply
from models.assign import Model, assign
from models.batch import EventBatch
from models.catalogue import MODEL_FEATURES
from models.columns import CustomerTable
from models.judge import Rules
from models.standing import Yardsticks, standings
from models.timers import Timers
from models.transform import Transform
from schemas.kinds import Kind

_NOW_MS = 1_700_000_000_000
_LONG_AGO_MS = _NOW_MS - 3_000 * 86_400_000


def warm() -> None:
    """Take two customers through all of it: a second where the code is on disk, half a minute to compile."""
    table = CustomerTable()
    batch = _batch([Kind.ADD_TO_CART, Kind.PURCHASE], _LONG_AGO_MS)
    watermarks = apply(table, batch, Watermarks(), lambda _customer, _key: True).watermarks
    rows = apply(table, _batch([Kind.ADD_TO_CART, Kind.VIEW_ITEM], _NOW_MS), watermarks, lambda _c, _k: True).rows
    table.prune(watermarks.oldest)
    money.rounded(np.ones(1), 1.0)
    vectors = features.of_rows(rows, _NOW_MS)
    centroids = Transform.fit(vectors).apply(vectors)
    model = Model(
        version=0,
        features=MODEL_FEATURES,
        ids=np.arange(len(centroids)),
        names=("", ""),
        transform=Transform.fit(vectors),
        centroids=centroids,
        row_of=np.full(len(centroids) + 2, len(centroids)),
    )
    held = np.zeros(len(vectors), np.int64)
    assign(model, vectors, held, rows[:, 0], float(_NOW_MS), margin=0.1, dwell_ms=0.0)
    _let_time_pass(table, rows, vectors, model)


def _let_time_pass(table: CustomerTable, rows: NDArray[np.float64], vectors: NDArray[np.float64], model: Model) -> None:
    edges = np.zeros(4)
    yardsticks = Yardsticks(edges, edges, edges, 1.0)
    standings(rows, yardsticks, float(_NOW_MS))
    timers = Timers((1.0, 2.0, 3.0), 4.0, 5.0)
    slots, later_ms = np.arange(len(rows)), _NOW_MS + 10
    agenda = Agenda(timers, Rules(0.1, 0.0), 1.0)
    agenda.note(slots, rows, _NOW_MS)
    agenda.plan(slots, rows, vectors, _NOW_MS, model=model, yardsticks=yardsticks)
    agenda.take(later_ms)
    reminders.states(rows, later_ms, timers)
    reminders.settle(rows, np.zeros(len(rows), np.bool_))
    reminders.remind(rows, later_ms, timers, np.zeros(len(rows), np.bool_))
    table.carts.emptied(0, 0.0, 0.0)


def _batch(kinds: list[Kind], time_ms: int) -> EventBatch:
    every, one = np.arange(len(kinds)), np.arange(1)
    hashes = every.astype(np.uint64)
    orders = np.array([at for at, kind in enumerate(kinds) if kind is Kind.PURCHASE], np.int64)
    return EventBatch(
        source=np.zeros(len(kinds), np.int8),
        offset=every + time_ms,
        customer=[str(at) for at in every],
        key=[None] * len(kinds),
        time_ms=np.full(len(kinds), time_ms),
        kind=np.array(kinds, np.int8),
        event_hash=hashes,
        item_event=one,
        item_product=hashes[:1],
        cart_event=one,
        cart_product=hashes[:1],
        cart_quantity=one + 1,
        cart_price_minor=one,
        order_event=orders,
        order_hash=orders.astype(np.uint64),
        order_amount_minor=orders,
        order_discount_minor=orders,
        category_event=one,
        category=hashes[:1],
        day_part=day_parts.parts(np.full(len(kinds), time_ms), day_parts.UTC),
    )


if __name__ == "__main__":
    warm()

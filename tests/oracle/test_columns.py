"""The oracle's rows, checked against the worker's for random histories in random batches."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.columns import BIT_COLUMNS, COLUMNS
from schemas.kinds import Kind
from tests.oracle.columns import columns, recent
from tests.oracle.compare import Run, close, judged
from tests.oracle.histories import cuts, events, histories, numbered, unique
from tests.oracle.shop import HOUR, Event, Operation

CARTS = (Kind.ADD_TO_CART, Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART)
CLEAR = Operation(0, 0, 0)


@settings(max_examples=300)
@given(histories(), st.data())
def test_every_column_that_events_decide_is_foretold(history, data) -> None:
    expect_foretold(history, data)


@settings(max_examples=50)
@given(st.lists(events(customers=1, kinds=CARTS, span=20 * HOUR), min_size=40, max_size=90), st.data())
def test_carts_of_more_operations_than_are_kept_are_foretold(history, data) -> None:
    keeping = [event for event in history if CLEAR not in event.operations]
    expect_foretold(numbered(unique(keeping or history)), data)


def expect_foretold(history: list[Event], data: st.DataObject) -> None:
    run = Run()
    for batch in cuts(data.draw, history):
        run.apply(batch)
    shop = judged(history)
    for slot, name in enumerate(run.table.ids):
        customer = shop.customers[name]
        row = run.table.gather(np.array([slot]))[0]
        expected = columns(customer)
        assert set(expected) == set(COLUMNS[: COLUMNS.index("segment")])
        for place, column in enumerate(COLUMNS[: len(expected)]):
            value, size = expected[column]
            found = int(row.view(np.uint64)[place]) if column in BIT_COLUMNS else float(row[place])
            assert close(found, value, size) if size else found == value, f"{name}.{column}: {found} is not {value}"
        assert run.table.recent_events.get(slot) == recent(customer.event_ids.kept)
        assert run.table.recent_orders.get(slot) == recent(customer.order_ids.kept)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import row_store
from models.columns import BUYING, COL, COLUMNS, EMPTY_ROW, CustomerTable
from models.row_store import RowStore
from schemas.kinds import Kind
from tests.oracle.compare import applied
from tests.oracle.histories import START, numbered, spread
from tests.oracle.shop import Event, Operation

EMPTY = np.array([5.0, 0.0, 0.0, -1.0])
SPARSE = (1, 2)
WRITES = st.lists(
    st.dictionaries(st.integers(0, 30), st.tuples(*[st.sampled_from([0.0, 1.0, 7.5])] * len(EMPTY)), min_size=1),
    max_size=12,
)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks and a pool that a few rows outgrow."""
    monkeypatch.setattr(row_store, "_BLOCK_BITS", 3)
    monkeypatch.setattr(row_store, "BLOCK", 8)
    monkeypatch.setattr(row_store, "_FILL", 4)
    monkeypatch.setattr(row_store, "_POOL_FIRST", 2)


@given(WRITES)
def test_rows_are_read_as_they_were_written_last_whatever_they_held_before(writes):
    store, expected = RowStore(EMPTY, SPARSE), np.tile(EMPTY, (31, 1))
    store.make(31)
    for rows in writes:
        slots = np.array(sorted(rows))
        expected[slots] = [rows[slot] for slot in sorted(rows)]
        store.write(slots, expected[slots])
        assert np.array_equal(store.read(np.arange(31)), expected)
        assert store.held == np.count_nonzero(expected[:, SPARSE].any(axis=1))
    for column in range(len(EMPTY)):
        assert np.array_equal(store.span(column, 0, 31), expected[:, column])
        assert np.array_equal(store.span(column, 5, 23), expected[5:23, column])


def test_a_place_in_the_pool_is_given_to_the_next_who_needs_one():
    store = RowStore(EMPTY, SPARSE)
    store.make(20)
    for slot in range(20):
        store.write(np.array([slot]), np.ones((1, 4)))
        store.write(np.array([slot]), EMPTY[None, :])
    assert (store.held, store.places) == (0, 1)


def test_who_only_looks_around_has_none_of_the_columns_of_buying_and_everybody_else_has():
    looked = [Event("looks", START, kind, spread(int(kind))) for kind in (Kind.VIEW_ITEM, Kind.SEARCH, Kind.ACTIVITY)]
    bought = [
        Event("adds", START, Kind.ADD_TO_CART, spread(20), operations=(Operation(spread(5), 1, 50),)),
        Event("orders", START, Kind.PURCHASE, spread(21), order=spread(1), amount=100),
        Event("refunds", START, Kind.REFUND, spread(22), order=spread(2), amount=100),
        Event("checks out", START, Kind.BEGIN_CHECKOUT, spread(23)),
    ]
    table = applied([numbered([*looked, *bought])]).table
    assert (len(table), table.rows.held) == (5, 4)


def test_columns_of_buying_are_those_of_orders_carts_and_reminders():
    names = {COLUMNS[place] for place in BUYING}
    assert {"orders_hl7d", "cart_adds_hl1d", "cart_items", "cart_state", "told_due3", "first_order_at"} <= names
    assert not names & {"first_seen", "last_seen", "category0_hl30d", "segment", "previous", "record_seq"}
    assert not EMPTY_ROW[list(BUYING)].any()


def test_a_forgotten_buyer_leaves_no_place_behind():
    table = CustomerTable()
    slots = table.add_all(["a", "b", "c"])
    rows = table.gather(slots)
    rows[:, COL.orders] = 1, 0, 2
    table.scatter(slots, rows)
    table.forget(0)
    assert (list(table.ids), table.column("orders").tolist(), table.rows.held) == (["c", "b"], [2, 0], 1)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import columns, row_store
from models.columns import COL, COLUMNS, EMPTY_ROW, FADING, WIDTH, CustomerTable


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(row_store, "BLOCK", 2048)
    monkeypatch.setattr(row_store, "_BLOCK_BITS", 11)


def _table(size: int) -> CustomerTable:
    table = CustomerTable()
    for number in range(size):
        assert table.add_all([f"c{number}"]).tolist() == [number]
    return table


def test_columns_are_dense_and_named_once():
    assert [getattr(COL, name) for name in COLUMNS] == list(range(WIDTH))
    assert sorted(np.concatenate(list(FADING.values())).tolist()) == [
        *range(COL.orders_hl7d, COL.ring0),
        *range(COL.category0_hl30d, COL.category_labels),
    ]


def test_a_known_customer_keeps_its_slot():
    table = _table(5)
    assert table.add_all(["c3"]).tolist() == [3]
    assert (len(table), table.index.get("c3"), table.ids[3]) == (5, 3, "c3")


@pytest.mark.usefixtures("small_blocks")
def test_rows_gathered_and_scattered_over_blocks_are_those_of_their_slots():
    table = _table(5_000)
    assert len(table.rows.blocks) == 3
    every = np.arange(5_000)
    matrix = np.tile(EMPTY_ROW, (5_000, 1))
    assert np.array_equal(table.gather(every), matrix)
    slots = np.array([0, 1, 2_047, 2_048, 4_095, 4_999])
    matrix[slots, COL.events] = slots
    table.scatter(slots, matrix[slots])
    assert np.array_equal(table.gather(every), matrix)
    assert np.array_equal(table.column("events"), matrix[:, COL.events])
    assert np.array_equal(table.gather(slots[3:4]), matrix[2_048:2_049])
    assert table.gather(slots[:0]).shape == (0, WIDTH)


def test_an_empty_table_has_empty_columns():
    assert CustomerTable().column("events").tolist() == []
    assert CustomerTable().dirty.tolist() == []
    assert CustomerTable().prune(10**15) == 0


def test_a_table_is_crowded_once_a_quarter_more_customers_have_recent_ids_until_it_is_pruned(monkeypatch):
    monkeypatch.setattr(columns, "_RECENT_FEW", 4)
    table = CustomerTable()
    table.add_all([f"c{number}" for number in range(12)])
    crowded = []
    for slot in range(12):
        table.recent_events.put(np.array([slot]), np.full((1, 16), slot + 1, dtype=np.uint64))
        crowded.append(table.crowded)
        if slot == 9:
            rows = table.gather(np.arange(8))
            rows[:, COL.last_seen] = 10**13
            table.scatter(np.arange(8), rows)
            assert table.prune(10**13) == 2
    assert crowded == [False] * 4 + [True] * 6 + [False] * 2
    assert len(table.recent_events) == 10


def test_marking_dirty_reaches_only_those_slots():
    table = _table(3_000)
    table.mark_dirty(np.array([1, 2_999]))
    assert np.flatnonzero(table.dirty).tolist() == [1, 2_999]
    table.dirty[:] = False
    assert not table.dirty.any()


@given(st.lists(st.integers(-1, 1_500), min_size=1, max_size=60))
def test_grouping_is_unique_with_inverse_and_leaves_out_those_without_a_slot(slots):
    table = CustomerTable()
    table.add_all([f"c{number}" for number in range(1_501)])
    unique, row = table.group(np.array(slots))
    assert unique.tolist() == sorted({slot for slot in slots if slot >= 0})
    assert [unique[at] if at >= 0 else -1 for at in row] == slots

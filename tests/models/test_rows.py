from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import features, rows
from models.catalogue import FEATURES
from models.columns import COL, COLUMNS, EMPTY_ROW, CustomerTable
from models.rows import MalformedRow, RowReader, UnknownRowVersion
from schemas.kinds import Kind
from tests.oracle.compare import Run, applied, unlike
from tests.oracle.histories import START, cuts, histories, numbered, spread
from tests.oracle.shop import DAY, Event, Operation


def _all(table: CustomerTable) -> list[tuple[bytes, bytes]]:
    return rows.encode(table, np.arange(len(table)))


def _load(pairs: list[tuple[bytes, bytes]], reader: RowReader | None = None, oldest: int = 0) -> CustomerTable:
    table = CustomerTable()
    (reader or RowReader()).load(table, [key for key, _ in pairs], [value for _, value in pairs], oldest)
    return table


def _rich() -> Run:
    """One customer with everything a row can hold."""
    events = [
        Event("ä", START, Kind.PURCHASE, spread(1), order=spread(1), amount=100),
        Event("ä", START + DAY, Kind.ADD_TO_CART, spread(2), operations=(Operation(spread(5), 2, 50),)),
    ]
    return applied([numbered(events)])


@settings(max_examples=100)
@given(histories(), st.data())
def test_rows_survive_the_round_trip_and_the_customers_go_on_as_if_nothing_happened(history, data):
    there = data.draw(st.integers(0, len(history)))
    run = applied(cuts(data.draw, history[:there]) if there else [])
    restored = Run()
    restored.table, restored.watermarks = _load(_all(run.table)), run.watermarks
    assert _all(restored.table) == _all(run.table)
    for each in (run, restored):
        each.apply(history[there:])
    assert unlike(run, restored, START + 9 * DAY, FEATURES) == []
    assert sorted(_all(restored.table)) == sorted(_all(run.table))


def test_a_row_is_the_key_and_the_columns_and_then_what_there_is():
    ((key, value),) = _all(_rich().table)
    assert key == "ä".encode()
    assert value[:2] == bytes([rows.ROW_VERSION, 7])
    assert np.frombuffer(value[2 : 2 + 8 * len(COLUMNS)])[COL.spend_minor] == 100
    assert len(value) == 2 + 8 * len(COLUMNS) + (1 + 2 * 8) + (1 + 8) + (2 + 16 + 40)


def test_only_the_asked_customers_are_encoded():
    run = applied([numbered([Event(name, START, Kind.SEARCH, spread(1)) for name in "abc"])])
    assert [key for key, _ in rows.encode(run.table, np.array([2, 0]))] == [b"a", b"c"]
    assert rows.encode(run.table, np.array([], dtype=np.int64)) == []


def test_an_unknown_version_is_refused_and_nothing_is_loaded():
    ((key, value),) = _all(_rich().table)
    table = CustomerTable()
    with pytest.raises(
        UnknownRowVersion, match=f"version {rows.ROW_VERSION + 1} .*known: {rows.ROW_VERSION - 1}, {rows.ROW_VERSION}"
    ):
        RowReader().load(table, [b"other", key], [value, bytes([rows.ROW_VERSION + 1]) + value[1:]])
    assert len(table) == 0


def test_the_version_before_is_read_by_the_names_of_its_columns_and_the_one_before_that_is_not():
    pairs = _all(_rich().table)
    mine = rows.ROW_VERSION
    # The next release knows two columns less of this one's, in another order, and one that is gone.
    old = ("gone", *[name for name in COLUMNS[::-1] if name not in {"spend_minor", "segment"}])
    reader = RowReader(mine + 1, {mine: old, mine + 1: COLUMNS, mine - 1: COLUMNS})
    matrix = np.frombuffer(pairs[0][1][2 : 2 + 8 * len(COLUMNS)])
    values = [0.0 if name == "gone" else matrix[COLUMNS.index(name)] for name in old]
    older = pairs[0][1][:2] + np.array(values).tobytes() + pairs[0][1][2 + 8 * len(COLUMNS) :]
    table = _load([(b"old", older), (b"new", bytes([mine + 1]) + pairs[0][1][1:])], reader)
    old_row, new_row = table.gather(np.array([0, 1]))
    differing = {name for name in COLUMNS if old_row[COLUMNS.index(name)] != new_row[COLUMNS.index(name)]}
    assert differing == {"spend_minor"}
    assert (old_row[COL.spend_minor], old_row[COL.segment]) == (EMPTY_ROW[COL.spend_minor], -1)
    assert table.carts.blobs[0] == table.carts.blobs[1]
    with pytest.raises(UnknownRowVersion):
        _load([(b"older", bytes([mine - 1]) + older[1:])], reader)


def test_rows_that_the_release_before_wrote_are_read_with_all_that_they_said():
    released = json.loads((Path(__file__).parent / "released" / "rows_1.json").read_text("utf-8"))
    assert released["version"] == rows.ROW_VERSION - 1
    assert tuple(released["columns"]) == rows.LAYOUTS[rows.ROW_VERSION - 1]
    pairs = [(base64.b64decode(each["key"]), base64.b64decode(each["row"])) for each in released["rows"]]
    table = _load(pairs)
    for slot, name in enumerate(table.ids):
        found = features.describe(table, slot, released["now"])
        # That release counted orders without a cart as carts that were finished: read anew, not said by the row.
        said = {feature: value for feature, value in released["features"][name].items() if feature != "cart_to_order"}
        assert {feature: found[feature] for feature in said} == said
    row = table.gather(np.arange(len(table)))
    assert row[:, [COL.segment, COL.rev, COL.ver]].tolist() == [[0, 2, 1], [1, 3, 2], [2, 4, 3]]
    # What they did not say: the first order is not before the first event, and nobody is placed yet.
    assert row[:, COL.first_order_at].tolist() == [START, 0, START]
    assert row[:, COL.standing].tolist() == [0, 0, 0]
    # Nor at what hours they came: their shares are a week's own, as nearly as whole events say it.
    shares = features.of_rows(row, released["now"], ("night_share", "weekend_share", "categories_hl30d"))
    assert np.abs(shares - [8 / 24, 2 / 7, 0]).max() <= 0.5 / 3
    assert _all(_load(_all(table))) == _all(table)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_row_is_refused_by_name_or_read_but_never_crashes(data):
    ((key, value),) = _all(_rich().table)
    damage = data.draw(st.sampled_from(["cut", "longer", "flags", "byte"]))
    at = data.draw(st.integers(0, len(value) - 1))
    damaged = {
        "cut": value[:at],
        "longer": value + bytes(at + 1),
        "flags": value[:1] + bytes([at % 256]) + value[2:],
        "byte": value[:at] + bytes([value[at] ^ 255]) + value[at + 1 :],
    }[damage]
    try:
        _load([(key, damaged)])
    except (MalformedRow, UnknownRowVersion):
        return
    assert damage in {"flags", "byte"}


@pytest.mark.parametrize("size", [0, 1, 2, 300, 505])
def test_a_row_cut_short_is_malformed_or_of_no_version(size):
    ((key, value),) = _all(_rich().table)
    with pytest.raises((MalformedRow, UnknownRowVersion)):
        _load([(key, value[:size])])


def test_of_several_rows_of_a_customer_the_last_counts_also_where_it_has_less():
    ((key, value),) = _all(_rich().table)
    bare = value[:1] + b"\0" + value[2 : 2 + 8 * len(COLUMNS)]
    table = _load([(key, value), (b"b", value), (key, bare)])
    assert (sorted(table.ids), len(table.carts), len(table.recent_events)) == (["b", "ä"], 1, 1)
    RowReader().load(table, [b"b"], [bare])
    assert (len(table.carts), len(table.recent_events), len(table.recent_orders)) == (0, 0, 0)


def test_keys_that_start_with_nul_are_not_customers():
    assert len(_load([(b"\0owner", b""), (b"\0sent", b"{}")])) == 0


def test_ids_too_old_to_repeat_are_not_loaded():
    pairs = _all(_rich().table)
    assert len(_load(pairs, oldest=START + 60 * DAY).recent_events) == 0
    assert len(_load(pairs, oldest=START + DAY).recent_events) == 1

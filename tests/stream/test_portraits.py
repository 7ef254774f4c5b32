"""What `explain` and `segments` say of durable state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.apply import Watermarks, apply
from models.columns import COL
from schemas.kinds import Kind
from stream import portraits
from stream.changelog_reader import PartitionState
from stream.commands import explain
from stream.errors import NotNow
from stream.settings import load
from tests.kit.snapshots import make_snapshot
from tests.oracle.compare import right_key
from tests.oracle.histories import START, batch_of, numbered, spread
from tests.oracle.shop import Event

SHOES, HATS = spread(1), spread(2)
SETTINGS = load()


@pytest.fixture
def state() -> PartitionState:
    """One customer who looked at shoes three times and at hats once."""
    found = PartitionState(0)
    seen = [
        Event("c1", START, Kind.VIEW_ITEM, spread(at), products=(spread(at),), categories=(category,))
        for at, category in enumerate([SHOES, SHOES, HATS, SHOES])
    ]
    batch = replace(batch_of(numbered(seen)), category_names={SHOES: "shoes", HATS: "hats"})
    apply(found.table, batch, Watermarks(), right_key)
    row = found.table.gather(np.array([0]))
    row[0, [COL.segment, COL.since]] = 1, START
    found.table.scatter(np.array([0]), row)
    return found


def test_a_customers_categories_are_named_the_strongest_first(state: PartitionState) -> None:
    said = portraits._explained(SETTINGS, make_snapshot(1), state, 0)
    assert said["interests"] == [{"category": "shoes", "share": 0.75}, {"category": "hats", "share": 0.25}]
    text = explain._words({"customer_id": "c1"} | said)
    assert "interests   shoes 75%, hats 25%" in text
    assert "next        segment 2 (2)" in text


def test_contributions_add_up_to_what_the_runner_up_is_farther_away(state: PartitionState) -> None:
    said = portraits._explained(SETTINGS, make_snapshot(1), state, 0)
    pulled = sum(each["pull"] for each in said["contributions"])
    assert pulled == pytest.approx(said["runner_up_distance"] ** 2 - said["distance"] ** 2, rel=1e-2)


def test_a_customer_without_a_segment_is_told_to_wait(state: PartitionState) -> None:
    row = state.table.gather(np.array([0]))
    row[0, COL.segment] = -1
    state.table.scatter(np.array([0]), row)
    with pytest.raises(NotNow, match="first model"):
        portraits._explained(SETTINGS, make_snapshot(1), state, 0)

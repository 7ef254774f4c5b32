from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models import rows
from models.catalogue import FEATURES
from models.merge import merge
from tests.oracle.compare import applied, unlike
from tests.oracle.histories import START, cuts, histories, numbered, unique
from tests.oracle.shop import DAY

CLASS_A = [feature.name for feature in FEATURES.values() if feature.trust == "A"]
ADDED = ["events", "custom", "orders", "orders_hl7d", "orders_hl30d", "orders_hl180d", "average_order_value"]


@settings(max_examples=200)
@given(histories(customers=1, most=40), histories(customers=1, most=40), st.data())
def test_two_merged_profiles_are_the_union_of_their_events(left, right, data):
    both = unique([*left, *right])
    left, right = both[: len(left)], both[len(left) :]
    mine, theirs = (applied(cuts(data.draw, numbered(part))) for part in (left, right))
    before = rows.encode(theirs.table, np.array([0]))
    merge(mine.table, 0, theirs.table, 0)
    slack = sum(event.amount for event in both)
    union = applied(cuts(data.draw, numbered(both)))
    assert unlike(mine, union, START + 9 * DAY, [*CLASS_A, *ADDED, "cart_to_order"], slack) == []
    assert rows.encode(theirs.table, np.array([0])) == before
    assert mine.table.carts.blobs == union.table.carts.blobs
    # What they go on to do counts the same, too.
    more = [replace(event, offset=event.offset + 1_000) for event in numbered(both[-1:])]
    for each in (mine, union):
        each.apply([replace(more[0], id=77, order=77, time=START + 4 * DAY)])
    assert unlike(mine, union, START + 9 * DAY, CLASS_A, slack) == []


def test_a_merged_profile_is_dirty_and_keeps_its_published_part_and_its_offsets():
    mine, theirs = (applied([numbered(unique(part))]) for part in (_views(2), _views(5)))
    mine.table.dirty[:] = False
    published = mine.table.gather(np.array([0]))[:, -14:]
    merge(mine.table, 0, theirs.table, 0)
    assert mine.table.dirty.tolist() == [True]
    assert np.array_equal(mine.table.gather(np.array([0]))[:, -14:], published)
    assert mine.table.column("next_clickstream").tolist() == [2]
    assert mine.table.column("events").tolist() == [7]


def _views(count: int):
    from schemas.kinds import Kind
    from tests.oracle.shop import Event

    return [Event("c0", START + at, Kind.VIEW_ITEM, 0) for at in range(count)]

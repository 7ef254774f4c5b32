"""Names of categories: kept with the customer who brought them, durable with that row, and bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models import categories, rows
from models.apply import Watermarks, apply
from models.categories import CategoryNames
from models.columns import CustomerTable
from models.merge import merge
from models.rows import RowReader
from schemas.kinds import Kind
from tests.oracle.compare import right_key
from tests.oracle.histories import START, batch_of, numbered, spread
from tests.oracle.shop import Event

SHOES, HATS = spread(1), spread(2)
NAMES = {SHOES: "shoes", HATS: "Hüte"}


def seen(customer: str, *kinds: int, at: int = 0) -> list[Event]:
    return [
        Event(customer, START + place, Kind.VIEW_ITEM, spread(at * 100 + place), categories=(category,))
        for place, category in enumerate(kinds)
    ]


def shop(*events: Event) -> CustomerTable:
    table = CustomerTable()
    batch = replace(batch_of(numbered(list(events))), category_names=NAMES)
    apply(table, batch, Watermarks(), right_key)
    return table


def test_a_name_is_held_by_the_first_customer_who_brought_it_and_comes_back_with_their_row() -> None:
    table = shop(*seen("a", SHOES, SHOES), *seen("b", SHOES, HATS, at=1))
    assert table.categories.names == NAMES
    assert table.categories.held == {0: [SHOES], 1: [HATS]}
    pairs = rows.encode(table, np.arange(len(table)))
    again = CustomerTable()
    RowReader().load(again, [key for key, _ in pairs], [value for _, value in pairs])
    assert (again.categories.names, again.categories.held) == (NAMES, table.categories.held)
    assert rows.encode(again, np.arange(len(again))) == pairs


def test_a_repeated_event_brings_no_name() -> None:
    (event,) = seen("a", SHOES)
    table = shop(event, replace(event, categories=(HATS,)))
    assert table.categories.names == {SHOES: "shoes"}


def test_a_merged_profile_brings_its_names() -> None:
    here, there = shop(*seen("a", SHOES)), shop(*seen("b", HATS))
    merge(here, 0, there, 0)
    assert here.categories.held == {0: [SHOES, HATS]}


def test_names_are_bounded_for_a_row_and_for_a_partition() -> None:
    names = CategoryNames()
    for category in range(categories.NAMES_MAX + 10):
        names.bring(category // 300, category, f"category {category}")
    assert max(map(len, names.held.values())) == categories.HELD_MAX
    for category in range(categories.NAMES_MAX + 10):
        names.bring(100 + category, category, f"category {category}")
    assert len(names.names) == categories.NAMES_MAX
    assert names.unknown(range(10**6, 10**6 + 5)) == set()
    assert set(names.by_code().values()) <= set(names.names.values())

"""A table that forgets is the table that never knew them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models import rows
from models.columns import CustomerTable
from tests.oracle.compare import applied
from tests.oracle.histories import histories
from tests.oracle.shop import DAY, Event


def state(table: CustomerTable) -> dict[bytes, bytes]:
    return dict(rows.encode(table, np.arange(len(table))))


@given(histories(customers=6, span=9 * DAY), st.sets(st.integers(0, 5)), st.data())
def test_after_forgetting_some_the_others_are_as_if_these_had_never_been(
    history: list[Event], gone: set[int], data: st.DataObject
) -> None:
    names = {f"c{number}" for number in gone}
    run = applied([history])
    expected = {key: row for key, row in state(run.table).items() if key.decode() not in names}
    for name in data.draw(st.permutations(sorted(names))):
        slot = run.table.index.get(name)
        if slot is not None:
            run.table.forget(slot)
    assert state(run.table) == expected
    assert not names & set(run.table.ids)
    # And they are new when they come back.
    run.watermarks = type(run.watermarks)()
    again = applied([[event for event in history if event.customer in names]]) if names else None
    if again is not None and len(again.table):
        run.apply([event for event in history if event.customer in names])
        found = state(run.table)
        assert {key: found[key] for key in state(again.table)} == state(again.table)
    assert {key: row for key, row in state(run.table).items() if key.decode() not in names} == expected

"""Ids by slot are those that were added, whatever their bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ids import CustomerIds

TEXTS = st.lists(st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), max_size=4), max_size=5)


@given(TEXTS)
def test_ids_added_in_portions_stand_at_their_slots(portions: list[list[str]]) -> None:
    ids = CustomerIds()
    for portion in portions:
        ids.extend(portion)
    expected = [name for portion in portions for name in portion]
    assert list(ids) == expected
    assert [ids.key(slot) for slot in range(len(ids))] == [name.encode() for name in expected]
    assert ids[1:3] == expected[1:3]


@pytest.mark.parametrize("slot", [-1, 2])
def test_a_slot_that_was_never_given_has_no_id(slot: int) -> None:
    ids = CustomerIds()
    ids.extend(["a", "b"])
    with pytest.raises(IndexError):
        ids[slot]

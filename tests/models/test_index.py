from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models import index
from models.index import SlotIndex


@settings(max_examples=50)
@given(st.lists(st.lists(st.text(max_size=3), max_size=300, unique=True), max_size=8))
def test_every_id_is_found_at_its_slot_and_no_other_is_found(parts):
    slots, known = SlotIndex(), {}
    for part in parts:
        new = [name for name in part if name not in known]
        slots.add(new, len(known))
        known |= {name: len(known) + at for at, name in enumerate(new)}
    names = list(known)
    assert (slots.find(names).tolist(), len(slots)) == (list(known.values()), len(known))
    assert (slots.find([name + "!!!!" for name in names]) == -1).all()
    assert slots.find([]).tolist() == []


def test_it_grows_to_many():
    slots = SlotIndex()
    names = [f"c{number}" for number in range(50_000)]
    for start in range(0, len(names), 700):
        slots.add(names[start : start + 700], start)
    assert np.array_equal(slots.find(names), np.arange(50_000))
    at_once = SlotIndex()
    at_once.add(names, 0)
    assert np.array_equal(at_once.find(names), np.arange(50_000))
    assert (slots.get("c7"), slots.get("d7")) == (7, None)


def test_full_buckets_run_over_into_the_next(monkeypatch):
    # Every hash belongs to the last bucket, so that the rest runs over and around the end.
    monkeypatch.setattr(
        index, "_hashes", lambda names: np.array([(int(name) + 1) << 20 | 127 for name in names], dtype=np.uint64)
    )
    slots = SlotIndex()
    names = [str(number) for number in range(60)]
    slots.add(names[:35], 0)
    slots.add(names[35:], 35)
    assert slots.find(names).tolist() == list(range(60))
    assert slots.find(["70"]).tolist() == [-1]
    slots._double()
    assert slots.find([*names, "70"]).tolist() == [*range(60), -1]

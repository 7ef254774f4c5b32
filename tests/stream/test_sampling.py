"""The sweep shows the learner every customer, evenly, whatever the rate."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.sampling import Sweep


@given(st.integers(1, 2_000), st.integers(1, 300))
def test_a_round_shows_every_customer_exactly_once(customers: int, rate: int) -> None:
    sweep = Sweep()
    seen: list[int] = []
    while len(seen) < customers:
        slots = sweep.next(min(rate, customers - len(seen)), customers)
        assert len(set(slots.tolist())) == len(slots)
        seen += slots.tolist()
    assert sorted(seen) == list(range(customers))


def test_a_part_of_a_round_is_spread_over_all_slots() -> None:
    slots = Sweep().next(100, 10_000)
    counts, _ = np.histogram(slots, bins=10, range=(0, 10_000))
    assert counts.min() >= 5


def test_a_table_that_grows_and_one_that_shrinks_stay_in_range() -> None:
    sweep = Sweep()
    for customers in (3, 1_000, 7, 1, 0, 50):
        slots = sweep.next(20, customers)
        assert len(slots) == min(20, customers)
        assert all(0 <= slot < customers for slot in slots.tolist())

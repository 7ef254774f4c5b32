"""Due times against a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import due as due_times
from models.due import NEVER, WINDOW_MS, DueTimes

SLOTS = st.integers(0, 40)
TIMES = st.one_of(st.integers(0, 4 * WINDOW_MS), st.just(NEVER))
STEPS = st.one_of(
    st.tuples(st.sampled_from(["set", "advance"]), st.sets(SLOTS, min_size=1, max_size=8), TIMES),
    st.tuples(st.just("take"), st.just(frozenset()), st.integers(0, WINDOW_MS)),
)


@given(st.lists(STEPS, max_size=40))
def test_who_is_due_is_taken_once_in_order_of_time_as_a_dictionary_says(
    steps: list[tuple[str, set[int], int]],
):
    due, expected, now = DueTimes(), dict[int, int](), 0
    for what, slots, time in steps:
        some = np.array(sorted(slots), dtype=np.int64)
        if what == "set":
            due.set(some, time + some if time != NEVER else np.full(len(some), NEVER))
            expected |= {slot: time + slot if time != NEVER else NEVER for slot in slots}
        elif what == "advance":
            due.advance(some, min(time, 4 * WINDOW_MS))
            expected |= {slot: min(expected.get(slot, NEVER), time, 4 * WINDOW_MS) for slot in slots}
        else:
            now += time
            come = sorted((at, slot) for slot, at in expected.items() if at <= now)
            assert due.any_by(now) == bool(come)
            assert due.take(now).tolist() == [slot for _, slot in come]
            expected |= {slot: NEVER for _, slot in come}
    everybody = np.arange(-1, 42)
    assert due.times(everybody).tolist() == [expected.get(slot, NEVER) for slot in range(-1, 42)]


def test_of_many_who_are_due_the_earliest_are_taken_first_and_the_others_next():
    due = DueTimes()
    due.set(np.arange(7), np.array([3, 1, 2, 2, 2, 9, 0]))
    assert [due.take(5, 3).tolist() for _ in range(3)] == [[6, 1, 2], [3, 4, 0], []]
    assert due.take(9, 3).tolist() == [5]


@given(st.lists(STEPS, max_size=40))
def test_where_few_are_within_reach_at_once_all_are_taken_in_order_all_the_same(steps: list[tuple[str, set[int], int]]):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(due_times, "NEAR_MAX", 3)
        due, expected, now = DueTimes(), dict[int, int](), 0
        for what, slots, time in steps:
            some = np.array(sorted(slots), dtype=np.int64)
            if what == "take":
                now += time
                taken: list[int] = []
                while (found := due.take(now)).size:
                    taken += found.tolist()
                assert taken == [slot for _, slot in sorted((at, slot) for slot, at in expected.items() if at <= now)]
                expected |= dict.fromkeys(taken, NEVER)
            else:
                due.set(some, np.full(len(some), time))
                expected |= dict.fromkeys(slots, time)


def test_a_clock_that_goes_back_takes_nobody_early():
    due = DueTimes()
    due.set(np.arange(2), np.array([1_000, 5_000]))
    assert due.take(1_000).tolist() == [0]
    assert due.take(10).tolist() == []
    due.set(np.array([0]), np.array([20]))
    assert due.take(20).tolist() == [0]
    assert due.take(5_000).tolist() == [1]

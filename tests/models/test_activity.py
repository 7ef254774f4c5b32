from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models import activity
from models.activity import SLOTS, WORDS

AGES = st.sets(st.integers(0, SLOTS - 1), max_size=40)
SHIFTS = st.one_of(st.integers(0, 400), st.sampled_from([1, 63, 64, 65, 128, 335, 336, 10**6]))


def _ring(ages: set[int]) -> np.ndarray:
    ring = np.zeros((1, WORDS), dtype=np.uint64)
    activity.mark(ring, np.zeros(len(ages), dtype=np.int64), np.array(sorted(ages), dtype=np.int64))
    return ring


def _ages(ring: np.ndarray) -> set[int]:
    bits = sum(int(word) << 64 * place for place, word in enumerate(ring[0]))
    return {age for age in range(384) if bits >> age & 1}


@settings(deadline=None)
@given(AGES)
def test_a_ring_holds_the_ages_that_were_marked(ages):
    assert _ages(_ring(ages)) == ages


@settings(deadline=None)
@given(AGES, SHIFTS)
def test_a_shifted_ring_holds_what_is_at_most_seven_days_old(ages, by):
    moved = activity.shift(_ring(ages), np.array([by]))
    assert _ages(moved) == {age + by for age in ages if age + by < SLOTS}


@settings(deadline=None)
@given(AGES, SHIFTS)
def test_sessions_are_runs_of_half_hours_in_the_last_seven_days(ages, aged):
    seen = {age for age in ages if age + aged < SLOTS}
    runs = sum(1 for age in seen if age + 1 not in seen)
    assert activity.sessions(_ring(ages), np.array([aged])).tolist() == [runs]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 400)), max_size=40))
def test_marks_of_many_customers_keep_apart_and_ages_outside_the_ring_are_left_out(marks):
    ring = np.zeros((5, WORDS), dtype=np.uint64)
    activity.mark(ring, np.array([row for row, _ in marks], dtype=int), np.array([age for _, age in marks], dtype=int))
    for row in range(5):
        assert _ages(ring[row : row + 1]) == {age for other, age in marks if other == row and 0 <= age < SLOTS}


def test_a_session_is_one_within_30_minutes_and_two_beyond_60():
    assert activity.sessions(_ring({0, 1}), np.array([0])).tolist() == [1]
    assert activity.sessions(_ring({0, 2}), np.array([0])).tolist() == [2]

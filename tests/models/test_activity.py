from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models import activity
from models.activity import SLOTS, WORDS

AGES = st.sets(st.integers(0, SLOTS - 1), max_size=40)
SHIFTS = st.one_of(st.integers(0, 400), st.sampled_from([1, 63, 64, 65, 128, 335, 336, 10**6]))


def _ring(ages: set[int]) -> np.ndarray:
    ring = np.zeros(WORDS, dtype=np.uint64)
    for age in ages:
        activity.mark(ring, age)
    return ring


def _ages(ring: np.ndarray) -> set[int]:
    bits = sum(int(word) << 64 * place for place, word in enumerate(ring))
    return {age for age in range(384) if bits >> age & 1}


@given(AGES)
def test_a_ring_holds_the_ages_that_were_marked(ages):
    assert _ages(_ring(ages)) == ages


@given(AGES, SHIFTS)
def test_a_shifted_ring_holds_what_is_at_most_seven_days_old(ages, by):
    ring = _ring(ages)
    activity.shift(ring, by)
    assert _ages(ring) == {age + by for age in ages if age + by < SLOTS}


@given(AGES, SHIFTS)
def test_sessions_are_runs_of_half_hours_in_the_last_seven_days(ages, aged):
    seen = {age for age in ages if age + aged < SLOTS}
    runs = sum(1 for age in seen if age + 1 not in seen)
    assert activity.sessions(_ring(ages), aged) == runs


@given(st.sets(st.one_of(st.integers(-3, 400), st.sampled_from([-(10**9), 335, 336, 10**9]))))
def test_ages_outside_the_ring_are_left_out(ages):
    assert _ages(_ring(ages)) == {age for age in ages if 0 <= age < SLOTS}


def test_a_session_is_one_within_30_minutes_and_two_beyond_60():
    assert activity.sessions(_ring({0, 1}), 0) == 1
    assert activity.sessions(_ring({0, 2}), 0) == 2

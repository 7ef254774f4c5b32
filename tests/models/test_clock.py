from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.clock import STEP_MS, StreamClock

DAY = 86_400_000
START = 1_000_000_000_000


def _clock(*events: tuple[int, str]) -> StreamClock:
    clock = StreamClock("event")
    for time, customer in events:
        clock.observe(np.array([time]), [customer])
    return clock


def test_a_wall_clock_is_the_systems_whatever_happens():
    clock = StreamClock("wall")
    clock.observe(np.array([START]), ["a"])
    assert clock.now(5) == 5


def test_an_event_clock_is_the_systems_until_the_first_event():
    assert _clock().now(5) == 5
    assert _clock((START, "a")).now(5) == START


def test_an_event_clock_never_falls():
    assert _clock((START, "a"), (START - DAY, "b")).now(0) == START


def test_a_step_of_45_days_needs_no_witness():
    assert _clock((START, "a"), (START + STEP_MS, "a")).now(0) == START + STEP_MS


def test_a_longer_step_waits_for_three_customers_and_goes_as_far_as_all_three_have_come():
    far = START + 100 * DAY
    two = [(START, "a"), (far + DAY, "b"), (far + 2 * DAY, "b"), (far + 9 * DAY, "c")]
    assert _clock(*two).now(0) == START
    assert _clock(*two, (far, "d")).now(0) == far + 9 * DAY
    wrong = far + 900 * DAY
    clock = _clock((START, "a"), (wrong, "b"), (wrong, "c"), (far, "d"))
    assert clock.now(0) == far
    clock.observe(np.array([far + DAY]), ["e"])
    assert clock.now(0) == far + DAY


def test_one_customer_alone_moves_a_gap_only_in_steps():
    clock = _clock((START, "a"), *[(START + 60 * DAY + n, "a") for n in range(9)])
    assert clock.now(0) == START


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abcd")), min_size=1, max_size=30))
def test_now_is_never_past_the_third_witness_by_over_a_step(events):
    times = [(START, "a"), *[(START + days * DAY, name) for days, name in events]]
    batched = StreamClock("event")
    batched.observe(np.array([time for time, _ in times]), [name for _, name in times])
    now = _clock(*times).now(0)
    assert batched.now(0) == now
    assert now in {time for time, _ in times}
    past = {name for time, name in times if time > now + STEP_MS}
    assert len(past) < 3


def test_a_clock_survives_json():
    clock = _clock((START, "a"), (START + 90 * DAY, "b"), (START + 90 * DAY, "c"))
    restored = StreamClock.from_dict(json.loads(json.dumps(clock.to_dict())), "event")
    for each in (clock, restored):
        each.observe(np.array([START + 90 * DAY]), ["d"])
        assert each.now(0) == START + 90 * DAY
    assert StreamClock.from_dict(clock.to_dict(), "wall").now(3) == 3
    assert StreamClock.from_dict({}, "event").now(3) == 3


def test_a_clock_that_met_no_event_begins_where_it_is_told_and_one_that_did_goes_on() -> None:
    fresh, wall, running = StreamClock("event"), StreamClock("wall"), StreamClock("event")
    running.observe(np.array([50]), ["a"])
    for each in (fresh, wall, running):
        each.begin(np.array([0.0]))
        each.begin(np.array([80.0, 0.0, 70.0]))
        each.begin(np.array([60.0]))
    assert [each.now(9_000) for each in (fresh, wall, running)] == [70, 9_000, 50]

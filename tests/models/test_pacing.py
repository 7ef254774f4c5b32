"""A group of events of a replay is cut wherever a reminder would have been due between two of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models import pacing
from models.due import NEVER
from models.timers import Timers
from schemas.kinds import Kind
from tests.models.reminding import GRACE, HALF_HOUR, add, buy, event
from tests.oracle.histories import START, batch_of, numbered
from tests.oracle.shop import DAY, HOUR, Event

TIMERS = Timers((float(HALF_HOUR),), float(GRACE), np.inf)
WAIT = HALF_HOUR + GRACE
MINUTE = 60_000


def cut(
    events: list[Event], due: dict[str, int] | None = None, *, step: int = DAY, now: int | None = None
) -> list[list[int]]:
    """The ids' numbers (place in the list) of the parts into which a group falls."""
    batch = batch_of(numbered(events))
    order, met = pacing.meetings(batch)
    due_ms = np.array([(due or {}).get(each.customer, NEVER) for each in events])
    places = [
        0,
        *pacing.cuts(batch, order, met, due_ms, TIMERS, START if now is None else now, step_ms=step),
        len(events),
    ]
    return [order[a:b].tolist() for a, b in pairwise(places)]


def test_events_close_together_stay_one_part():
    assert cut([add(1, 0), add(2, MINUTE), buy(3, 2 * MINUTE)]) == [[0, 1, 2]]


def test_time_passes_before_a_cart_is_bought_that_was_silent_for_long():
    assert cut([add(1, 0), buy(2, WAIT)]) == [[0], [1]]
    assert cut([add(1, 0), buy(2, WAIT - 1)]) == [[0, 1]]


def test_time_passes_before_somebody_returns_whose_reminder_is_due():
    assert cut([add(1, 0, customer="b"), add(2, MINUTE)], {"a": START + 1}) == [[0], [1]]


def test_time_passes_once_a_step():
    views = [event(number, number * HOUR, Kind.VIEW_ITEM) for number in range(3)]
    whole = START - START % HOUR
    shifted = [Event(**{**vars(each), "time": whole + number * HOUR + 1}) for number, each in enumerate(views)]
    assert cut(shifted, step=HOUR, now=whole) == [[0], [1], [2]]
    assert cut(shifted, step=HOUR, now=whole - 1) == [[], [0], [1], [2]]


def test_the_clock_meets_a_late_event_with_the_one_before_it_of_the_same_topic():
    late = [event(1, HOUR, Kind.VIEW_ITEM), event(2, 0, Kind.VIEW_ITEM), buy(3, MINUTE)]
    order, met = pacing.meetings(batch_of(numbered(late)))
    assert order.tolist() == [2, 0, 1]
    assert (met - START).tolist() == [MINUTE, HOUR, HOUR]


def test_a_repeat_does_not_hide_that_a_cart_was_silent():
    other = add(2, WAIT - MINUTE, customer="b")
    assert cut([add(1, 0), other, add(1, 0), add(3, WAIT + MINUTE)]) == [[0, 1, 2], [3]]


def test_a_repeat_does_not_hide_when_a_cart_of_an_earlier_group_was_due():
    due = {"a": START + WAIT}
    other = add(2, WAIT - MINUTE, customer="b")
    assert cut([other, add(1, 0), add(3, WAIT + MINUTE)], due) == [[0, 1], [2]]


GAPS = st.sampled_from([0, MINUTE, WAIT - 1, WAIT, 3 * WAIT])
LATE = st.sampled_from([0, 0, 0, MINUTE, WAIT])


@given(st.lists(st.tuples(GAPS, LATE, st.sampled_from("abc"), st.booleans()), min_size=1, max_size=25))
def test_between_two_events_of_a_cart_that_was_silent_for_a_wait_there_is_always_a_cut_with_its_reminder_due(
    steps: list[tuple[int, int, str, bool]],
):
    time, events = 0, []
    for number, (gap, late, customer, buys) in enumerate(steps):
        time += gap
        events.append((buy if buys else add)(number, max(0, time - late), customer=customer))
    batch = batch_of(numbered(events))
    order, met = pacing.meetings(batch)
    cuts = pacing.cuts(batch, order, met, np.full(len(events), NEVER), TIMERS, START, step_ms=10**15)
    assert cuts == sorted(set(cuts))
    last: dict[str, tuple[int, int]] = {}
    for place, at in enumerate(order.tolist()):
        each = events[at]
        before, newest = last.get(each.customer, (-1, each.time))
        if before >= 0 and met[place] > met[before] and met[place] >= newest + WAIT:
            assert any(before < c <= place and met[c] >= newest + WAIT for c in cuts)
        last[each.customer] = place, max(newest, each.time)

"""Reminders of carts: each once, none of a cart that was bought in time, the wrong ones withdrawn."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from models.reminders import ABANDONED, NONE, OPEN
from tests.models.reminding import DELAYS, GRACE, HALF_HOUR, Shop, add, buy, remove, timers
from tests.oracle.abandoned import ending
from tests.oracle.histories import START
from tests.oracle.shop import DAY, Event

MINUTE = 60_000
FIRST = HALF_HOUR + GRACE
"""When the first reminder of a cart touched at 0 is sent."""


def test_a_cart_is_abandoned_after_the_delay_and_told_a_grace_time_later_once():
    shop = Shop()
    shop.happen(add(1, 0), now=START)
    shop.wait(START + FIRST - 1)
    assert (shop.said(), shop.state()) == ([], OPEN)
    shop.wait(START + FIRST)
    shop.wait(START + FIRST + 10 * MINUTE)
    assert (shop.said(), shop.state()) == ([("abandoned", 0, 1, HALF_HOUR)], ABANDONED)


def test_each_delay_is_a_reminder_of_its_own():
    shop = Shop()
    shop.happen(add(1, 0), now=START)
    for minute in range(200):
        shop.wait(START + minute * MINUTE)
    assert shop.said() == [("abandoned", 0, 1, HALF_HOUR), ("abandoned", 0, 2, 4 * HALF_HOUR)]


def test_a_cart_touched_again_is_open_and_its_first_reminder_is_not_due_again():
    shop = Shop()
    shop.happen(add(1, 0), now=START)
    shop.wait(START + FIRST)
    shop.happen(add(2, FIRST), now=START + FIRST)
    assert shop.state() == OPEN
    shop.wait(START + 2 * FIRST)
    assert (len(shop.said()), shop.state()) == (1, ABANDONED)
    shop.wait(START + FIRST + DELAYS[1] + GRACE)
    assert shop.said()[1:] == [("abandoned", 0, 2, FIRST + DELAYS[1])]


def test_a_cart_bought_in_time_is_never_told_even_within_the_grace():
    shop = Shop()
    shop.happen(add(1, 0), now=START)
    shop.happen(buy(2, HALF_HOUR - 1), now=START + FIRST - 1)
    shop.wait(START + DAY)
    assert (shop.said(), shop.state()) == ([], NONE)


def test_a_cart_emptied_by_removing_is_never_told():
    shop = Shop()
    shop.happen(add(1, 0), remove(2, MINUTE), now=START + MINUTE)
    shop.wait(START + DAY)
    assert shop.said() == []


def test_an_order_after_a_reminder_recovers_the_cart_with_its_money_once():
    shop = Shop()
    shop.happen(add(1, 0), now=START)
    shop.wait(START + FIRST)
    shop.happen(buy(2, FIRST + 1, amount=4_200), now=START + FIRST + 1)
    shop.happen(buy(3, FIRST + 2, amount=100), now=START + FIRST + 2)
    assert shop.said()[1:] == [("recovered", 0, 1, HALF_HOUR)]
    assert shop.told[1][2].value_minor == 4_200


def test_an_order_that_arrives_late_withdraws_what_it_should_have_prevented():
    shop = Shop()
    shop.happen(add(1, 0), now=START)
    shop.wait(START + FIRST)
    shop.happen(buy(2, HALF_HOUR), now=START + 2 * FIRST)
    assert shop.said()[1:] == [("withdrawn", 0, 1, HALF_HOUR)]
    assert shop.standing() == set()


def test_a_late_order_withdraws_the_later_reminder_and_recovers_the_earlier():
    shop = Shop()
    shop.happen(add(1, 0), now=START)
    shop.wait(START + DAY)
    shop.happen(buy(2, 2 * HALF_HOUR), now=START + DAY)
    assert shop.said()[2:] == [("withdrawn", 0, 2, DELAYS[1]), ("recovered", 0, 1, HALF_HOUR)]


def test_use_that_arrives_late_withdraws_a_reminder_which_is_then_due_at_another_time():
    shop = Shop()
    shop.happen(add(1, 0), now=START)
    shop.wait(START + FIRST)
    shop.happen(add(2, 20 * MINUTE), now=START + FIRST)
    assert shop.said()[1:] == [("withdrawn", 0, 1, HALF_HOUR)]
    shop.wait(START + 20 * MINUTE + FIRST)
    assert shop.standing() == {(0, 1, 20 * MINUTE + HALF_HOUR)}


def test_use_that_arrives_after_a_later_one_withdraws_too():
    shop = Shop(timers((HALF_HOUR,)))
    shop.happen(add(1, 0), now=START)
    shop.wait(START + FIRST)
    shop.happen(add(3, FIRST + MINUTE), now=START + FIRST + MINUTE)
    shop.happen(add(2, 20 * MINUTE), now=START + FIRST + MINUTE)
    assert shop.said()[1:] == [("withdrawn", 0, 1, HALF_HOUR)]


def test_a_reminder_that_stands_is_not_told_again_where_only_the_one_before_it_is_withdrawn():
    shop = Shop()
    shop.happen(add(1, 0), now=START)
    shop.wait(START + FIRST)
    shop.happen(add(3, FIRST), now=START + FIRST)
    shop.wait(START + FIRST + DELAYS[1] + GRACE)
    shop.happen(add(2, 20 * MINUTE), now=START + DAY)
    shop.wait(START + 2 * DAY)
    assert shop.standing() == {(0, 1, FIRST + HALF_HOUR), (0, 2, FIRST + DELAYS[1])}


def test_use_that_arrives_late_withdraws_nothing_where_a_long_silence_followed_it():
    shop = Shop(timers((HALF_HOUR,)))
    shop.happen(add(1, 0), now=START)
    shop.wait(START + 3 * FIRST)
    shop.happen(add(3, 3 * FIRST), now=START + 3 * FIRST)
    shop.happen(add(2, 20 * MINUTE), now=START + 3 * FIRST)
    assert shop.standing() == {(0, 1, HALF_HOUR)}


def test_what_comes_late_about_a_cart_before_the_last_reminded_or_about_use_of_one_that_is_over_withdraws_nothing():
    shop = Shop(timers((HALF_HOUR,)))
    shop.happen(add(1, 0), now=START)
    shop.wait(START + FIRST)
    shop.happen(buy(2, FIRST), now=START + FIRST)
    shop.happen(add(3, 20 * MINUTE), now=START + FIRST + MINUTE)
    shop.happen(add(4, 2 * FIRST), now=START + 2 * FIRST)
    shop.wait(START + 3 * FIRST)
    shop.happen(buy(5, HALF_HOUR), now=START + 3 * FIRST)
    assert [kind for kind, *_ in shop.said()] == ["abandoned", "recovered", "abandoned"]


def test_a_removal_that_takes_nothing_out_at_the_moment_of_the_first_add_ends_no_cart():
    shop = Shop(timers((HALF_HOUR,)))
    shop.happen(remove(6, 0), add(1, 0, quantity=3), now=START)
    shop.wait(START + FIRST)
    shop.happen(remove(3, FIRST), now=START + FIRST)
    assert shop.standing() == {(0, 1, HALF_HOUR)}


def test_a_reminder_told_again_after_it_was_withdrawn_is_another_one_even_of_the_same_silence():
    shop = Shop(timers((HALF_HOUR,)))
    shop.happen(add(1, 0), add(2, MINUTE, product=2), now=START)
    shop.wait(START + FIRST + MINUTE)
    shop.happen(remove(3, MINUTE), remove(4, MINUTE, product=2), now=START + DAY)
    assert (shop.state(), shop.standing()) == (NONE, set())
    shop.happen(add(5, MINUTE // 2, product=3), now=START + DAY)
    shop.wait(START + DAY)
    assert shop.standing() == {(0, 1, MINUTE + HALF_HOUR + 1)}


def test_a_cart_that_turns_out_never_to_have_been_empty_keeps_the_name_that_was_told():
    shop = Shop(timers((HALF_HOUR,)))
    shop.happen(add(1, 0), now=START)
    shop.wait(START + FIRST)
    shop.happen(remove(2, FIRST), add(3, 2 * FIRST), now=START + 2 * FIRST)
    shop.wait(START + 3 * FIRST)
    shop.happen(remove(4, 4 * FIRST), now=START + 4 * FIRST)
    shop.happen(add(5, MINUTE, product=2), now=START + 4 * FIRST)
    shop.wait(START + DAY)
    assert shop.standing() == {(0, 1, HALF_HOUR), (2 * FIRST, 1, 2 * FIRST + HALF_HOUR)}


def test_added_bought_added_again_is_another_cart():
    shop = Shop()
    shop.happen(add(1, 0), now=START)
    shop.wait(START + FIRST)
    shop.happen(buy(2, FIRST), now=START + FIRST)
    shop.happen(add(3, FIRST + 1), now=START + FIRST + 1)
    shop.wait(START + 2 * FIRST + 1)
    assert shop.standing() == {(0, 1, HALF_HOUR), (FIRST + 1, 1, FIRST + 1 + HALF_HOUR)}


def test_a_reminder_that_was_due_too_long_ago_is_counted_and_not_told():
    shop = Shop(timers(oldest=3 * DAY))
    shop.happen(add(1, 0), now=START + 4 * DAY)
    shop.wait(START + 4 * DAY)
    assert (shop.said(), shop.passed_over, shop.state()) == ([], 2, ABANDONED)
    shop.wait(START + 9 * DAY)
    assert shop.passed_over == 2


def test_an_event_ahead_of_the_clock_fires_nothing_early():
    shop = Shop()
    shop.happen(add(1, 5 * MINUTE), now=START)
    shop.wait(START + FIRST)
    assert shop.said() == []
    shop.wait(START + FIRST + 5 * MINUTE)
    assert len(shop.said()) == 1


GAPS = (MINUTE, 12 * MINUTE, 50 * MINUTE, 3 * HALF_HOUR - MINUTE, 6 * HALF_HOUR)
"""Clearly shorter than, between, and clearly longer than the delays."""


@st.composite
def careers(draw: st.DrawFn, *, late_use: bool) -> list[tuple[int, Event]]:
    """(when it arrives, event) of one customer: adds, removes and orders.

    One order may be told late, and then no cart ends after it: of a cart that is over nobody is reminded, so that an
    order that would have split it comes too late to say so. Nor is it late where more was taken out than was there:
    what is missing is made up for by the next adds, until the order says that they opened a cart.
    """
    time, found, ended, units = 0, [], False, Counter[int]()
    for number in range(draw(st.integers(1, 14))):
        time += draw(st.sampled_from(GAPS))
        kind = draw(st.sampled_from("aaarb")) if not ended or late_use else "a"
        owing = min(units.values(), default=0) < 0
        if kind == "b":
            made = buy(number, time)
            units.clear()
        else:
            product = draw(st.integers(1, 2))
            made = {"a": add, "r": remove}[kind](number, time, product=product)
            units[product] += 1 if kind == "a" else -1
        may_be_late = late_use or (kind == "b" and not owing)
        late = draw(st.sampled_from((0, 0, 40 * MINUTE, 5 * HALF_HOUR))) if may_be_late else 0
        ended |= late > 0
        found.append((time + late, made))
    return sorted(found, key=lambda each: each[0])


def lived(career: list[tuple[int, Event]], delays: tuple[int, ...]) -> tuple[Shop, int]:
    """A shop in which all of it happened, a day later; and its time."""
    shop, now = Shop(timers(delays)), START
    for arrives, each in career:
        while now < START + arrives:
            now = min(now + 5 * MINUTE, START + arrives)
            shop.wait(now)
        shop.happen(each, now=now)
    end = now + DAY
    while now < end:
        now += HALF_HOUR
        shop.wait(now)
    return shop, now


@given(careers(late_use=False), st.sampled_from(((HALF_HOUR,), DELAYS)))
def test_what_stands_in_the_end_is_what_the_oracle_reads_off_the_whole_history(
    career: list[tuple[int, Event]], delays: tuple[int, ...]
):
    shop, now = lived(career, delays)
    expected = ending([each for _, each in career], delays, GRACE, now)
    standing = {(cart, number): due for cart, number, due in shop.standing()}
    read = {(r.opened - START, r.number): r.due - START for r in expected.reminders}
    assert standing.keys() == read.keys()
    if all(arrives == each.time - START for arrives, each in career):
        # A late order can make another cart of what was one, whose silence is then counted from its last use.
        assert standing == read
    recovered = [(cart, number) for kind, cart, number, _ in shop.said() if kind == "recovered"]
    assert recovered == [(r.opened - START, r.number) for r in expected.recovered]


@given(careers(late_use=True), st.sampled_from(((HALF_HOUR,), DELAYS)))
def test_whatever_comes_late_no_reminder_stands_twice_and_no_silent_cart_is_forgotten(
    career: list[tuple[int, Event]], delays: tuple[int, ...]
):
    shop, now = lived(career, delays)
    standing = shop.standing()
    assert all(due + START + delays[number - 1] <= now for _, number, due in standing)
    if shop.state() == ABANDONED:
        last = max(cart for _, cart, _, _ in shop.said())
        assert {number for cart, number, _ in standing if cart == last} == set(range(1, len(delays) + 1))
    else:
        assert shop.state() == NONE

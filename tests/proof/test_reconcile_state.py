"""Repeats beyond the documented horizon are told from faults: another meeting of the two topics explains them."""

from __future__ import annotations

import itertools

from schemas.kinds import Kind
from tests.oracle.shop import MINUTE, Customer, Event
from tests.proof.reconcile_state import meetings

START = 1_750_000_000_000


def customer(purchases: int) -> Customer:
    """14 views, the first of them again, and then orders, each of which is newer than every view."""
    views = [Event("c1", START + at * MINUTE, Kind.VIEW_ITEM, id=at + 1, offset=at) for at in range(14)]
    again = Event("c1", START, Kind.VIEW_ITEM, id=1, offset=14)
    orders = [
        Event("c1", START + (20 + at) * MINUTE, Kind.PURCHASE, id=99 + at, source=1, offset=at, order=99 + at, amount=1)
        for at in range(purchases)
    ]
    found = Customer()
    for event in [*views, again, *orders]:
        found.take(event, late=False)
    return found


def test_a_repeat_may_count_where_enough_orders_came_ahead_of_it() -> None:
    found = customer(purchases=3)
    assert (found.duplicates, len(found.events)) == (1, 17)
    assert (0, 18) in {(other.duplicates, len(other.events)) for other in meetings(found)}


def test_a_repeat_may_not_count_where_no_order_can_have_pushed_it_out() -> None:
    found = customer(purchases=2)
    assert {(other.duplicates, len(other.events)) for other in meetings(found)} == {(1, 16)}


def test_another_meeting_keeps_each_topics_order_and_every_event() -> None:
    found = customer(purchases=3)
    for other in meetings(found):
        for source in (0, 1):
            offsets = [event.offset for event, _, _ in other.arrived if event.source == source]
            assert offsets == sorted(offsets)
        assert len(other.arrived) == len(found.arrived)


def test_of_many_repeats_also_only_the_last_may_count() -> None:
    found, offset = Customer(), 0
    for number in range(12):
        for _ in range(2):
            found.take(Event("c1", START + number * MINUTE, Kind.VIEW_ITEM, id=number + 1, offset=offset), late=False)
            offset += 1
    for at in range(20):
        order = Event("c1", START + (20 + at) * MINUTE, Kind.PURCHASE, id=99 + at, source=1, offset=at, order=99 + at)
        found.take(order, late=False)
    assert found.duplicates == 12
    counted = {
        tuple(
            event.offset
            for event, _, what in other.arrived
            if event.offset % 2 and what == "applied" and not event.source
        )
        for other in itertools.islice(meetings(found), 2_000)
    }
    assert (23,) in counted

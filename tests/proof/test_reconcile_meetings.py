"""Repeats beyond the documented horizon are told from faults: another meeting of the two topics explains them."""

from __future__ import annotations

from schemas.kinds import Kind
from tests.oracle.shop import DAY, MINUTE, Customer, Event
from tests.proof.reconcile_meetings import meetings

START = 1_750_000_000_000


def counted(customer: Customer) -> tuple[int, ...]:
    """Offsets of the views that counted although they came for the second time."""
    seen: set[int] = set()
    offsets = []
    for event, _, what in customer.arrived:
        if event.id in seen and what == "applied" and not event.source:
            offsets.append(event.offset)
        seen.add(event.id)
    return tuple(offsets)


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
    assert {(other.duplicates, len(other.events)) for other in meetings(found, 0)} == {(0, 18)}


def test_a_repeat_may_not_count_where_no_order_can_have_pushed_it_out() -> None:
    assert not list(meetings(customer(purchases=2), 0))


def test_another_meeting_keeps_each_topics_order_and_every_event() -> None:
    found = customer(purchases=3)
    for duplicates in (0, 1):
        others = list(meetings(found, duplicates))
        assert others
        for other in others:
            for source in (0, 1):
                offsets = [event.offset for event, _, _ in other.arrived if event.source == source]
                assert offsets == sorted(offsets)
            assert len(other.arrived) == len(found.arrived)


def twice(days: int) -> Customer:
    """Day by day 12 views, each of them twice at once, and then 20 orders."""
    found, clicks, orders = Customer(), 0, 0
    for day in range(days):
        start = START + day * 3 * DAY
        for number in range(12):
            for _ in range(2):
                view = Event("c1", start + number * MINUTE, Kind.VIEW_ITEM, id=100 * day + number + 1, offset=clicks)
                found.take(view, late=False)
                clicks += 1
        for at in range(20):
            number = 10_000 + orders
            order = Event("c1", start + (20 + at) * MINUTE, Kind.PURCHASE, number, 1, orders, order=number)
            found.take(order, late=False)
            orders += 1
    return found


def test_of_many_repeats_also_only_the_last_may_count() -> None:
    found = twice(days=1)
    assert found.duplicates == 12
    assert (23,) in {counted(other) for other in meetings(found, 11)}


def test_orders_may_have_come_ahead_several_times() -> None:
    found = twice(days=2)
    assert found.duplicates == 24
    assert (23, 47) in {counted(other) for other in meetings(found, 22)}

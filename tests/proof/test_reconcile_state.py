"""Repeats beyond the documented horizon are told from faults: another meeting of the two topics explains them."""

from __future__ import annotations

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

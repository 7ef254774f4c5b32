from __future__ import annotations

import pytest

from models import carts
from schemas.kinds import Kind
from tests.oracle.compare import Run, applied
from tests.oracle.histories import START, numbered, spread
from tests.oracle.shop import DAY, HOUR, Event, Operation


def _event(number: int, at: int, kind: Kind, *operations: Operation) -> Event:
    order = spread(number) if kind is Kind.PURCHASE else 0
    return Event("a", START + at, kind, spread(number), operations=operations, order=order)


def _told(run: Run) -> tuple[float, float, float]:
    (told,) = run.describe(START).values()
    return told["cart_items"], told["cart_value"], told["cart_age_s"]


def _run(*events: Event) -> Run:
    return applied([[event] for event in numbered(events)])


ADD, REMOVE = Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART


def test_a_cart_emptied_by_removing_is_closed_and_worth_nothing():
    run = _run(_event(1, 0, ADD, Operation(1, 2, 50)), _event(2, HOUR, REMOVE, Operation(1, -2, 0)))
    assert _told(run)[:2] == (0, 0)


def test_removing_more_than_there_is_takes_nothing_from_other_products():
    run = _run(_event(1, 0, ADD, Operation(1, 1, 50), Operation(2, 1, 30)), _event(2, 1, REMOVE, Operation(1, -5, 50)))
    assert _told(run)[:2] == (1, 30)


def test_a_remove_that_arrives_before_its_add_still_counts():
    run = _run(_event(2, HOUR, REMOVE, Operation(1, -1, 50)), _event(1, 0, ADD, Operation(1, 1, 50)))
    assert _told(run)[:2] == (0, 0)


def test_a_clear_empties_the_cart_up_to_its_time_and_is_forgotten_with_it():
    clear = _event(2, HOUR, REMOVE, Operation(0, 0, 0))
    assert _told(_run(_event(1, 0, ADD, Operation(1, 1, 50)), clear))[:2] == (0, 0)
    assert _told(_run(clear, _event(1, HOUR, ADD, Operation(1, 1, 50))))[:2] == (0, 0)
    run = _run(clear, _event(1, HOUR + 1, ADD, Operation(1, 1, 50)))
    assert _told(run)[:2] == (1, 50)
    run.apply([Event("a", START + HOUR + 1, Kind.PURCHASE, spread(9), source=1, order=1)])
    assert (_told(run)[:2], len(run.table.carts)) == ((0, 0), 0)


def test_age_counts_from_the_oldest_add_that_counts():
    run = _run(_event(1, 0, ADD, Operation(1, 1, 50)), _event(2, HOUR, ADD, Operation(2, 1, 50)))
    assert _told(run)[2] == HOUR / 1000
    view = Event("a", START + 30 * DAY, Kind.VIEW_ITEM, spread(3), offset=5)
    run.apply([view])
    assert _told(run) == (1, 50, (30 * DAY - HOUR) / 1000)


@pytest.mark.parametrize("arrival", [1, -1])
def test_a_cart_of_long_ago_is_over_once_the_customer_is_seen_again(arrival):
    events = [_event(1, 0, ADD, Operation(1, 1, 50)), _event(2, 31 * DAY, Kind.VIEW_ITEM)]
    run = _run(*events[::arrival])
    assert (_told(run), len(run.table.carts)) == ((0, 0, 0), 0)


def test_carts_join_by_their_operations():
    one, two = (_run(_event(n, n, ADD, Operation(n, 1, 50))).table.carts.blobs[0] for n in (1, 2))
    assert carts.join(one, None) == carts.join(None, one) == one
    assert carts.join(None, None) is None
    joined = carts.join(one, two)
    assert len(joined) == len(one) + 40
    assert carts.is_blob(joined)
    assert not carts.is_blob(joined[:-1])
    assert not carts.is_blob(b"")

"""The first end of a cart that somebody was reminded of."""

from __future__ import annotations

from schemas.kinds import Kind
from tests.models.reminding import GRACE, HALF_HOUR, Shop, add, buy, event, remove, timers
from tests.oracle.histories import START
from tests.oracle.shop import Event, Operation

SENT = HALF_HOUR + GRACE


def reminded() -> Shop:
    shop = Shop(timers((HALF_HOUR,)))
    shop.happen(add(1, 0, quantity=2), now=START)
    shop.wait(START + SENT)
    assert len(shop.told) == 1
    return shop


def said(shop: Shop) -> list[str]:
    return [kind for _, kind, _ in shop.told[1:]]


def test_a_removal_of_the_last_unit_ends_a_cart_and_an_order_afterwards_does_not_recover_it():
    shop = reminded()
    shop.happen(remove(2, SENT, quantity=1), now=START + SENT)
    shop.happen(remove(3, SENT + 1, quantity=1), now=START + SENT + 1)
    shop.happen(buy(4, SENT + 2), now=START + SENT + 2)
    assert said(shop) == []


def test_of_a_removal_and_an_order_in_one_group_the_earlier_counts():
    shop = reminded()
    shop.happen(remove(2, SENT + 5, quantity=2), buy(3, SENT + 2), now=START + SENT + 5)
    assert said(shop) == ["recovered"]
    shop = reminded()
    shop.happen(remove(2, SENT + 2, quantity=2), buy(3, SENT + 5), now=START + SENT + 5)
    assert said(shop) == []


def test_a_clear_that_arrives_late_withdraws():
    shop = reminded()
    shop.happen(event(2, HALF_HOUR - 1, Kind.REMOVE_FROM_CART, Operation(0, 0, 0)), now=START + SENT)
    assert said(shop) == ["withdrawn"]


def test_an_order_of_before_the_cart_was_opened_ends_nothing():
    shop = reminded()
    shop.happen(buy(2, -1), now=START + SENT)
    assert said(shop) == []


def test_the_money_of_a_recovery_is_that_of_all_lines_of_its_order():
    shop = reminded()
    lines = [
        Event("a", START + SENT, Kind.ORDER_LINE, id=900 + number, source=1, order=77, amount=100 + number)
        for number in range(3)
    ]
    shop.happen(*lines, now=START + SENT)
    assert said(shop) == ["recovered"]
    assert shop.told[1][2].value_minor == 303


def test_a_batch_of_others_ends_nothing():
    shop = reminded()
    shop.happen(buy(2, SENT, customer="b"), remove(3, SENT, customer="b"), now=START + SENT)
    assert said(shop) == []

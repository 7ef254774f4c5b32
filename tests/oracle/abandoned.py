"""The oracle of cart reminders: which stand in the end, read off a customer's whole history at leisure.

It knows every event, also those that arrived late, so it never withdraws anything: what it says is what must stand
once everything has arrived. Silences are to be clearly shorter or clearly longer than a delay and its grace: in
between, it depends on what arrived when. It keeps all operations, and shares no code with `models`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from tests.oracle.shop import ORDER_KINDS, Event, Operation


class Reminder(NamedTuple):
    """One that stands."""

    opened: int
    """When its cart was opened."""
    number: int
    due: int


class Recovery(NamedTuple):
    """A cart that was ordered after a reminder."""

    opened: int
    number: int
    """Of the last reminder."""
    value: int


@dataclass
class Ending:
    """What is told of one customer when everything has arrived."""

    reminders: list[Reminder]
    recovered: list[Recovery]
    carts: int = 0
    """How many there were."""


@dataclass
class _Cart:
    """One cart from its first add until it is empty."""

    opened: int
    touched: int
    told: list[Reminder]


class _Life:
    """One customer's carts, moment by moment."""

    def __init__(self, delays: Sequence[int], grace: int) -> None:
        self.told = Ending([], [])
        self._delays, self._grace = delays, grace
        self._cart: _Cart | None = None
        self._units: dict[int, int] = {}

    def silent_until(self, time: int) -> None:
        """Nothing has happened to the cart since it was touched, and now it is `time`."""
        cart = self._cart
        for number, delay in enumerate(self._delays, start=1):
            if cart is not None and len(cart.told) == number - 1 and time >= cart.touched + delay + self._grace:
                cart.told.append(Reminder(cart.opened, number, cart.touched + delay))

    def operate(self, time: int, operation: Operation) -> None:
        """Put in or take out."""
        if (operation.product, operation.quantity) == (0, 0):
            self._units.clear()
        else:
            self._units[operation.product] = self._units.get(operation.product, 0) + operation.quantity
        filled = any(left > 0 for left in self._units.values())
        if not filled:
            self.end()
        elif self._cart is None:
            self._cart = _Cart(time, time, [])
            self.told.carts += 1
        else:
            self._cart.touched = time

    def buy(self, order: Event) -> None:
        """Order what lies in the cart, be it nothing."""
        self._units.clear()
        if self._cart is not None and self._cart.told:
            self.told.recovered.append(Recovery(self._cart.opened, len(self._cart.told), order.amount))
        self.end()

    def end(self) -> None:
        """Let the cart be gone, if there is one."""
        if self._cart is not None:
            self.told.reminders.extend(self._cart.told)
        self._cart = None


def ending(events: Iterable[Event], delays: Sequence[int], grace: int, now: int) -> Ending:
    """Read one customer's events; `delays`, `grace` and `now` in milliseconds."""
    relevant = [event for event in events if event.operations or event.kind in ORDER_KINDS]
    life = _Life(delays, grace)
    for time, moment in groupby(sorted(relevant, key=lambda event: (event.time, event.id)), lambda event: event.time):
        together = list(moment)
        life.silent_until(time)
        for event in together:
            for operation in event.operations:
                life.operate(time, operation)
        # An order takes with it what was put in at the same moment.
        for event in together:
            if event.kind in ORDER_KINDS:
                life.buy(event)
    life.silent_until(now)
    life.end()
    return life.told

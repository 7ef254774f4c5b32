"""Customers to whom events and time happen, and what is told of their carts: the models alone, without a partition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models import reminders, reuse
from models.agenda import Agenda, Slots
from models.columns import COL
from models.judge import Rules
from models.reminders import Told
from models.timers import Timers
from schemas.kinds import Kind
from tests.oracle.compare import Run
from tests.oracle.histories import START, spread
from tests.oracle.shop import Event, Operation

HALF_HOUR, GRACE = 1_800_000, 60_000
DELAYS = (HALF_HOUR, 4 * HALF_HOUR)
KINDS = ("abandoned", "withdrawn", "recovered")
FAR = 1e15


def timers(delays: Sequence[int] = DELAYS, grace: int = GRACE, oldest: float = FAR) -> Timers:
    return Timers(tuple(map(float, delays)), float(grace), oldest)


class Shop:
    """A table, the agenda of its carts and everything that was told, in order."""

    def __init__(self, rules: Timers | None = None) -> None:
        self.run = Run()
        self.agenda = Agenda(rules or timers(), Rules(margin=0.0, dwell_ms=0.0), 1_000.0)
        self.told: list[tuple[str, str, Told]] = []
        """(customer, kind, what)."""
        self.passed_over = 0
        self._offsets = [0, 0]

    def happen(self, *events: Event, now: int) -> None:
        """Let events arrive together, at `now`."""
        placed = []
        for event in events:
            placed.append(Event(**{**vars(event), "offset": self._offsets[event.source]}))
            self._offsets[event.source] += 1
        applied = self.run.apply(placed)
        slots, rows, timers = applied.touched, applied.rows, self.agenda.timers
        noted, carts = np.zeros(len(slots), np.bool_), self.run.table.carts
        told = reminders.end(rows, slots, applied.ended, noted)
        told += reuse.withdraw(rows, slots, applied.cart_touched, carts, now_ms=now, timers=timers, noted=noted)
        reminders.settle(rows, noted)
        self._judge(slots, rows, told, now)

    def wait(self, now: int) -> None:
        """Let time pass until `now`; only who is on the agenda is looked at."""
        while (taken := self.agenda.take(now)).size:
            slots = np.sort(taken)
            rows = self.run.table.gather(slots)
            timers, noted = self.agenda.timers, np.zeros(len(slots), np.bool_)
            told, passed_over = reminders.remind(rows, float(now), timers, noted)
            self.passed_over += passed_over
            self._judge(slots, rows, told, now)

    def _judge(self, slots: Slots, rows: NDArray[np.float64], told: list[Told], now: int) -> None:
        timers = self.agenda.timers
        rows[:, COL.cart_state] = reminders.states(rows, float(now), timers)
        self.told += [(self.run.table.ids[int(slots[each.at])], KINDS[each.what], each) for each in told]
        self.run.table.scatter(slots, rows)
        self.agenda.carts.set(slots, reminders.due(rows, timers))

    def said(self, customer: str = "a") -> list[tuple[str, int, int, int]]:
        """(kind, cart, reminder, due) of one customer, times in milliseconds after START."""
        return [
            (kind, int(told.cart) - START, told.reminder, int(told.due_ms) - START)
            for name, kind, told in self.told
            if name == customer
        ]

    def standing(self, customer: str = "a") -> set[tuple[int, int, int]]:
        """(cart, reminder, due) that were told and not withdrawn; asserts that no reminder ever stood twice."""
        found: set[tuple[int, int, int]] = set()
        for kind, cart, number, due in self.said(customer):
            if kind == "abandoned":
                assert not [each for each in found if each[:2] == (cart, number)], "told while it stood"
                found.add((cart, number, due))
            elif kind == "withdrawn":
                found.remove((cart, number, due))
        return found

    def state(self, customer: str = "a") -> int:
        """State of a customer's cart."""
        return int(self.run.table.gather(np.array([self.run.table.ids.index(customer)]))[0, COL.cart_state])


def event(number: int, at: int, kind: Kind, *operations: Operation, customer: str = "a", amount: int = 0) -> Event:
    """An event of one's own making, `at` milliseconds after START; orders come by the other topic."""
    order = spread(10**6 + number) if kind is Kind.PURCHASE else 0
    source = int(kind is Kind.PURCHASE)
    return Event(customer, START + at, kind, spread(number), source, operations=operations, order=order, amount=amount)


def add(number: int, at: int, *, product: int = 1, quantity: int = 1, customer: str = "a") -> Event:
    return event(number, at, Kind.ADD_TO_CART, Operation(product, quantity, 500), customer=customer)


def remove(number: int, at: int, *, product: int = 1, quantity: int = 1, customer: str = "a") -> Event:
    return event(number, at, Kind.REMOVE_FROM_CART, Operation(product, -quantity, 500), customer=customer)


def buy(number: int, at: int, *, customer: str = "a", amount: int = 900) -> Event:
    return event(number, at, Kind.PURCHASE, customer=customer, amount=amount)

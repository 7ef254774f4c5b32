"""What must hold of cart triggers: at every moment for whoever reads them, and at rest for every cart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from models import reminders
from models.columns import COL
from models.timers import Timers
from schemas.topics import CART_TRIGGERS
from stream.partition.partition import Partition
from tests.simulation.broker import Payload
from tests.simulation.checks import Violation

Told = dict[tuple[str, int], int]
"""(cart, reminder) -> due, of what stands."""


class TriggerReader:
    """Reads cart-triggers from the beginning and drops ids that it has seen, as docs/contracts.md tells it to."""

    def __init__(self, *, fenced: bool) -> None:
        self.standing: Told = {}
        self.repeats = 0
        self.forks = 0
        """Reminders that two owners told with different due times, where nothing fences the older one (promised by
        docs/exactness.md elsewhere only); the later one stands, and at rest it must be what the state says."""
        self.kinds: dict[str, int] = {}
        self._said: dict[str, bytes] = {}
        self._recovered: set[str] = set()
        self._fenced = fenced

    def read(self, topic: str, _partition: int, _offset: int, payloads: Sequence[Payload], _by: str) -> None:
        """Take what was appended to a log. Raises Violation."""
        if topic == CART_TRIGGERS:
            for _, value, _ in payloads:
                assert value is not None
                self._take(value)

    def _take(self, value: bytes) -> None:
        trigger = orjson.loads(value)
        known = self._said.get(trigger["id"])
        if known is not None:
            if known != value:
                raise Violation(f"triggers: two contents under id {trigger['id']}: {known!r} and {value!r}")
            self.repeats += 1
            return
        self._said[trigger["id"]] = value
        kind, place = trigger["kind"], (trigger["cart_id"], trigger["reminder"])
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if kind == "abandoned":
            if place in self.standing:
                if self._fenced:
                    raise Violation(f"triggers: {place} is told twice, the second time by {trigger}")
                self.forks += 1
            self.standing[place] = trigger["due"]
        elif kind == "withdrawn":
            if self.standing.pop(place, None) != trigger["due"]:
                raise Violation(f"triggers: what is withdrawn never stood: {trigger}")
        else:
            if self.standing.get(place) != trigger["due"]:
                raise Violation(f"triggers: what is recovered was not told: {trigger}")
            if trigger["cart_id"] in self._recovered:
                raise Violation(f"triggers: recovered twice: {trigger}")
            self._recovered.add(trigger["cart_id"])


def carts_at_rest(world: Any, partition: Partition) -> list[str]:
    """Compare the carts of a partition whose owner is idle with what a subscriber was told; returns what differs."""
    table, timers, now_ms = partition.table, partition.agenda.timers, partition.now_ms
    found = [f"triggers of {table.ids[slot]} are still to be sent" for slot in table.triggers]
    standing: Told = world.triggers.standing
    for slot, name in enumerate(table.ids):
        row = table.gather(np.array([slot]))[0]
        cart = f"{name}:{int(row[COL.told_cart])}"
        told = [max(int(due), 0) for due in row[COL.told_due1 : COL.told_due3 + 1]]
        heard = [standing.get((cart, number), 0) for number in (1, 2, 3)]
        if told != heard:
            found.append(f"{name}: the state says that reminders were due at {told}, the triggers {heard}")
        states = reminders.states(row[None, :], now_ms, timers)
        if row[COL.cart_state] != states[0]:
            found.append(f"{name}: the cart is said to be {row[COL.cart_state]}, it is {states[0]}")
        if states[0] == reminders.ABANDONED and row[COL.told_passed] < 1:
            found.append(f"{name}: the cart is abandoned since {row[COL.cart_touched_at]}, and nobody was reminded")
        passed = _passed(row, timers, now_ms)
        # None of them is ever too old; one that was withdrawn has its time with a minus.
        if passed and (row[COL.told_passed] < passed or not row[COL.told_due1 : COL.told_due1 + passed].all()):
            said = row[COL.told_passed : COL.told_due3 + 1].tolist()
            found.append(f"{name}: {passed} reminders of the cart are due, and the state says {said}")
    return found


def _passed(row: Any, timers: Timers, now_ms: int) -> int:
    """How many reminders of a cart are due by now."""
    if row[COL.cart_items] <= 0:
        return 0
    return int(np.count_nonzero(row[COL.cart_touched_at] + timers.delays + timers.grace_ms <= now_ms))

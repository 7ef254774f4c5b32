"""Many carts: careers of customers who fill, leave, empty and buy them, some of it told late, twice or out of order.

Silences are clearly shorter or clearly longer than what is waited for, so that the oracle (`tests.oracle.abandoned`)
can say from the whole history alone what must stand in the end, whatever arrived when.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from models.batch import SOURCES
from schemas.kinds import Kind
from tests.oracle.histories import spread
from tests.oracle.shop import Event, Operation

MINUTE_MS = 60_000
START_MS = 1_760_000_000_000
GAPS_MIN = (1, 3, 12, 12, 50, 89, 181, 600)
"""Minutes between two steps of a customer, where reminders are due after 30 and 120, and a minute of grace."""
STEPS = (*[Kind.ADD_TO_CART] * 3, Kind.REMOVE_FROM_CART, Kind.PURCHASE)
LATE_MIN = (0, 0, 0, 0, 20, 100, 300)
"""How much later than it happened an order is told."""
SWAPPED_MIN = (0, 0, 0.5, 1.5)
"""The same for what is put in or taken out: comes after what was done later, and before anybody is reminded."""
REPEATED = 0.05
SPAN_MIN = 2 * 24 * 60

Pairs = list[tuple[bytes | None, bytes | None]]


@dataclass(frozen=True, slots=True)
class Told:
    """One record: when it is sent, where to, and what it means."""

    at_ms: int
    topic: str
    value: bytes
    event: Event


class Careers:
    """Customers `c0`, `c1`... All that is random comes from the seed."""

    def __init__(self, seed: int, customers: int, apart: Callable[[str], bool]) -> None:
        """`apart`: whose orders come by the topic of orders; all else of all customers by the other one."""
        self._apart = apart
        self._rng = random.Random(seed)
        self._made = 0
        self.by_customer: dict[str, list[Event]] = {}
        self.late: set[str] = set()
        """Customers of whom an order is told late: one can make another cart of what was one, due at another time."""
        told = [each for number in range(customers) for each in self._career(f"c{number}")]
        again = [
            Told(each.at_ms + self._rng.randrange(60 * MINUTE_MS), each.topic, each.value, each.event)
            for each in told
            if self._rng.random() < REPEATED
        ]
        self.repeats = len(again)
        self.told = sorted([*told, *again], key=lambda each: each.at_ms)
        self.end_ms = max(each.at_ms for each in self.told)

    def slices(self, count: int) -> Iterator[dict[str, Pairs]]:
        """The records by topic, in `count` portions, in the order in which they are sent."""
        for number in range(count):
            mine = self.told[number * len(self.told) // count : (number + 1) * len(self.told) // count]
            yield {topic: list(_pairs(each for each in mine if each.topic == topic)) for topic in SOURCES}

    def _career(self, customer: str) -> Iterator[Told]:
        rng = self._rng
        held: list[int] = []
        minute = rng.randrange(SPAN_MIN)
        for _ in range(rng.randrange(3, 10)):
            minute += rng.choice(GAPS_MIN)
            # Of a cart that is over nobody is reminded: no cart ends after an order that is told late.
            step = rng.choice(STEPS) if customer not in self.late else Kind.ADD_TO_CART
            # Taking out what is not in it would hide the next one put in, until a late order ends what was before.
            step = Kind.ADD_TO_CART if step is Kind.REMOVE_FROM_CART and not held else step
            product = held.pop(rng.randrange(len(held))) if step is Kind.REMOVE_FROM_CART else rng.randrange(3)
            if step is Kind.PURCHASE:
                held = []
            elif step is Kind.ADD_TO_CART:
                held.append(product)
            event, value = self._step(customer, START_MS + minute * MINUTE_MS, step, product)
            late = rng.choice(LATE_MIN if step is Kind.PURCHASE else SWAPPED_MIN)
            self.by_customer.setdefault(customer, []).append(event)
            if late and step is Kind.PURCHASE:
                self.late.add(customer)
            yield Told(event.time + int(late * MINUTE_MS), SOURCES[event.source], value, event)

    def _step(self, customer: str, time_ms: int, kind: Kind, product: int) -> tuple[Event, bytes]:
        self._made += 1
        number, amount = self._made, 100 * self._rng.randrange(1, 90)
        fields: dict[str, object] = {
            "event_id": f"e{number}",
            "event_type": kind.name.lower(),
            "customer_id": customer,
            "event_time": time_ms,
        }
        operations: tuple[Operation, ...] = ()
        if kind is Kind.PURCHASE:
            fields |= {"order_id": f"o{number}", "value": amount / 100}
        else:
            fields |= {"product_id": f"p{product}", "quantity": 1, "price": amount / 100}
            operations = (Operation(1 + product, 1 if kind is Kind.ADD_TO_CART else -1, amount),)
        event = Event(
            customer,
            time_ms,
            kind,
            spread(number),
            source=int(kind is Kind.PURCHASE and self._apart(customer)),
            operations=operations,
            amount=amount if kind is Kind.PURCHASE else 0,
        )
        return event, json.dumps(fields).encode()


def _pairs(told: Iterable[Told]) -> Iterator[tuple[bytes | None, bytes | None]]:
    for each in told:
        yield each.event.customer.encode(), each.value


def clock(customers: Iterable[str], time_ms: int) -> Pairs:
    """Views by others, which move every partition's clock that they are in to `time_ms`."""
    return [
        (
            name.encode(),
            json.dumps(
                {
                    "event_id": f"{name}-{time_ms}",
                    "event_type": "view_item",
                    "customer_id": name,
                    "event_time": time_ms,
                    "product_id": "p",
                }
            ).encode(),
        )
        for name in customers
    ]

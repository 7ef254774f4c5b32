"""What shops send: random events with repeats, disorder and poison, and for each what the oracle is to make of it."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace

from xxhash import xxh3_64_intdigest

from models.batch import SOURCES
from schemas.kinds import Kind
from tests.oracle.shop import HOUR, MINUTE, Event, Operation

START_MS = 1_750_000_000_000

_VISITS = (Kind.VIEW_ITEM, Kind.VIEW_ITEM, Kind.ADD_TO_CART, Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART, Kind.SEARCH)
_MONEY = (Kind.PURCHASE, Kind.PURCHASE, Kind.ORDER_LINE, Kind.REFUND)
_POISON = (None, b"", b"{", b"[]", b'{"event_type":"view_item"}', b"\xff")


@dataclass(frozen=True, slots=True)
class Sent:
    """One record and its meaning; no event where it cannot be read."""

    source: int
    partition: int
    key: bytes | None
    value: bytes | None
    event: Event | None


REMEMBERED = 16
"""Events of a customer among which a repeat is known whatever the topics' interleaving (semantics, class B)."""


class Shoppers:
    """Makes records of few customers; all that is random comes from `rng`.

    A customer either repeats itself and has few events, or has many events and never repeats itself.
    """

    def __init__(self, rng: random.Random, *, customers: int, partitions: int) -> None:
        self._rng = rng
        self._customers = [f"c{number}" for number in range(customers)]
        self._events_left = {name: rng.choice((REMEMBERED, 1_000)) for name in self._customers}
        self._partitions = partitions
        self._time_ms = START_MS
        self._sent: list[Sent] = []
        self._made = 0

    @property
    def newest_ms(self) -> int:
        """No event so far is later."""
        return self._time_ms

    def next(self) -> Sent:
        """Make the next record: most are new events, some were sent before, some are no events at all."""
        rng = self._rng
        dice = rng.random()
        if dice < 0.08 and self._sent:
            return rng.choice(self._sent[-12:])
        if dice < 0.12:
            return Sent(rng.randrange(2), rng.randrange(self._partitions), b"c0", rng.choice(_POISON), None)
        made = self._event()
        if dice < 0.14:
            # A customer's events under another's key: nobody owns them. Their time counts, for what is late.
            fields = json.loads(made.value or b"") | {"customer_id": "nobody"}
            nobody = made.event and replace(made.event, customer="nobody")
            return Sent(made.source, made.partition, made.key, json.dumps(fields).encode(), nobody)
        if self._repeats(made.event):
            self._sent.append(made)
        return made

    def _repeats(self, event: Event | None) -> bool:
        return event is not None and self._events_left[event.customer] <= REMEMBERED

    def _customer(self) -> str:
        customer = self._rng.choice(self._customers)
        self._events_left[customer] -= 1
        if not self._events_left[customer]:
            self._customers.remove(customer)
            another = f"c{len(self._events_left)}"
            self._customers.append(another)
            self._events_left[another] = REMEMBERED
        return customer

    def _event(self) -> Sent:
        rng = self._rng
        self._made += 1
        self._time_ms += rng.choice((0, 1_000, 20 * MINUTE, 2 * HOUR))
        source = int(rng.random() < 0.3)
        customer = self._customer()
        kind = rng.choice(_MONEY if source else _VISITS)
        # Late by less than the 24 hours within which repeats are known and orders counted once.
        time_ms = self._time_ms - (rng.randrange(3 * HOUR) if rng.random() < 0.2 else 0)
        event_id = f"e{self._made}"
        fields: dict[str, object] = {
            "event_id": event_id,
            "event_type": kind.name.lower(),
            "customer_id": customer,
            "event_time": time_ms,
        }
        products: tuple[int, ...] = ()
        operations: tuple[Operation, ...] = ()
        order = amount = 0
        if kind in (Kind.VIEW_ITEM, Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART, Kind.ORDER_LINE):
            product = f"p{rng.randrange(3)}"
            fields["product_id"] = product
            number = xxh3_64_intdigest(product.encode())
            # Removing from a cart, as `models` has it, does not say that a product was looked at.
            products = (number,) if kind is not Kind.REMOVE_FROM_CART else ()
            if kind in (Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART):
                sign = 1 if kind is Kind.ADD_TO_CART else -1
                fields |= {"quantity": 1 + self._made % 2, "price": 5}
                operations = (Operation(number, sign * (1 + self._made % 2), 500),)
        if kind in (*_MONEY,):
            few = self._events_left[customer] <= REMEMBERED
            order_id = f"o{self._made // 4 if few else self._made}-{customer}"
            order = xxh3_64_intdigest(order_id.encode())
            amount = 100 * rng.randrange(1, 90)
            fields["order_id"] = order_id
            fields["value" if kind is Kind.PURCHASE else "amount"] = amount / 100
        event = Event(
            customer=customer,
            time=time_ms,
            kind=kind,
            id=xxh3_64_intdigest(event_id.encode()),
            source=source,
            key=customer.encode(),
            products=products,
            operations=operations,
            order=order,
            amount=amount,
        )
        partition = int(customer[1:]) % self._partitions
        return Sent(source, partition, customer.encode(), json.dumps(fields).encode(), event)


def topic_of(sent: Sent) -> str:
    """Name of the topic that a record goes to."""
    return SOURCES[sent.source]

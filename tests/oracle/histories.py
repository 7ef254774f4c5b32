"""Random histories of events, and the same events as the batches that `models.apply` takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from models.batch import EventBatch
from schemas.kinds import Kind
from tests.oracle.shop import DAY, HALF_HOUR, HOUR, MINUTE, MONEY_KINDS, Event, Operation

START = 1_750_000_000_000
MIX = 0x9E3779B97F4A7C15

SPANS = (10 * MINUTE, 3 * HALF_HOUR, 20 * HOUR, 9 * DAY, 70 * DAY, 3_000 * DAY)
"""Minutes (ties), sessions, within H, over the ring, over the cart window, over several landmarks."""


def spread(number: int) -> int:
    """A 64-bit hash of a small number, as a real hash would scatter it."""
    mixed = (number + 1) * MIX % 2**64
    return (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 % 2**64


def batch_of(events: Sequence[Event]) -> EventBatch:
    """Events, in log order, as columns."""
    items = [(at, product) for at, e in enumerate(events) for product in e.products]
    carts = [(at, o) for at, e in enumerate(events) for o in e.operations]
    categories = [(at, category) for at, e in enumerate(events) for category in e.categories]
    orders = [(at, e) for at, e in enumerate(events) if e.kind in MONEY_KINDS]
    return EventBatch(
        source=np.array([e.source for e in events], dtype=np.int8),
        offset=np.array([e.offset for e in events], dtype=np.int64),
        customer=[e.customer for e in events],
        key=[e.key for e in events],
        time_ms=np.array([e.time for e in events], dtype=np.int64),
        kind=np.array([e.kind for e in events], dtype=np.int8),
        event_hash=np.array([e.id for e in events], dtype=np.uint64),
        item_event=np.array([at for at, _ in items], dtype=np.int64),
        item_product=np.array([product for _, product in items], dtype=np.uint64),
        cart_event=np.array([at for at, _ in carts], dtype=np.int64),
        cart_product=np.array([o.product for _, o in carts], dtype=np.uint64),
        cart_quantity=np.array([o.quantity for _, o in carts], dtype=np.int64),
        cart_price_minor=np.array([o.price for _, o in carts], dtype=np.int64),
        order_event=np.array([at for at, _ in orders], dtype=np.int64),
        order_hash=np.array([e.order for _, e in orders], dtype=np.uint64),
        order_amount_minor=np.array([e.amount for _, e in orders], dtype=np.int64),
        order_discount_minor=np.array([e.discount for _, e in orders], dtype=np.int64),
        category_event=np.array([at for at, _ in categories], dtype=np.int64),
        category=np.array([category for _, category in categories], dtype=np.uint64),
        day_part=np.array([e.night + 2 * e.weekend for e in events], dtype=np.int8),
    )


def numbered(events: Sequence[Event]) -> list[Event]:
    """The events with the offsets that this order in the log gives them."""
    following = [0, 0]
    placed = []
    for event in events:
        placed.append(replace(event, offset=following[event.source]))
        following[event.source] += 1
    return placed


@st.composite
def operations(draw: st.DrawFn, sign: int) -> tuple[Operation, ...]:
    if draw(st.integers(0, 9)) == 0:
        return (Operation(0, 0, 0),)
    size = draw(st.integers(1, 2))
    return tuple(
        Operation(
            product=spread(draw(st.integers(0, 4))),
            quantity=sign * draw(st.integers(1, 3)),
            price=draw(st.sampled_from([0, 100, 999])),
        )
        for _ in range(size)
    )


@st.composite
def events(
    draw: st.DrawFn, *, customers: int = 3, span: int | None = None, kinds: Sequence[Kind] = tuple(Kind)
) -> Event:
    """One event; ids and order ids come from few, so that they repeat."""
    kind = draw(st.sampled_from(kinds))
    span = draw(st.sampled_from(SPANS)) if span is None else span
    sign = {Kind.ADD_TO_CART: 1, Kind.REMOVE_FROM_CART: -1}.get(kind, 0)
    many = draw(st.booleans())
    return Event(
        customer=f"c{draw(st.integers(0, customers - 1))}",
        time=START + draw(st.integers(0, span)),
        kind=kind,
        id=spread(draw(st.integers(0, 10**6 if many else 5))),
        source=draw(st.integers(0, 1)),
        products=tuple(spread(draw(st.integers(0, 200))) for _ in range(draw(st.integers(0, 2)))),
        operations=draw(operations(sign)) if sign else (),
        order=spread(draw(st.integers(0, 30))) if kind in MONEY_KINDS else 0,
        amount=draw(st.integers(0, 10**6)) if kind in MONEY_KINDS else 0,
        discount=draw(st.sampled_from([0, 0, 1, 500])) if kind in MONEY_KINDS else 0,
        categories=tuple(spread(10**6 + draw(st.integers(0, 12))) for _ in range(draw(st.integers(0, 2)))),
        night=draw(st.booleans()),
        weekend=draw(st.booleans()),
    )


def histories(
    *, customers: int = 3, span: int | None = None, kinds: Sequence[Kind] = tuple(Kind), most: int = 60
) -> st.SearchStrategy[list[Event]]:
    """A log of both topics, in order of arrival."""
    return st.lists(events(customers=customers, span=span, kinds=kinds), min_size=1, max_size=most).map(numbered)


def unique(history: Sequence[Event]) -> list[Event]:
    """The same events, none a repeat: every event and every order has its own id."""
    return [replace(event, id=spread(at), order=spread(10**7 + at)) for at, event in enumerate(history)]


def cuts(draw: st.DrawFn, history: Sequence[Event]) -> list[list[Event]]:
    """The history cut into batches at random places."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(history) - 1)), max_size=6)))
    bounds = [0, *places, len(history)]
    return [list(history[a:b]) for a, b in pairwise(bounds) if b > a]

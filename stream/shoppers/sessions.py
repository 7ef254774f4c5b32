"""Visits: browsing, carts, checkouts, orders, refunds. Everything of one visit is drawn when it starts.

All arrays are columns over events or sessions; a session's consequences in the far future (refunds, abandoned carts
that are bought after all) are events like any other, only later: the caller holds them back until their time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.shoppers import archetypes as kinds
from stream.shoppers import events
from stream.shoppers.archetypes import MIX_CUMULATIVE, parameter
from stream.shoppers.catalogue import Catalogue
from stream.shoppers.config import DAY_MS
from stream.shoppers.events import Events

Ints = NDArray[np.int64]

LONGEST_BROWSE = 40
GAP_S = 35.0
"""Mean time between two steps of a visit (exponential, 1 s to LONGEST_GAP_S)."""
LONGEST_GAP_S = 600.0


@dataclass(frozen=True, slots=True)
class Visits:
    """(S,) sessions that start."""

    number: Ints
    customer: Ints
    label: Ints
    start_ms: Ints


@dataclass(frozen=True, slots=True)
class Orders:
    """(O,) orders; their lines are positions `first[i]:first[i + 1]` of `product` and `quantity`."""

    number: Ints
    amount_minor: Ints
    discount_percent: Ints
    first: Ints
    """(O + 1,)"""
    product: Ints
    quantity: Ints


def visit(visits: Visits, catalogue: Catalogue, next_order: int, rng: np.random.Generator) -> tuple[Events, Orders]:
    """Everything that these visits do, unsorted, and the orders that they lead to, numbered from `next_order`."""
    browse, session = _browse(visits, catalogue, rng)
    kept = _kept_adds(browse, session)
    size = len(visits.number)
    filled = np.bincount(session[kept], minlength=size) > 0
    end_ms = np.zeros(size, dtype=np.int64)
    np.maximum.at(end_ms, session, browse.time_ms)

    chance = rng.random((4, size))
    begins = filled & (chance[0] < parameter("checkout")[visits.label])
    buys = begins & (chance[1] < parameter("complete")[visits.label])
    returns = filled & ~buys & (chance[2] < parameter("comeback")[visits.label])
    later_ms = (rng.uniform(0.1, 2.0, size) * DAY_MS).astype(np.int64)
    checkout_ms = end_ms + _gaps_ms(size, rng)

    orders, of_session = _orders(
        visits, buys | returns, browse.take(kept), session[kept], catalogue, next_order=next_order
    )
    purchase_ms = checkout_ms + _gaps_ms(size, rng) + np.where(returns, later_ms, 0)
    steps = [
        browse,
        _step(visits, begins, checkout_ms, kinds.BEGIN_CHECKOUT),
        _step(visits, buys | (begins & (chance[3] < 0.4)), checkout_ms + 2_000, kinds.CHECKOUT_STEP),
        _step(visits, buys, checkout_ms + 9_000, kinds.CHECKOUT_STEP),
        _step(visits, returns, checkout_ms + later_ms, kinds.BEGIN_CHECKOUT),
        _purchases(visits, orders, of_session, purchase_ms + 10_000),
    ]
    steps.append(_refunds(visits, orders, of_session, purchase_ms + 10_000, rng))
    return events.concat(steps), orders


def _gaps_ms(size: int, rng: np.random.Generator) -> Ints:
    return (np.clip(rng.exponential(GAP_S, size), 1.0, LONGEST_GAP_S) * 1_000).astype(np.int64)


def _browse(visits: Visits, catalogue: Catalogue, rng: np.random.Generator) -> tuple[Events, Ints]:
    """Browsing events, session after session in time order, and the position of each one's session."""
    mean = parameter("events_per_session")[visits.label]
    length = np.minimum(rng.geometric(1 / mean), LONGEST_BROWSE)
    session = np.repeat(np.arange(len(length)), length)
    first = np.cumsum(length) - length
    size = len(session)
    label = visits.label[session]

    gaps_ms = _gaps_ms(size, rng)
    gaps_ms[first] = 0
    since_first_ms = np.cumsum(gaps_ms)
    time_ms = visits.start_ms[session] + since_first_ms - since_first_ms[first][session]

    code = (rng.random(size)[:, None] > MIX_CUMULATIVE[label]).sum(axis=1)
    code = np.minimum(code, kinds.BROWSING - 1)
    rank = rng.random(size) ** parameter("price_power")[label]
    product = (rank * len(catalogue.price_minor)).astype(np.int64)
    # What goes into the cart or on the wish list is mostly what was just looked at.
    taken = np.flatnonzero((code == kinds.ADD_TO_CART) | (code == kinds.ADD_TO_WISHLIST))
    taken = taken[taken > 0]
    taken = taken[(session[taken - 1] == session[taken]) & (code[taken - 1] == kinds.VIEW_ITEM)]
    product[taken] = product[taken - 1]
    quantity = np.where(
        code == kinds.ADD_TO_CART, np.minimum(rng.geometric(parameter("quantity_p")[label]), 9), 1
    )  # fmt: skip

    browse = events.make(
        time_ms, visits.customer[session], code, product=product, quantity=quantity, session=visits.number[session]
    )
    _pair_removals(browse, session)
    return browse, session


def _last_add(browse: Events, session: Ints) -> Ints:
    """(E,) position of the latest cart add at or before each event in its session, -1 where there is none."""
    position = np.arange(len(browse))
    last = np.maximum.accumulate(np.where(browse.type == kinds.ADD_TO_CART, position, -1))
    return np.where((last >= 0) & (session[last] == session), last, -1)


def _pair_removals(browse: Events, session: Ints) -> None:
    """Make every removal take back the whole latest add; removals of nothing become a look at the cart (in place)."""
    removals = np.flatnonzero(browse.type == kinds.REMOVE_FROM_CART)
    of = _last_add(browse, session)[removals]
    _, firsts = np.unique(of, return_index=True)
    valid = np.zeros(len(removals), dtype=bool)
    valid[firsts] = True
    valid &= of >= 0
    browse.type[removals[~valid]] = kinds.VIEW_CART
    browse.product[removals[valid]] = browse.product[of[valid]]
    browse.quantity[removals[valid]] = browse.quantity[of[valid]]


def _kept_adds(browse: Events, session: Ints) -> Ints:
    """Positions of the cart adds that no removal took back."""
    removed = _last_add(browse, session)[browse.type == kinds.REMOVE_FROM_CART]
    kept = browse.type == kinds.ADD_TO_CART
    kept[removed] = False
    return np.flatnonzero(kept)


def _orders(
    visits: Visits, ordering: NDArray[np.bool_], adds: Events, session: Ints, catalogue: Catalogue, *, next_order: int
) -> tuple[Orders, Ints]:
    """Make an order of all that each buying session kept in its cart; also returns the position of its session."""
    of_session = np.flatnonzero(ordering)
    bought = ordering[session]
    product, quantity, session = adds.product[bought], adds.quantity[bought], session[bought]
    first = np.searchsorted(session, np.append(of_session, len(visits.number)))
    line_minor = catalogue.price_minor[product] * quantity
    total = np.add.reduceat(line_minor, first[:-1]) if len(of_session) else np.empty(0, dtype=np.int64)
    discount = parameter("discount_percent").astype(np.int64)[visits.label[of_session]]
    orders = Orders(
        number=next_order + np.arange(len(of_session)),
        amount_minor=total * (100 - discount) // 100,
        discount_percent=discount,
        first=first,
        product=product,
        quantity=quantity,
    )
    return orders, of_session


def _step(visits: Visits, which: NDArray[np.bool_], time_ms: Ints, code: int) -> Events:
    return events.make(time_ms[which], visits.customer[which], code, session=visits.number[which])


def _purchases(visits: Visits, orders: Orders, of_session: Ints, time_ms: Ints) -> Events:
    return events.make(
        time_ms[of_session],
        visits.customer[of_session],
        kinds.PURCHASE,
        session=visits.number[of_session],
        order=orders.number,
        amount_minor=orders.amount_minor,
    )


def _refunds(visits: Visits, orders: Orders, of_session: Ints, time_ms: Ints, rng: np.random.Generator) -> Events:
    """Send some orders back after half a day to some weeks: most of them whole, some by half."""
    chance = rng.random((2, len(of_session)))
    days = 0.5 + rng.exponential(5.0, len(of_session))
    back = chance[0] < parameter("refund")[visits.label[of_session]]
    amount = np.where(chance[1] < 0.7, orders.amount_minor, orders.amount_minor // 2)
    return events.make(
        (time_ms[of_session] + (days * DAY_MS).astype(np.int64))[back],
        visits.customer[of_session][back],
        kinds.REFUND,
        order=orders.number[back],
        amount_minor=amount[back],
    )

"""The six kinds of simulated shopper: how often they come, what they do, what they buy.

The numbers are invented for contrast, not fitted: each kind differs from every other in at least two things that the
feature catalogue can see (visits, searches, carts, orders, money, silence), so a segmenter has something to find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.kinds import Kind

TYPES: tuple[tuple[str, Kind], ...] = (
    ("view_item", Kind.VIEW_ITEM),
    ("view_item_list", Kind.VIEW_ITEM_LIST),
    ("page_view", Kind.PAGE_VIEW),
    ("search", Kind.SEARCH),
    ("add_to_cart", Kind.ADD_TO_CART),
    ("remove_from_cart", Kind.REMOVE_FROM_CART),
    ("view_cart", Kind.VIEW_CART),
    ("add_to_wishlist", Kind.ADD_TO_WISHLIST),
    ("share", Kind.ACTIVITY),
    ("begin_checkout", Kind.BEGIN_CHECKOUT),
    ("checkout_step", Kind.CHECKOUT_STEP),
    ("purchase", Kind.PURCHASE),
    ("refund", Kind.REFUND),
)
"""Every event type that shoppers send, by code (the position), with its kind. `share` is a custom event on purpose."""

BROWSING = 9
"""The first so many types are drawn while browsing; the others follow from carts and orders."""
VIEW_ITEM, VIEW_ITEM_LIST, PAGE_VIEW, SEARCH = range(4)
ADD_TO_CART, REMOVE_FROM_CART, VIEW_CART, ADD_TO_WISHLIST, SHARE = range(4, 9)
BEGIN_CHECKOUT, CHECKOUT_STEP, PURCHASE, REFUND = range(9, 13)

KIND_OF_TYPE: NDArray[np.int64] = np.array([int(kind) for _, kind in TYPES], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Archetype:
    """One kind of shopper. Probabilities are 0..1; `mix` are relative weights of the BROWSING types."""

    name: str
    share: float
    """Of the customers at the start."""
    sessions_per_day: float
    events_per_session: float
    """Mean number of browsing events."""
    mix: tuple[float, ...]
    price_power: float
    """Products are drawn at rank u**price_power from cheap to dear: above 1 cheap, below 1 dear."""
    quantity_p: float
    """Units of one cart add are geometric with this p: 1 means always one."""
    checkout: float
    """P(checkout begins | something in the cart)."""
    complete: float
    """P(order | checkout)."""
    comeback: float
    """P(the order comes hours or days later | cart left behind)."""
    refund: float
    """P(refund | order)."""
    discount_percent: int = 0
    fades_days: float = 0.0
    """Half-life of the visiting rate since the customer became this kind; 0: never fades."""


ARCHETYPES: tuple[Archetype, ...] = (
    #          name, share, visits, length, (view, list, page, search, add, remove, cart, wish, share)
    Archetype("window_shopper", 0.28, 0.60, 9.0, (50, 20, 12, 5, 1, 0.2, 0.8, 9, 2), 1.0, 0.95, 0.05, 0.3, 0.01, 0.02),
    Archetype(
        "bargain_hunter", 0.18, 0.45, 11.0, (34, 12, 6, 30, 11, 3, 3, 1, 0), 3.0, 0.75, 0.45, 0.60, 0.10, 0.10, 15
    ),
    Archetype("loyal_regular", 0.18, 0.75, 6.0, (46, 8, 14, 8, 20, 1, 2, 1, 0), 1.2, 0.70, 0.75, 0.92, 0.05, 0.02),
    Archetype("big_spender", 0.06, 0.30, 8.0, (52, 6, 8, 6, 24, 1, 2, 1, 0), 0.25, 0.50, 0.80, 0.92, 0.05, 0.05),
    Archetype("cart_abandoner", 0.15, 0.40, 8.0, (38, 8, 6, 8, 30, 4, 6, 0.5, 0), 1.0, 0.80, 0.60, 0.08, 0.03, 0.03),
    Archetype(
        "lapsing_one_timer", 0.15, 0.60, 5.0, (50, 10, 12, 8, 18, 1, 1, 0, 0), 1.0, 0.9, 0.7, 0.85, 0.02, 0.08, 0, 6.0
    ),
)

NAMES: tuple[str, ...] = tuple(archetype.name for archetype in ARCHETYPES)

SHARES: NDArray[np.float64] = np.array([archetype.share for archetype in ARCHETYPES])

DRIFTED_SHARES: NDArray[np.float64] = np.array([0.16, 0.38, 0.06, 0.02, 0.30, 0.08])
"""Where `--drift` leads: a shop whose regulars turn into bargain hunters and abandoners."""

RHYTHM: NDArray[np.float64] = np.array(
    [2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 10, 10, 11, 10, 9, 9, 10, 11, 13, 15, 16, 14, 9, 5], dtype=np.float64
)
"""Relative visits by hour of the day (UTC): quiet nights, a busy evening."""

MIX_CUMULATIVE: NDArray[np.float64] = np.cumsum(
    [np.array(archetype.mix) / sum(archetype.mix) for archetype in ARCHETYPES], axis=1
)
"""(archetypes, BROWSING) cumulative probabilities of browsing types."""


def parameter(name: str) -> NDArray[np.float64]:
    """(archetypes,) values of one numeric field of all archetypes, to be indexed by label."""
    return np.array([getattr(archetype, name) for archetype in ARCHETYPES], dtype=np.float64)

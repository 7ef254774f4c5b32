"""Every feature: what it is called, counted in, how far it can be trusted, and how it is said.

One place, read by the code, the documentation, the segment names and the exports.

Class A: any order, any split into batches, any interleaving of topics gives the same, and two profiles merge.
Class B: the same if no event is more than 24 hours behind the newest of its own topic partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

NEVER_DAYS = 365.0
"""Days since something that never was, and the cap of days since anything."""

PRIOR_WEIGHT = 2.0
"""Pseudo-observations of a shrunk ratio: (observed + 2 * prior) / (trials + 2). Unshrunk ratios, 0 without evidence,
cost batch k-means .94 -> .77 adjusted Rand index, because "0 or not" then splits the customers."""
VIEW_TO_CART_PRIOR = 0.1
"""Cart adds per product view of an unknown customer: a usual rate of shops, and where silence pulls back to."""
CART_TO_ORDER_PRIOR = 0.3
"""Orders per cart add of an unknown customer: about seven carts in ten are left."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One number about one customer at one moment, finite and never below 0."""

    name: str
    unit: str
    """days, ms, minor units (of the shop's currency), or what is counted."""
    trust: Literal["A", "B", "C"]
    transform: Literal["log1p", "identity"]
    """How a model sees it: log1p for what has a long tail."""
    words: str
    """What it is, for a person."""
    high: str
    """A customer with much of it, as an adjective phrase; "" where it names nobody."""
    low: str
    """A customer with little of it."""
    in_model: bool = False


_PLAIN = (
    Feature(
        "days_since_seen",
        "days",
        "A",
        "log1p",
        "days since the latest event, at most 365",
        "inactive",
        "active",
        True,
    ),
    Feature(
        "days_since_order",
        "days",
        "A",
        "log1p",
        "days since the latest order, 365 without one",
        "no recent order",
        "recent buyers",
        True,
    ),
    Feature("first_seen", "ms", "A", "identity", "time of the first event", "", ""),
    Feature("last_seen", "ms", "A", "identity", "time of the latest event", "", ""),
    Feature("first_order_at", "ms", "A", "identity", "time of the first purchase or order line, 0 without one", "", ""),
    Feature("last_order_at", "ms", "A", "identity", "time of the latest purchase or order line, 0 without one", "", ""),
    Feature("events", "events", "B", "log1p", "events that were applied", "busy", "quiet"),
    Feature("duplicates", "events", "B", "log1p", "repeated events that were not applied", "", ""),
    Feature("late", "events", "B", "log1p", "applied events over 24 hours behind their topic", "", ""),
    Feature("custom", "events", "B", "log1p", "applied events of names that mean nothing here", "", ""),
    Feature("orders", "orders", "B", "log1p", "orders, ever", "many orders", "few orders"),
    Feature(
        "spend_minor",
        "minor units",
        "A",
        "log1p",
        "money of all orders, refunds not subtracted",
        "high spenders",
        "low spenders",
    ),
    Feature("refunds_minor", "minor units", "A", "log1p", "money given back", "many refunds", "few refunds"),
    Feature(
        "average_order_value",
        "minor units",
        "B",
        "log1p",
        "money per order, refunds not subtracted, 0 without an order",
        "big baskets",
        "small baskets",
        True,
    ),
    Feature(
        "view_to_cart",
        "ratio",
        "A",
        "identity",
        f"cart adds per product view (30-day half-lives), shrunk to {VIEW_TO_CART_PRIOR}",
        "decided",
        "browsing",
        True,
    ),
    Feature(
        "cart_to_order",
        "ratio",
        "B",
        "identity",
        f"orders per cart add, at most one (30-day half-lives), shrunk to {CART_TO_ORDER_PRIOR}",
        "cart finishers",
        "cart leavers",
        True,
    ),
    Feature(
        "sessions_7d",
        "sessions",
        "A",
        "log1p",
        "runs of active half hours in the last 7 days",
        "frequent visitors",
        "rare visitors",
        True,
    ),
    Feature(
        "distinct_products",
        "products",
        "A",
        "log1p",
        "products met, estimated from 64 bits (at most 311)",
        "wide interest",
        "narrow interest",
        True,
    ),
    Feature("cart_value", "minor units", "A", "log1p", "money in the cart", "full carts", "empty carts", True),
    Feature("cart_items", "units", "A", "log1p", "units in the cart", "full carts", "empty carts"),
    Feature(
        "cart_age_s",
        "seconds",
        "A",
        "log1p",
        "seconds since the oldest add that counts, 0 without one",
        "old carts",
        "fresh carts",
    ),
    Feature(
        "cart_truncated",
        "flag",
        "A",
        "identity",
        "1 where over 50 cart operations count and older ones are left out",
        "",
        "",
    ),
    Feature(
        "categories_hl30d",
        "categories",
        "A",
        "log1p",
        "effective number of product categories (30-day half-lives, at most 6), 0 where none is known",
        "wide tastes",
        "one taste",
    ),
    Feature(
        "discount_share",
        "ratio",
        "A",
        "identity",
        "money taken off orders as a share of their price, as far as orders say so",
        "bargain hunters",
        "full payers",
    ),
    Feature(
        "night_share",
        "ratio",
        "B",
        "identity",
        "share of events between 22 and 6 o'clock by the shop's clock, shrunk to a third",
        "night owls",
        "day visitors",
    ),
    Feature(
        "weekend_share",
        "ratio",
        "B",
        "identity",
        "share of events on Saturdays and Sundays by the shop's clock, shrunk to two sevenths",
        "weekend visitors",
        "weekday visitors",
    ),
)
"""What is counted once; `_catalogue` adds what is counted per action and half-life."""


def _catalogue() -> tuple[Feature, ...]:
    found = list(_PLAIN)
    modelled = {"views_hl7d", "views_hl30d", "cart_adds_hl7d", "searches_hl7d", "checkouts_hl7d", "wishlist_adds_hl30d"}
    said = {
        "views": ("product views", "keen browsers", "few views"),
        "cart_adds": ("adds to the cart", "cart fillers", "few cart adds"),
        "cart_removes": ("removals from the cart", "cart emptiers", ""),
        "checkouts": ("checkouts begun", "checkout starters", "few checkouts"),
        "searches": ("searches", "searchers", "few searches"),
        "wishlist_adds": ("adds to the wish list", "wishers", "few wishes"),
    }
    for action, (words, high, low) in said.items():
        for days in (1, 7, 30):
            name = f"{action}_hl{days}d"
            about = f"{words}, each counting half after {days} day{'s' if days > 1 else ''}"
            found.append(Feature(name, words.split()[0], "A", "log1p", about, high, low, name in modelled))
    for days in (7, 30, 180):
        half = f"each counting half after {days} days"
        found += [
            Feature(
                f"orders_hl{days}d",
                "orders",
                "B",
                "log1p",
                f"orders, {half}",
                "frequent buyers",
                "rare buyers",
                days != 7,
            ),
            Feature(
                f"spend_hl{days}d",
                "minor units",
                "A",
                "log1p",
                f"money less refunds, {half}; at least 0",
                "high spenders",
                "low spenders",
                days == 180,
            ),
        ]
    return tuple(found)


FEATURES: Mapping[str, Feature] = MappingProxyType({feature.name: feature for feature in _catalogue()})
"""Every feature by name."""

MODEL_FEATURES: tuple[str, ...] = (
    "days_since_seen",
    "days_since_order",
    "orders_hl180d",
    "spend_hl180d",
    "orders_hl30d",
    "views_hl7d",
    "views_hl30d",
    "cart_adds_hl7d",
    "searches_hl7d",
    "checkouts_hl7d",
    "wishlist_adds_hl30d",
    "sessions_7d",
    "average_order_value",
    "view_to_cart",
    "cart_to_order",
    "distinct_products",
    "cart_value",
)
"""What a model is learnt from, in the order of its vectors."""

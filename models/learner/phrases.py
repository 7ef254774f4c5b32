"""The words a segment's name may be made of, and what each of them claims.

A phrase claims contrasts: on which features, and in which direction, the segment must differ from the population. A
phrase also has topics; a name says one thing about each topic, so no name is "frequent repeat buyers". Several
entries with one text are alternatives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Raw = Mapping[str, float]
"""A centroid in raw features: what a typical customer of the segment looks like."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One word or group of words with its claims."""

    text: str
    needs: tuple[tuple[str, int], ...]
    """(feature, direction): 1 above the population, -1 below, 0 either way."""
    topics: frozenset[str]
    holds: Callable[[Raw], bool] | None = None
    """What must be true of the centroid itself besides."""
    handicap: float = 0.0
    """Subtracted from its strength: what people would not say first is said where nothing better is backed."""


def orders_ever(raw: Raw) -> float:
    """Orders as if all had been placed at the last one: for a single order exactly 1, 0 without one in a year.

    >>> orders_ever({"orders_hl180d": 0.5, "days_since_order": 180.0})
    1.0
    """
    days = raw.get("days_since_order", 365.0)
    return raw.get("orders_hl180d", 0.0) * 2.0 ** (days / 180.0) if days < 330.0 else 0.0


def _phrase(
    text: str, topics: str, *needs: str, holds: Callable[[Raw], bool] | None = None, handicap: float = 0.0
) -> Phrase:
    """Read needs like "+spend_hl180d", "-spend_hl180d" or "~spend_hl180d" (either way)."""
    directions = {"+": 1, "-": -1, "~": 0}
    claims = tuple((need[1:], directions[need[0]]) for need in needs)
    return Phrase(text, claims, frozenset(topics.split()), holds, handicap)


def _detail(text: str, topic: str, *needs: str) -> Phrase:
    """Make an adjective about a side of behaviour that fewer people think of first."""
    return _phrase(text, topic, *needs, handicap=0.8)


def _never(raw: Raw) -> bool:
    return raw.get("orders_hl180d", 1.0) < 0.1


def _once(raw: Raw) -> bool:
    return 0.7 <= orders_ever(raw) <= 1.4


EVIDENCE: Mapping[str, tuple[str, ...]] = {
    "view_to_cart": ("views_hl30d", "cart_adds_hl7d"),
    "cart_to_order": ("cart_adds_hl7d",),
}
"""Ratio -> what a shop must record for it to say what its name says; without carts it only counts orders again."""

DEFAULT_NOUN = Phrase("shoppers", (), frozenset())
PLAIN_NAME = "average shoppers"
"""For a segment that differs from the population in nothing that has a word."""

ADJECTIVES: tuple[Phrase, ...] = (
    _phrase("lapsed", "recency", "+days_since_seen"),
    _phrase("recent", "recency", "-days_since_seen"),
    _phrase("frequent", "frequency", "+orders_hl180d"),
    _phrase("frequent", "frequency", "+orders_hl30d"),
    _detail("often-visiting", "visits", "+sessions_7d"),
    _detail("seldom-visiting", "visits", "-sessions_7d"),
    _phrase("big-basket", "money", "+average_order_value"),
    _detail("small-basket", "money", "-average_order_value", "+orders_hl180d"),
    _detail("wide-browsing", "browsing", "+distinct_products"),
    _detail("few-product", "browsing", "-distinct_products"),
    _detail("searching", "search", "+searches_hl7d"),
    _detail("wishlisting", "wishlist", "+wishlist_adds_hl30d"),
    _detail("checkout-starting", "checkout", "+checkouts_hl7d"),
    _detail("decisive", "decision", "+view_to_cart"),
    _detail("hesitant", "decision", "-view_to_cart"),
    _phrase("full-cart", "cart", "+cart_value"),
    _detail("cart-leaving", "cart", "-cart_to_order"),
    _detail("cart-completing", "cart", "+cart_to_order"),
    _detail("seldom-searching", "search", "-searches_hl7d"),
    _detail("seldom-wishlisting", "wishlist", "-wishlist_adds_hl30d"),
    _detail("checkout-shy", "checkout", "-checkouts_hl7d"),
)
"""In the order they stand in a name. Each is one word without a space."""

NOUNS: tuple[Phrase, ...] = (
    _phrase("high spenders", "money", "+spend_hl180d", handicap=-0.5),
    _phrase("low spenders", "money", "-spend_hl180d", holds=lambda raw: orders_ever(raw) >= 0.5),
    _phrase("window shoppers", "browsing frequency money", "+views_hl30d", "-orders_hl180d"),
    _phrase("window shoppers", "browsing frequency money", "+views_hl7d", "-orders_hl180d"),
    _phrase("window shoppers", "browsing frequency money", "+distinct_products", "-orders_hl180d"),
    _phrase("one-time buyers", "frequency", "~orders_hl180d", holds=_once, handicap=-0.3),
    _phrase("one-time buyers", "frequency", "+average_order_value", "-orders_hl30d", holds=_once, handicap=-0.3),
    _phrase("repeat buyers", "frequency", "+orders_hl180d", holds=lambda raw: orders_ever(raw) >= 1.8, handicap=-0.3),
    _phrase("recent buyers", "recency frequency", "-days_since_order"),
    _phrase("former buyers", "frequency recency", "+average_order_value", "-orders_hl30d"),
    _phrase("cart abandoners", "cart frequency", "+cart_adds_hl7d", "-cart_to_order", handicap=-0.3),
    _phrase("cart abandoners", "cart frequency", "+cart_value", "-orders_hl180d", handicap=-0.3),
    _phrase("cart abandoners", "cart frequency", "+cart_value", "-spend_hl180d", handicap=-0.3),
    _phrase("cart abandoners", "cart frequency", "+cart_value", "-cart_to_order", handicap=-0.3),
    _phrase("cart fillers", "cart", "+cart_adds_hl7d"),
    _phrase("browsers", "browsing", "+views_hl30d"),
    _phrase("browsers", "browsing", "+views_hl7d"),
    _phrase("passers-by", "browsing recency visits", "-views_hl30d", "-days_since_seen"),
    _phrase("non-buyers", "frequency money", "-orders_hl180d", holds=_never),
    _phrase("non-buyers", "frequency money", "-spend_hl180d", holds=_never),
    _phrase("rare buyers", "frequency", "-orders_hl180d", handicap=0.5),
    _phrase("rare buyers", "frequency", "-orders_hl30d", handicap=0.5),
    _phrase("shoppers without a recent order", "recency frequency", "+days_since_order", handicap=0.5),
    _phrase("small spenders", "money", "-average_order_value", handicap=0.5),
    _phrase("small spenders", "money", "-spend_hl180d", handicap=0.5),
    _phrase("quiet shoppers", "browsing visits", "-views_hl30d", handicap=0.5),
    _phrase("quiet shoppers", "browsing visits", "-views_hl7d", handicap=0.5),
    _phrase("shoppers without a cart", "cart", "-cart_adds_hl7d", handicap=0.5),
    _phrase("shoppers without a cart", "cart", "-cart_value", handicap=0.5),
)


_SAID = {phrase.needs[0] for phrase in (*ADJECTIVES, *NOUNS) if len(phrase.needs) == 1 and phrase.holds is None}


def spelled_out(features: Sequence[str]) -> tuple[Phrase, ...]:
    """Clumsy but true nouns for what no phrase says alone, so that whatever stands out has a name.

    >>> [phrase.text for phrase in spelled_out(["views_hl7d", "returns"])]
    ['shoppers high in returns', 'shoppers low in returns']
    """
    return tuple(
        Phrase(f"shoppers {word} in {name.replace('_', ' ')}", ((name, direction),), frozenset((name,)), None, 1.0)
        for name in features
        for word, direction in (("high", 1), ("low", -1))
        if (name, direction) not in _SAID
    )

"""One decoded group of events as columns: what `stream.decode` makes and `models.apply` consumes.

All arrays of a batch are in log order per source topic. `E` is the number of events; the sparse parts (items, cart
operations, orders, categories) point back into the events by position, because few events have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

_NO_NAMES: Mapping[int, str] = MappingProxyType({})

SOURCES = ("clickstream", "purchases")
"""The source topics; an event's `source` is its index here."""


@dataclass(frozen=True, slots=True)
class EventBatch:
    """E validated events of one partition."""

    source: NDArray[np.int8]
    """(E,) index into SOURCES."""
    offset: NDArray[np.int64]
    """(E,) offset in the source topic's partition; rising within one source."""
    customer: list[str]
    """(E,) customer ids."""
    key: list[bytes | None]
    """(E,) Kafka keys as read; looked at once per new customer."""
    time_ms: NDArray[np.int64]
    """(E,) event time, milliseconds since 1970."""
    kind: NDArray[np.int8]
    """(E,) `schemas.kinds.Kind`."""
    event_hash: NDArray[np.uint64]
    """(E,) stable 64-bit hash (xxh3) of the event id."""
    item_event: NDArray[np.int64]
    """(I,) position of the event that names a product (views, cart adds, wishlist adds, order lines and orders)."""
    item_product: NDArray[np.uint64]
    """(I,) stable 64-bit hash of that product id."""
    cart_event: NDArray[np.int64]
    """(C,) position of the add_to_cart or remove_from_cart event of each cart operation."""
    cart_product: NDArray[np.uint64]
    """(C,) product hash; 0 with quantity 0 means the whole cart is cleared."""
    cart_quantity: NDArray[np.int64]
    """(C,) signed quantity: adds positive, removes negative."""
    cart_price_minor: NDArray[np.int64]
    """(C,) price of one unit in minor units; 0 where unknown."""
    order_event: NDArray[np.int64]
    """(O,) position of each purchase, order_line and refund."""
    order_hash: NDArray[np.uint64]
    """(O,) stable 64-bit hash of the order id (of the event id where there is none)."""
    order_amount_minor: NDArray[np.int64]
    """(O,) money of the event in minor units, never negative: a refund's amount is subtracted by its kind."""

    order_discount_minor: NDArray[np.int64]
    """(O,) money taken off in minor units, 0 where none is known."""
    category_event: NDArray[np.int64]
    """(G,) position of the event that names a product of a category."""
    category: NDArray[np.uint64]
    """(G,) stable 64-bit hash of that category."""
    day_part: NDArray[np.int8]
    """(E,) `models.day_parts`: night and weekend by the shop's clock."""

    cart_names: Mapping[int, str] = field(default_factory=lambda: _NO_NAMES)
    """Product ids of the cart operations, by their hashes."""
    category_names: Mapping[int, str] = field(default_factory=lambda: _NO_NAMES)
    """Names of the categories, by their hashes."""

    def __len__(self) -> int:
        return len(self.customer)

    def cut(self, start: int, end: int) -> EventBatch:
        """Return the events from `start` to before `end` as a batch of their own."""
        if (start, end) == (0, len(self)):
            return self
        events = (self.item_event, self.cart_event, self.order_event, self.category_event)
        sparse = [np.flatnonzero((event >= start) & (event < end)) for event in events]
        mine = slice(start, end)
        now_at = [event[which] - start for event, which in zip(events, sparse, strict=True)]
        return self._part(mine, self.customer[mine], self.key[mine], sparse, now_at)

    def pick(self, places: NDArray[np.int64]) -> EventBatch:
        """Return the events at distinct places, in that order, as a batch of their own."""
        place_now = np.full(len(self), -1)
        place_now[places] = np.arange(len(places))
        events = (self.item_event, self.cart_event, self.order_event, self.category_event)
        sparse = [_moved(event, place_now) for event in events]
        now_at = [place_now[event[which]] for event, which in zip(events, sparse, strict=True)]
        some = places.tolist()
        customer, key = [self.customer[place] for place in some], [self.key[place] for place in some]
        return self._part(places, customer, key, sparse, now_at)

    def _part(
        self,
        dense: slice | NDArray[np.int64],
        customer: list[str],
        key: list[bytes | None],
        sparse: list[NDArray[np.int64]],
        now_at: list[NDArray[np.int64]],
    ) -> EventBatch:
        """Return some events with their items, cart operations, orders, categories, whose events are at `now_at`."""
        item, cart, order, category = sparse
        item_event, cart_event, order_event, category_event = now_at
        return EventBatch(
            source=self.source[dense],
            offset=self.offset[dense],
            customer=customer,
            key=key,
            time_ms=self.time_ms[dense],
            kind=self.kind[dense],
            event_hash=self.event_hash[dense],
            item_event=item_event,
            item_product=self.item_product[item],
            cart_event=cart_event,
            cart_product=self.cart_product[cart],
            cart_quantity=self.cart_quantity[cart],
            cart_price_minor=self.cart_price_minor[cart],
            order_event=order_event,
            order_hash=self.order_hash[order],
            order_amount_minor=self.order_amount_minor[order],
            order_discount_minor=self.order_discount_minor[order],
            category_event=category_event,
            category=self.category[category],
            day_part=self.day_part[dense],
            cart_names=self.cart_names,
            category_names=self.category_names,
        )


def _moved(event: NDArray[np.int64], now_at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions among sparse parts of those whose events were picked, in the order of the events."""
    kept = np.flatnonzero(now_at[event] >= 0)
    return kept[np.argsort(now_at[event[kept]], kind="stable")]

"""Events as canonical JSON: byte templates, one list comprehension per event type."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from stream.shoppers import archetypes as kinds
from stream.shoppers.archetypes import TYPES
from stream.shoppers.catalogue import CATEGORIES, QUERIES, Catalogue, money
from stream.shoppers.events import Events
from stream.shoppers.sessions import Orders

_HEAD = b'{"event_id":"e%d-%%d","event_type":"%b","customer_id":"%%b","event_time":%%d,'
_SESSION = b'"session_id":"s%d-%%d",'
_DEVICES = (b"mobile", b"desktop", b"tablet")
_CHANNELS = (b"organic", b"newsletter", b"ads")


class Writer:
    """Turns columns of events into values, and keeps the lines of orders until their purchase is written."""

    def __init__(self, seed: int, catalogue: Catalogue) -> None:
        self._seed = seed
        self._goods = catalogue
        self._lines: dict[int, bytes] = {}
        """Order number -> its items and coupon as JSON; gone once the purchase is written."""

    def expect(self, orders: Orders) -> None:
        """Remember the lines of these orders for the purchase that comes later."""
        first, product, quantity = orders.first.tolist(), orders.product.tolist(), orders.quantity.tolist()
        item, discounts = self._goods.item, orders.discount_percent.tolist()
        for position, number in enumerate(orders.number.tolist()):
            lines = range(first[position], first[position + 1])
            text = b",".join([item[product[line]] % quantity[line] for line in lines])
            coupon = b'"coupon":"SAVE%d",' % discounts[position] if discounts[position] else b""
            self._lines[number] = b'%b"items":[%b]' % (coupon, text)

    def values(self, batch: Events, first_id: int, keys: list[bytes]) -> list[bytes]:
        """JSON of each event, in the batch's order; event ids count up from `first_id`, `keys` are the customers'."""
        out = np.empty(len(batch), dtype=object)
        for code in np.unique(batch.type).tolist():
            at = np.flatnonzero(batch.type == code)
            part = batch.take(at)
            head = _HEAD % (self._seed, TYPES[code][0].encode())
            base = list(
                zip((at + first_id).tolist(), [keys[c] for c in part.customer.tolist()], part.time_ms.tolist(),
                    strict=True)
            )  # fmt: skip
            # An object array takes a list of bytes as it is only when filled slice by slice.
            out[at] = np.array(self._of_type(code)(head, base, part), dtype=object)
        values: list[bytes] = out.tolist()
        return values

    def _of_type(self, code: int) -> Callable[[bytes, Sequence[tuple[int, bytes, int]], Events], list[bytes]]:
        if code in {kinds.VIEW_ITEM, kinds.ADD_TO_WISHLIST, kinds.SHARE}:
            return self._product
        if code in {kinds.ADD_TO_CART, kinds.REMOVE_FROM_CART}:
            return self._cart
        if code == kinds.SEARCH:
            return self._search
        if code in {kinds.PURCHASE, kinds.REFUND}:
            return self._purchase if code == kinds.PURCHASE else self._refund
        return self._page

    def _product(self, head: bytes, base: Sequence[tuple[int, bytes, int]], part: Events) -> list[bytes]:
        template = head + _SESSION % self._seed + b'%b,"device":"%b"}'
        goods = self._goods.fragment
        return [
            template % (*b, s, goods[p], _DEVICES[s % 3])
            for b, s, p in zip(base, part.session.tolist(), part.product.tolist(), strict=True)
        ]

    def _cart(self, head: bytes, base: Sequence[tuple[int, bytes, int]], part: Events) -> list[bytes]:
        template = head + _SESSION % self._seed + b'%b,"quantity":%d}'
        goods = self._goods.fragment
        columns = zip(base, part.session.tolist(), part.product.tolist(), part.quantity.tolist(), strict=True)
        return [template % (*b, s, goods[p], q) for b, s, p, q in columns]

    def _search(self, head: bytes, base: Sequence[tuple[int, bytes, int]], part: Events) -> list[bytes]:
        template = head + _SESSION % self._seed + b'"query":"%b","results":%d,"device":"%b"}'
        columns = zip(base, part.session.tolist(), part.product.tolist(), strict=True)
        return [template % (*b, s, QUERIES[p % len(QUERIES)], p % 61, _DEVICES[s % 3]) for b, s, p in columns]

    def _page(self, head: bytes, base: Sequence[tuple[int, bytes, int]], part: Events) -> list[bytes]:
        template = head + _SESSION % self._seed + b'"category":"%b","device":"%b","channel":"%b"}'
        names = [name.encode() for name in CATEGORIES]
        columns = zip(base, part.session.tolist(), part.product.tolist(), strict=True)
        return [template % (*b, s, names[p % len(names)], _DEVICES[s % 3], _CHANNELS[s % 7 % 3]) for b, s, p in columns]

    def _purchase(self, head: bytes, base: Sequence[tuple[int, bytes, int]], part: Events) -> list[bytes]:
        template = head + _SESSION % self._seed + b'"order_id":"o%d-%d","value":%b,%b}'
        lines, seed = self._lines, self._seed
        columns = zip(base, part.session.tolist(), part.order.tolist(), part.amount_minor.tolist(), strict=True)
        return [template % (*b, s, seed, o, money(a), lines.pop(o)) for b, s, o, a in columns]

    def _refund(self, head: bytes, base: Sequence[tuple[int, bytes, int]], part: Events) -> list[bytes]:
        template = head + b'"order_id":"o%d-%d","value":%b,"reason":"returned"}'
        columns = zip(base, part.order.tolist(), part.amount_minor.tolist(), strict=True)
        return [template % (*b, self._seed, o, money(a)) for b, o, a in columns]

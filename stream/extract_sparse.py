"""The sparse columns of an EventBatch: products, categories, cart operations and orders, which only some events have.

Each collector takes the chunk's events in C loops while they look as usual (every product named on the event itself)
and one by one otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from models import money
from schemas.fields import CATEGORY_CHARS_MAX, MONEY_MAX
from schemas.kinds import Kind
from schemas.money import MINOR_MAX, exact_minor_units, minor_units

Fields = dict[str, Any]

_PRODUCT = itemgetter("product_id")
_SIGNS = {"add_to_cart": 1, "remove_from_cart": -1}


def mask(*kinds: Kind) -> bytes:
    """Return a translation table that turns a column of kinds into a selector of some of them."""
    return bytes(number in kinds for number in range(256))


_ONE_PRODUCT = mask(Kind.VIEW_ITEM, Kind.ADD_TO_WISHLIST, Kind.ADD_TO_CART, Kind.ORDER_LINE)
_PURCHASES = mask(Kind.PURCHASE)
_CARTS = mask(Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART)
_ORDERS = mask(Kind.PURCHASE, Kind.ORDER_LINE, Kind.REFUND)


def text_hashes(texts: Iterable[str]) -> Iterator[int]:
    """Hash ids to 64 bits (xxh3 of the UTF-8 text); part of the durable format."""
    return map(xxh3_64_intdigest, map(str.encode, texts))


def minor_array(amounts: list[float], digits: int) -> NDArray[np.int64]:
    """Round amounts to minor units as `schemas.money.minor_units` rounds one; signs are dropped."""
    if not amounts:
        return np.empty(0, np.int64)
    minor, unclear = money.rounded(np.array(amounts, np.float64), 10.0**digits)
    for at in unclear.tolist():
        minor[at] = exact_minor_units([(abs(amounts[at]), 1)], digits)
    return minor


class Items:
    """Which event names which product, and of which category."""

    def __init__(self) -> None:
        self.event: list[int] = []
        self.product: list[int] = []
        self.category_event: list[int] = []
        self.category: list[int] = []
        self.category_names: dict[int, str] = {}
        self._category_hashes: dict[str | None, int] = {None: 0}

    def extend(self, where: range, events: Sequence[Fields], kinds: bytes) -> None:
        """Take the products of a chunk whose events stand at positions `where`."""
        naming = kinds.translate(_ONE_PRODUCT)
        products = list(map(_PRODUCT, compress(events, naming)))
        if all(products):
            positions = list(compress(where, naming))
            self.event += positions
            self.product.extend(text_hashes(products))
            self._categorise(positions, compress(events, naming))
        else:
            for at, event in zip(compress(where, naming), compress(events, naming), strict=True):
                self._append(at, _lines(event))
        if Kind.PURCHASE in kinds:
            orders = kinds.translate(_PURCHASES)
            for at, event in zip(compress(where, orders), compress(events, orders), strict=True):
                self._append(at, event.get("items") or ())

    def _append(self, at: int, lines: Sequence[Fields]) -> None:
        naming = [line for line in lines if line["product_id"] is not None]
        self.event += [at] * len(naming)
        self.product.extend(text_hashes(map(_PRODUCT, naming)))
        self._categorise([at] * len(naming), naming)

    def _categorise(self, positions: list[int], lines: Iterable[Fields]) -> None:
        """Take the categories of lines whose events stand at `positions`."""
        said = [line.get("category") for line in lines]
        if not self._learn(said):
            said = [str(each) if type(each) is int else each if isinstance(each, str) else None for each in said]
            self._learn(said)
        hashes = list(map(self._category_hashes.__getitem__, said))
        if not all(hashes):
            positions = list(compress(positions, hashes))
            hashes = list(compress(hashes, hashes))
        self.category_event += positions
        self.category += hashes

    def _learn(self, said: list[Any]) -> bool:
        """Hash the categories not met before; False, and nothing learnt, where one is not text."""
        try:
            unknown = set(said).difference(self._category_hashes)
        except TypeError:  # a list or an object
            return False
        if not all(isinstance(each, str) for each in unknown):
            return False
        for text in unknown:
            # What is too long is none, and no category is 0.
            hashed = xxh3_64_intdigest(text.encode()) if 0 < len(text) <= CATEGORY_CHARS_MAX else 0
            self._category_hashes[text] = hashed
            if hashed:
                self.category_names[hashed] = text
        return True


class Carts:
    """Cart operations: product, signed quantity, price of one; product and quantity 0 empty the cart."""

    def __init__(self) -> None:
        self.event: list[int] = []
        self.product: list[int] = []
        self.quantity: list[int] = []
        self.price: list[float] = []
        self.names: dict[int, str] = {}

    def extend(self, where: range, events: Sequence[Fields], kinds: bytes) -> None:
        """Take the cart operations of a chunk whose events stand at positions `where`."""
        selected = kinds.translate(_CARTS)
        changes = list(compress(events, selected))
        positions = list(compress(where, selected))
        products = list(map(_PRODUCT, changes))
        if all(products):
            self._append(positions, changes, products, [_SIGNS[change["event_type"]] for change in changes])
            return
        for at, change in zip(positions, changes, strict=True):
            lines = [line for line in _lines(change) if line["product_id"] is not None]
            sign = _SIGNS[change["event_type"]]
            if lines:
                self._append([at] * len(lines), lines, list(map(_PRODUCT, lines)), [sign] * len(lines))
            elif sign < 0 and not change.get("items"):
                self._append_clear(at)

    def _append(self, at: list[int], lines: Sequence[Fields], products: list[str], signs: list[int]) -> None:
        self.event += at
        hashes = list(text_hashes(products))
        self.product += hashes
        self.names.update(zip(hashes, products, strict=True))
        self.quantity += [_units(line) * sign for line, sign in zip(lines, signs, strict=True)]
        self.price += [line.get("price") or 0.0 for line in lines]

    def prices_minor(self, digits: int) -> NDArray[np.int64]:
        """Return the prices in minor units."""
        return minor_array(self.price, digits)

    def _append_clear(self, at: int) -> None:
        self.event.append(at)
        self.product.append(0)
        self.quantity.append(0)
        self.price.append(0.0)


class Orders:
    """Money: purchases, order lines and refunds."""

    def __init__(self, digits: int) -> None:
        self._digits = digits
        self.event: list[int] = []
        self.order: list[int] = []
        self._whole: list[float] = []
        self._discounts: list[int] = []
        self._computed: dict[int, int] = {}

    @staticmethod
    def select(kinds: bytes) -> bytes:
        """Select the events with money that counts."""
        return kinds.translate(_ORDERS)

    def compute(self, orders: Sequence[Fields]) -> tuple[list[float], dict[int, int]]:
        """Read money: amounts in major units, and minor units by position where orders say only prices."""
        whole = [_whole(order) for order in orders]
        computed = {
            at: minor_units(_terms(orders[at]), self._digits) for at, amount in enumerate(whole) if amount is None
        }
        return [0.0 if amount is None else amount for amount in whole], computed

    def extend(
        self, positions: Iterable[int], orders: Sequence[Fields], whole: list[float], computed: dict[int, int]
    ) -> None:
        """Take a chunk's orders with the money that `compute` read."""
        start = len(self.event)
        self.event.extend(positions)
        self.order.extend(
            text_hashes([order.get("order_id") or order.get("transaction_id") or order["event_id"] for order in orders])
        )
        self._discounts += [_discount(order, self._digits) for order in orders]
        self._whole += whole
        self._computed.update((start + at, minor) for at, minor in computed.items())

    def discounts_minor(self) -> NDArray[np.int64]:
        """Return what was taken off, 0 where no order says so."""
        return np.array(self._discounts, np.int64)

    def amounts_minor(self) -> NDArray[np.int64]:
        """Return the amounts in minor units, none negative."""
        amounts = minor_array(self._whole, self._digits)
        for at, minor in self._computed.items():
            amounts[at] = minor
        return amounts


def _lines(event: Fields) -> Sequence[Fields]:
    """List what an event says of products: itself where it names one, else its items."""
    if event["product_id"] is not None:
        return (event,)
    lines: Sequence[Fields] = event.get("items") or ()
    return lines


def _units(line: Fields) -> int:
    units: int | None = line.get("quantity")
    return 1 if units is None else units


def _whole(order: Fields) -> float | None:
    amount: float | None = order.get("amount")
    if amount is None:
        amount = order.get("value")
    return amount


def _terms(order: Fields) -> list[tuple[float, int]]:
    """Read an order that states no amount as prices and quantities; nothing stated is 0."""
    return [(line.get("price") or 0.0, _units(line)) for line in order.get("items") or (order,)]


def _discount(order: Fields, digits: int) -> int:
    """Read what was taken off an order: what it says as a whole, else the sum over its items; 0 if neither is known."""
    terms = _discounts(order, 1)
    if not terms:
        terms = [term for line in order.get("items") or () for term in _discounts(line, _units(line))]
    minor = minor_units(terms, digits) if terms else 0
    return minor if minor <= MINOR_MAX else 0


def _discounts(line: Fields, units: int) -> list[tuple[float, int]]:
    said: Any = line.get("discount")
    return [(float(said), units)] if type(said) in {int, float} and 0 <= said <= MONEY_MAX else []

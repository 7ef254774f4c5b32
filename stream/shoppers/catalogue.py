"""The shop's goods: products sorted from cheap to dear, with the JSON fragments that events repeat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRODUCTS = 2_000

CATEGORIES = (
    "kitchen", "garden", "books", "toys", "shoes", "outdoor", "lighting", "beauty", "audio", "furniture",
)  # fmt: skip

QUERIES = (
    b"espresso cup", b"rain jacket", b"desk lamp", b"running shoes", b"gift for dad", b"plant pot", b"headphones",
    b"sale", b"board game", b"sofa", b"travel mug", b"bluetooth speaker", b"notebook a5", b"wool blanket",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Catalogue:
    """PRODUCTS goods; position 0 is the cheapest."""

    price_minor: NDArray[np.int64]
    fragment: list[bytes]
    """`"product_id":...,"price":...,"category":...,` brand and page of each product."""
    item: list[bytes]
    """`{"product_id":...,"price":...,"quantity":%d}` of each product, to be completed with the quantity."""


def money(minor: int) -> bytes:
    """Two-digit minor units as a JSON number.

    >>> money(1290), money(5), money(0)
    (b'12.90', b'0.05', b'0.00')
    """
    return b"%d.%02d" % divmod(minor, 100)


def stock(rng: np.random.Generator) -> Catalogue:
    """Draw the goods: log-normal prices from about 2 to 900."""
    prices = np.sort(np.round(np.exp(rng.normal(3.3, 1.0, PRODUCTS)) * 100)).astype(np.int64)
    prices = np.maximum(prices, 99)
    category = rng.integers(0, len(CATEGORIES), PRODUCTS)
    fragments, items = [], []
    for product, (price_minor, kind) in enumerate(zip(prices.tolist(), category.tolist(), strict=True)):
        price = money(price_minor)
        fragments.append(
            b'"product_id":"p%05d","price":%b,"category":"%b","brand":"brand-%d",'
            b'"page":"https://shop.example/p/p%05d"'
            % (product, price, CATEGORIES[kind].encode(), product % 97, product)
        )
        items.append(b'{"product_id":"p%05d","price":%b,"quantity":%%d}' % (product, price))
    return Catalogue(price_minor=prices, fragment=fragments, item=items)

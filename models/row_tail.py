"""The end of a customer's changelog row: what lies in the cart, its products' ids, and triggers on their way out.

    [n u16, n bytes of cart] | [n u16, n x (product u64, m u16, m bytes of its id)] | [n u32, n bytes of triggers]
    | [n u16, n x (category u64, m u16, m bytes of its name)]

The products are those of the cart that have an id; the triggers are those of the last published record, one a line, as
they are published; the categories are those that this customer brought first. Each section is there where its flag says
so.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from models import carts
from models.columns import CustomerTable

CART, PRODUCTS, TRIGGERS, CATEGORIES = 4, 8, 16, 32
_SHORT, _LONG, _NAMED = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<QH")
_NO_NAMES: Mapping[int, str] = {}


class MalformedRow(ValueError):  # noqa: N818 (says what was met)
    """A row whose bytes do not add up: damaged, or not written by this program."""


class Tail(NamedTuple):
    """What a row's end says."""

    cart: bytes | None
    products: Mapping[int, str]
    triggers: bytes | None
    categories: Mapping[int, str]


NOTHING = Tail(None, _NO_NAMES, None, _NO_NAMES)


def encode(table: CustomerTable, slot: int) -> tuple[int, bytes]:
    """Make flags and bytes of a customer's tail."""
    cart, triggers, brought = table.carts.blobs.get(slot), table.triggers.get(slot), table.categories.held.get(slot)
    if cart is None and triggers is None and brought is None:
        return 0, b""
    flags, parts = 0, []
    if cart is not None:
        flags |= CART
        parts += [_SHORT.pack(len(cart)), cart]
        names = {product: table.products[product] for product in table.carts.lines(slot) if product in table.products}
        if names:
            flags |= PRODUCTS
            parts += _packed(names)
    if triggers is not None:
        flags |= TRIGGERS
        parts += [_LONG.pack(len(triggers)), triggers]
    if brought:
        flags |= CATEGORIES
        parts += _packed({category: table.categories.names[category] for category in brought})
    return flags, b"".join(parts)


def parse_all(rows: Sequence[bytes], starts: Sequence[int], flags: Sequence[int]) -> list[Tail]:
    """Read the tail of each row, which begins at the byte that `starts` says. Raises MalformedRow."""
    sections = CART | PRODUCTS | TRIGGERS | CATEGORIES
    return [
        NOTHING if at == len(row) and not said & sections else _parse(row, at, said)
        for row, at, said in zip(rows, starts, flags, strict=True)
    ]


def _parse(row: bytes, at: int, flags: int) -> Tail:
    cart, products, triggers, categories = NOTHING
    try:
        if flags & CART:
            cart, at = _section(row, at, _SHORT)
            if not carts.is_blob(cart):
                raise MalformedRow("a row's cart is cut short or too long")
        if flags & PRODUCTS:
            products, at = _names(row, at)
        if flags & TRIGGERS:
            triggers, at = _section(row, at, _LONG)
        if flags & CATEGORIES:
            categories, at = _names(row, at)
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedRow(f"a row's end is damaged: {error}") from error
    if at != len(row):
        raise MalformedRow("a row's cart is cut short or too long")
    return Tail(cart, products, triggers, categories)


def load_all(table: CustomerTable, slots: Sequence[int], tails: Sequence[Tail]) -> None:
    """Set what rows' tails said of their customers."""
    carts_held, triggers, categories = table.carts.blobs, table.triggers, table.categories.held
    for slot, tail in zip(slots, tails, strict=True):
        if tail is not NOTHING or slot in carts_held or slot in triggers or slot in categories:
            _load(table, slot, tail)


def _load(table: CustomerTable, slot: int, tail: Tail) -> None:
    if tail.cart is not None or table.carts.blobs:
        table.carts.put(slot, tail.cart)
    if tail.products:
        table.products.update(tail.products)
    if tail.triggers is not None:
        table.triggers[slot] = tail.triggers
    elif table.triggers:
        table.triggers.pop(slot, None)
    table.categories.load(slot, tail.categories)


def _section(row: bytes, at: int, size: struct.Struct) -> tuple[bytes, int]:
    start = at + size.size
    end = start + int(size.unpack_from(row, at)[0])
    if end > len(row):
        raise MalformedRow("a row's cart is cut short or too long")
    return row[start:end], end


def _packed(names: Mapping[int, str]) -> list[bytes]:
    parts = [_SHORT.pack(len(names))]
    for identity, name in names.items():
        said = name.encode()
        parts += [_NAMED.pack(identity, len(said)), said]
    return parts


def _names(row: bytes, at: int) -> tuple[dict[int, str], int]:
    found = {}
    count = _SHORT.unpack_from(row, at)[0]
    at += _SHORT.size
    for _ in range(count):
        identity, length = _NAMED.unpack_from(row, at)
        at += _NAMED.size
        found[identity] = row[at : at + length].decode()
        at += length
    return found, at

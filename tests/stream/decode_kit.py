"""Records for the tests of decoding: events to start from, ways to spoil them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from stream.decode import Decoded, Decoder, Portion

NOW_MS = 1_760_000_000_000
ITEMS = [{"product_id": "p1", "price": 10.01, "quantity": 3}, {"product_id": "p2", "price": 0.005}]

EVENTS: tuple[dict[str, Any], ...] = (
    {"event_type": "view_item", "product_id": "p1", "price": 9.99, "category": "shoes"},
    {"event_type": "add_to_wishlist", "product_id": 17},
    {"event_type": "search", "query": "red shoes"},
    {"event_type": "page_view", "page": "/shoes"},
    {"event_type": "add_to_cart", "product_id": "p1", "price": 9.99, "quantity": 2, "currency": "USD"},
    {"event_type": "remove_from_cart", "product_id": "p1"},
    {
        "event_type": "purchase",
        "order_id": "o1",
        "value": 19.98,
        "discount": 2.0,
        "items": [{"product_id": "p1", "price": 9.99}],
    },
    {"event_type": "order_line", "order_id": "o2", "product_id": "p2", "price": 0.335, "quantity": 3, "category": 7},
    {"event_type": "refund", "transaction_id": "o1", "amount": -9.99, "currency": "USD"},
    {"event_type": "activity", "name": "newsletter"},
    {"event_name": "purchase", "params": {"transaction_id": "t", "value": 3, "items": [{"item_id": 1, "discount": 1}]}},
    {"event_name": "view_item", "params": {"items": [{"item_id": "a", "item_category": "hats"}, {"item_id": "b"}]}},
    {"event": "Product Added", "properties": {"sku": "s", "price": 2.5, "quantity": 1}},
    {"event": "Order Completed", "properties": {"revenue": 5, "products": [{"product_id": "p"}]}},
    {"type": "page"},
)
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.0, 1.5, -0.0, 1e30, 5e-324, 2**31, 2**53, 2**63, 2**64 - 1, -(2**63), NOW_MS,
    NOW_MS + 10**9, NOW_MS / 1000, 631_151_999_999, "", " ", "x", "x" * 128, "x" * 129, "x" * 256, "x" * 257, "é" * 128,
    "\0", "a\0b", "𝔘", "1", "1.5", "NaN", "usd", "USD", "EUR", "2025-10-09T08:53:20Z", "2025-10-09T08:53:20", [], {},
    [1], [None], [{}], [{"product_id": "p"}], [{"product_id": None}], [{"product_id": "p", "quantity": True}],
    [{"product_id": "p", "price": 1e11, "quantity": 1_000_000}], [{"product_id": "p"}] * 501, {"a": [[]]},
    [{"item_id": "i", "price": None}, {"sku": 5}], [[[[]]]], "view_item", "purchase", "add_to_cart", "Product Viewed",
)  # fmt: skip
ODD = [orjson.dumps(value) for value in _ODD]
FIELDS: tuple[str, ...] = (
    "event_id", "event_type", "customer_id", "event_time", "product_id", "price", "quantity", "currency", "items",
    "order_id", "transaction_id", "value", "amount", "name", "user_id", "userId", "client_id", "anonymousId",
    "messageId", "timestamp", "timestamp_micros", "event_name", "event", "type", "params", "properties", "products",
    "revenue", "total", "events", "batch", "sku", "item_id", "category", "item_category", "discount",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Raw:
    """What aiokafka hands over of a record."""

    value: bytes | None
    offset: int = 0
    key: bytes | None = b"c1"


def event(fields: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """A whole event around some fields: customer, id and time as its shape says them."""
    if "event_type" in fields:
        base: dict[str, Any] = {"event_id": f"e{number}", "customer_id": "c1", "event_time": NOW_MS - number % 1000}
    elif "event_name" in fields:
        base = {"user_id": "c1", "timestamp_micros": NOW_MS * 1000}
    else:
        base = {"messageId": f"m{number}", "anonymousId": "a1", "timestamp": "2025-10-09T08:53:20.000Z"}
    return base | fields


def mutate(document: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Change up to three things: a field odd, gone, renamed or odd within properties or items."""
    for _ in range(rng.randrange(4)):
        move = rng.randrange(5)
        if move == 0:
            document.pop(rng.choice(list(document)), None) if document else None
        elif move == 1 and document:
            document[rng.choice(FIELDS)] = document.pop(rng.choice(list(document)))
        elif move == 2:
            nested = [value for value in document.values() if isinstance(value, dict)]
            nested += [item for value in document.values() if isinstance(value, list) for item in value[:3]]
            target = rng.choice(nested) if nested else document
            if isinstance(target, dict):
                target[rng.choice(FIELDS)] = orjson.loads(rng.choice(ODD))
        else:
            document[rng.choice(FIELDS)] = orjson.loads(rng.choice(ODD))
    return document


def spoil(value: bytes, rng: random.Random) -> bytes:
    """Flip, drop or double some bytes."""
    raw = bytearray(value)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(raw))
        raw[at : at + rng.randrange(2)] = rng.choice(
            (b"", b"\xff", b"{", b"]", b'"', b"1e400", b"NaN", b"\0", b"9" * 30)
        )
    return bytes(raw)


def records(count: int, rng: random.Random, *, spoilt: float = 0.1) -> list[Raw]:
    """So many records, about half of them still good; copies of the templates, so that none changes another."""
    templates = [orjson.dumps(template) for template in EVENTS]
    found = []
    for number in range(count):
        fields = orjson.loads(rng.choice(templates))
        value = orjson.dumps(mutate(event(fields, number), rng))
        found.append(Raw(spoil(value, rng) if rng.random() < spoilt else value, offset=number))
    return found


def raw(values: Sequence[Any]) -> list[Raw]:
    """Records of values (bytes as they are, anything else as JSON) from offset 100 on."""
    return [Raw(v if v is None or isinstance(v, bytes) else orjson.dumps(v), 100 + at) for at, v in enumerate(values)]


def decode(*values: Any, source: int = 0, **settings: Any) -> Decoded:
    """Decode values from offset 100 on."""
    log = raw(values)
    decoder = Decoder(**({"currency": "USD", "currency_digits": 2} | settings))
    return decoder.decode([Portion(1, source, log)], NOW_MS)[1]


def canonical(**fields: Any) -> dict[str, Any]:
    """An event that is accepted, with other fields."""
    return event({"event_type": "view_item", "product_id": "p1", **fields})

"""The oracle's reading of records, checked against the worker's: two programs, one meaning."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from models.batch import EventBatch
from schemas.kinds import Kind
from stream.decode import Decoder, Portion
from tests.oracle.reading import Raw, Rules, parse, read
from tests.oracle.shop import Event, Operation
from tests.stream import decode_kit

RULES = Rules(time_zone="Europe/Berlin")
NO_ORDER = (0, 0, 0)


def raw(value: bytes | None, offset: int = 0) -> Raw:
    return Raw("clickstream", 0, 3, offset, b"c1", value, decode_kit.NOW_MS)


def events_of(batch: EventBatch) -> list[Event]:
    """The worker's columns, written as the oracle writes events."""
    products: dict[int, list[int]] = {}
    operations: dict[int, list[Operation]] = {}
    orders: dict[int, tuple[int, int, int]] = {}
    categories: dict[int, list[int]] = {}
    for at, category in zip(batch.category_event.tolist(), batch.category.tolist(), strict=True):
        categories.setdefault(at, []).append(category)
    for at, product in zip(batch.item_event.tolist(), batch.item_product.tolist(), strict=True):
        products.setdefault(at, []).append(product)
    cart = (batch.cart_event, batch.cart_product, batch.cart_quantity, batch.cart_price_minor)
    for at, product, quantity, price in zip(*(column.tolist() for column in cart), strict=True):
        operations.setdefault(at, []).append(Operation(product, quantity, price))
    money = (batch.order_event, batch.order_hash, batch.order_amount_minor, batch.order_discount_minor)
    for at, *said in zip(*(column.tolist() for column in money), strict=True):
        orders[at] = tuple(said)
    return [
        Event(
            customer=batch.customer[at],
            time=int(batch.time_ms[at]),
            kind=Kind(int(batch.kind[at])),
            id=int(batch.event_hash[at]),
            source=int(batch.source[at]),
            offset=int(batch.offset[at]),
            key=batch.key[at],
            products=tuple(products.get(at, ())),
            operations=tuple(operations.get(at, ())),
            order=orders.get(at, NO_ORDER)[0],
            amount=orders.get(at, NO_ORDER)[1],
            discount=orders.get(at, NO_ORDER)[2] if batch.kind[at] != Kind.REFUND else 0,
            categories=tuple(categories.get(at, ())),
            night=bool(batch.day_part[at] & 1),
            weekend=bool(batch.day_part[at] & 2),
        )
        for at in range(len(batch))
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_oracle_reads_every_record_as_the_worker_does(seed: int) -> None:
    log = decode_kit.records(4_000, random.Random(seed), spoilt=0.2)
    decoder = Decoder(currency="USD", currency_digits=2, time_zone="Europe/Berlin")
    decoded = decoder.decode([Portion(3, 0, log)], decode_kit.NOW_MS)[3]
    theirs: dict[int, Event | str] = {letter.offset: letter.reason for letter in decoded.letters}
    theirs.update((event.offset, event) for event in events_of(decoded.batch))
    for record in log:
        assert read(raw(record.value, record.offset), RULES) == theirs[record.offset], record.value
    assert sum(isinstance(found, Event) for found in theirs.values()) > 1_000
    assert len({found for found in theirs.values() if isinstance(found, str)}) > 5


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null_value"),
        (b"", "bad_json"),
        (b"[]", "not_an_object"),
        (b'{"a":NaN}', "bad_json"),
        (b'{"a":1e400}', "bad_json"),
        (b'{"a":"\xff"}', "bad_utf8"),
        (b'{"a":"\\ud800"}', "bad_json"),
        (b'{"a":' + b"[" * 1_024 + b"]" * 1_024 + b"}", "bad_json"),
        (b'{"a":"' + b"x" * 262_144 + b'"}', "too_large"),
    ],
)
def test_what_is_no_json_object_has_a_reason(value: bytes | None, reason: str) -> None:
    assert parse(value) == reason
    letters = Decoder(currency="USD", currency_digits=2).decode([Portion(3, 0, [_Record(value)])], 0)[3].letters
    assert [letter.reason for letter in letters] == [reason]


class _Record:
    offset = 0
    key = b"c1"

    def __init__(self, value: bytes | None) -> None:
        self.value = value


def test_brackets_inside_of_strings_are_no_nesting() -> None:
    document: dict[str, Any] = {"a": '"[' * 1_100}
    assert parse(orjson.dumps(document)) == document

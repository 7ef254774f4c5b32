"""Records that no worker may apply: each sort of broken input that a topic has ever seen, with the reason expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stream.shoppers.config import POISON, Record

BIG_BYTES = 900_000
"""Just under the producer's usual limit for one request (1 MiB)."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of poison."""

    name: str
    weight: float
    reasons: frozenset[str]
    """The dead letter reason codes that are right for it."""
    build: Callable[[bytes, int, int], tuple[bytes | None, bytes | None]]
    """(customer key, running number, time in ms) -> (key, value)."""


def _event(customer: bytes, number: int, time_ms: int, rest: bytes) -> bytes:
    return b'{"event_id":"poison-%d","event_type":"add_to_cart","customer_id":"%b","event_time":%d,%b}' % (
        number, customer, time_ms, rest,
    )  # fmt: skip


def _bad_json(key: bytes, number: int, time_ms: int) -> tuple[bytes, bytes]:
    return key, _event(key, number, time_ms, b'"product_id":"p1"')[: 20 + number % 60]


def _bad_utf8(key: bytes, number: int, time_ms: int) -> tuple[bytes, bytes]:
    return key, _event(key, number, time_ms, b'"product_id":"\xff\xfe\x80"')


_WRONG_TYPES = (
    b'"product_id":"p1","price":"expensive"', b'"product_id":["p1"]', b'"product_id":"p1","price":true',
    b'"product_id":{"id":"p1"}',
)  # fmt: skip


def _wrong_types(key: bytes, number: int, time_ms: int) -> tuple[bytes, bytes]:
    return key, _event(key, number, time_ms, _WRONG_TYPES[number % len(_WRONG_TYPES)])


def _nan(key: bytes, number: int, time_ms: int) -> tuple[bytes, bytes]:
    return key, _event(key, number, time_ms, b'"product_id":"p1","price":' + (b"NaN", b"Infinity")[number % 2])


def _huge_number(key: bytes, number: int, time_ms: int) -> tuple[bytes, bytes]:
    huge = (b"1e400", b"1e30", b"-" + b"9" * 40)[number % 3]
    return key, _event(key, number, time_ms, b'"product_id":"p1","price":' + huge)


def _deep_nesting(key: bytes, number: int, time_ms: int) -> tuple[bytes, bytes]:
    depth = 5_000
    return key, _event(key, number, time_ms, b'"extra":' + b"[" * depth + b"]" * depth)


def _null_value(key: bytes, number: int, time_ms: int) -> tuple[bytes, None]:  # noqa: ARG001 (one signature for all)
    return key, None


def _not_an_object(key: bytes, number: int, time_ms: int) -> tuple[bytes, bytes]:  # noqa: ARG001 (one signature for all)
    return key, (b"[]", b"42", b'"view_item"', b"null", b"true")[number % 5]


def _big_record(key: bytes, number: int, time_ms: int) -> tuple[bytes, bytes]:
    text = b'"product_id":"' + b"x" * BIG_BYTES + b'"'
    return key, _event(key, number, time_ms, text)


def _stranger(number: int) -> bytes:
    # A customer who does nothing else: the key is looked at when a partition first sees a customer.
    return b"stranger-%d" % number


def _empty_key(key: bytes, number: int, time_ms: int) -> tuple[bytes | None, bytes]:  # noqa: ARG001 (one signature for all)
    return (b"", None)[number % 2], _event(_stranger(number), number, time_ms, b'"product_id":"p1"')


def _wrong_key(key: bytes, number: int, time_ms: int) -> tuple[bytes, bytes]:
    return key, _event(_stranger(number), number, time_ms, b'"product_id":"p1"')


def _no_customer(key: bytes, number: int, time_ms: int) -> tuple[bytes, bytes]:
    text = b'{"event_id":"poison-%d","event_type":"view_item","event_time":%d,"product_id":"p1"}'
    return key, text % (number, time_ms)


SORTS: tuple[Sort, ...] = (
    Sort("bad_json", 2, frozenset({"bad_json"}), _bad_json),
    Sort("bad_utf8", 2, frozenset({"bad_utf8", "bad_json"}), _bad_utf8),
    Sort("wrong_types", 2, frozenset({"invalid"}), _wrong_types),
    Sort("nan", 2, frozenset({"bad_json", "invalid"}), _nan),
    Sort("huge_number", 2, frozenset({"bad_json", "invalid"}), _huge_number),
    Sort("deep_nesting", 1, frozenset({"bad_json", "invalid"}), _deep_nesting),
    Sort("null_value", 2, frozenset({"null_value"}), _null_value),
    Sort("not_an_object", 2, frozenset({"not_an_object"}), _not_an_object),
    Sort("big_record", 0.05, frozenset({"invalid", "too_large"}), _big_record),
    Sort("empty_key", 1, frozenset({"key_mismatch"}), _empty_key),
    Sort("wrong_key", 1, frozenset({"key_mismatch"}), _wrong_key),
    Sort("no_customer", 1, frozenset({"missing_customer"}), _no_customer),
)

_WEIGHTS = np.array([sort.weight for sort in SORTS])


def brew(
    count: int, first: int, keys: list[bytes], time_ms: int, rng: np.random.Generator
) -> tuple[list[Record], list[str]]:
    """So many poison records numbered from `first`, and the sort of each."""
    drawn = rng.choice(len(SORTS), count, p=_WEIGHTS / _WEIGHTS.sum()).tolist()
    whose = rng.integers(0, len(keys), count).tolist()
    records: list[Record] = []
    for position, (sort, customer) in enumerate(zip(drawn, whose, strict=True)):
        key, value = SORTS[sort].build(keys[customer], first + position, time_ms)
        records.append((key, value, time_ms, POISON))
    return records, [SORTS[sort].name for sort in drawn]

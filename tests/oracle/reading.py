"""One raw record as the oracle reads it: an `Event` of `tests.oracle.shop`, or the reason why it is none.

A plain second reading of docs/events.md, one record at a time, on the standard library's JSON and exact decimals. The
shapes that shops send and the fields' limits are `schemas`', which say what events mean; nothing of `stream` or
`models` is used, which decide what becomes of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from xxhash import xxh3_64_intdigest

from schemas.dead_letter import Refusal
from schemas.events import EVENT, KINDS
from schemas.folding import fold
from schemas.kinds import Kind
from tests.oracle.shop import MONEY_KINDS, ORDER_KINDS, Event, Operation

RECORD_BYTES_MAX = 256 * 1024
NESTING_MAX = 1024
MINOR_MAX = 10**15
CURRENCY_KINDS = (Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART, *MONEY_KINDS)
PRODUCT_KINDS = (Kind.VIEW_ITEM, Kind.ADD_TO_WISHLIST, Kind.ADD_TO_CART, Kind.ORDER_LINE)
SIGNS = {Kind.ADD_TO_CART: 1, Kind.REMOVE_FROM_CART: -1}
_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the shop's settings decide about events."""

    currency: str = "USD"
    currency_digits: int = 2
    unknown_events: str = "activity"
    future_tolerance_ms: int = 300_000
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Raw:
    """One record as the broker keeps it."""

    topic: str
    source: int
    """0 clickstream, 1 purchases."""
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    written_ms: int
    """When it was sent: the clock that "future" is judged by."""


def read(raw: Raw, rules: Rules) -> Event | str:
    """Return the event that a record is, or the reason code of its dead letter."""
    document = parse(raw.value)
    if isinstance(document, str):
        return document
    folded = fold(document, unknown_is_activity=rules.unknown_events == "activity")
    if isinstance(folded, Refusal):
        return folded.reason
    folded.setdefault("event_id", f"{raw.topic}/{raw.partition}/{raw.offset}")
    try:
        said = EVENT.validate_python(folded).model_dump()
    except ValidationError as error:
        return _reason(error)
    return _event(said, raw, rules)


def _event(said: dict[str, Any], raw: Raw, rules: Rules) -> Event | str:
    """Read the event that validated fields say, or refuse what no field's own limits can."""
    kind = KINDS[said["event_type"]]
    amount = _amount(said, rules.currency_digits) if kind in MONEY_KINDS else 0
    if amount > MINOR_MAX:
        return "invalid"
    if kind in CURRENCY_KINDS and (said["currency"] or rules.currency).upper() != rules.currency:
        return "currency_mismatch"
    if said["event_time"] > raw.written_ms + rules.future_tolerance_ms:
        return "future"
    local = datetime.fromtimestamp(said["event_time"] // 1000, ZoneInfo(rules.time_zone))
    order = said.get("order_id") or said.get("transaction_id") or said["event_id"]
    return Event(
        customer=said["customer_id"],
        time=said["event_time"],
        kind=kind,
        id=_hash(said["event_id"]),
        source=raw.source,
        offset=raw.offset,
        key=raw.key,
        products=_products(kind, said),
        operations=_operations(kind, said, rules.currency_digits),
        order=_hash(order) if kind in MONEY_KINDS else 0,
        amount=amount,
        discount=_discount(said, rules.currency_digits) if kind in ORDER_KINDS else 0,
        categories=_categories(kind, said),
        night=not 6 <= local.hour < 22,
        weekend=local.isoweekday() >= 6,
    )


def parse(value: bytes | None) -> dict[str, Any] | str:
    """Return the JSON object that a value is, or the reason why it is none."""
    if value is None:
        return "null_value"
    if len(value) > RECORD_BYTES_MAX:
        return "too_large"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "bad_utf8"
    try:
        if _deep(text):
            return "bad_json"
        document = _JSON.decode(text)
        if "\\u" in text:
            # Half of a surrogate pair is no text.
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return "bad_json"
    return document if isinstance(document, dict) else "not_an_object"


def _deep(text: str) -> bool:
    """Whether brackets outside of strings nest deeper than NESTING_MAX."""
    if text.count("[") + text.count("{") <= NESTING_MAX:
        return False
    depth, inside, escaped = 0, False, False
    for letter in text:
        if inside:
            inside = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            inside = True
        elif letter in "[{":
            depth += 1
            if depth > NESTING_MAX:
                return True
        elif letter in "]}":
            depth -= 1
    return False


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("beyond a double")
    return number


def _int(text: str) -> int | float:
    if len(text) < 19:
        return int(text)
    number = int(text) if len(text) <= 21 else None
    # JSON knows no integers; what 64 bits do not hold is a double to every reader that is not Python.
    return number if number is not None and -(2**63) <= number < 2**64 else _float(text)


_JSON = json.JSONDecoder(parse_constant=_refuse, parse_float=_float, parse_int=_int)


def _reason(error: ValidationError) -> str:
    """Which reason a refused event has: its customer's fault before its time's before any other."""
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        faults.setdefault(str(fault["loc"][1]) if len(fault["loc"]) > 1 else "", fault["type"])
    if "customer_id" in faults:
        return "invalid_customer"
    if "event_time" in faults:
        reasons = {"missing": "missing_time", "greater_than_equal": "past", "less_than_equal": "future"}
        return reasons.get(faults["event_time"], "invalid_time")
    return "invalid"


def _hash(text: str) -> int:
    return int(xxh3_64_intdigest(text.encode()))


def _lines(said: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """What an event says of products: itself where it names one, else its items."""
    if said.get("product_id") is not None:
        return (said,)
    return said.get("items") or ()


def _named(kind: Kind, said: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of an event that name a product the customer is interested in."""
    if kind is Kind.PURCHASE:
        lines: Sequence[dict[str, Any]] = said["items"] or ()
    elif kind in PRODUCT_KINDS:
        lines = _lines(said)
    else:
        return []
    return [line for line in lines if line["product_id"] is not None]


def _products(kind: Kind, said: dict[str, Any]) -> tuple[int, ...]:
    return tuple(_hash(line["product_id"]) for line in _named(kind, said))


def _categories(kind: Kind, said: dict[str, Any]) -> tuple[int, ...]:
    found = [line.get("category") for line in _named(kind, said)]
    texts = [str(each) if type(each) is int else each for each in found]
    return tuple(_hash(text) for text in texts if isinstance(text, str) and 1 <= len(text) <= 100)


def _discount(said: dict[str, Any], digits: int) -> int:
    """What was taken off an order; 0 where nobody says so, or beyond all reason."""
    terms = (
        [(said, 1)] if _is_money(said.get("discount")) else [(line, _units(line)) for line in said.get("items") or ()]
    )
    known = [(float(line["discount"]), units) for line, units in terms if _is_money(line.get("discount"))]
    found = minor(known, digits)  # type: ignore[arg-type]
    return found if found <= MINOR_MAX else 0


def _is_money(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= 10**11  # type: ignore[operator]


def _operations(kind: Kind, said: dict[str, Any], digits: int) -> tuple[Operation, ...]:
    if kind not in SIGNS:
        return ()
    named = [line for line in _lines(said) if line["product_id"] is not None]
    if not named and kind is Kind.REMOVE_FROM_CART and not said["items"]:
        return (Operation(0, 0, 0),)
    return tuple(
        Operation(_hash(line["product_id"]), SIGNS[kind] * _units(line), minor([(line["price"], 1)], digits))
        for line in named
    )


def _units(line: dict[str, Any]) -> int:
    units: int | None = line.get("quantity")
    return 1 if units is None else units


def _amount(said: dict[str, Any], digits: int) -> int:
    for name in ("amount", "value"):
        if said.get(name) is not None:
            return minor([(abs(said[name]), 1)], digits)
    return minor([(line.get("price"), _units(line)) for line in said.get("items") or (said,)], digits)


def minor(terms: Sequence[tuple[float | None, int]], digits: int) -> int:
    """Sum of price x quantity in minor units, rounded once, half to even.

    >>> minor([(8.665, 1)], 2), minor([(1.005, 1)], 2), minor([(0.335, 3)], 2), minor([(None, 1)], 2)
    (866, 100, 100, 0)
    """
    total = Decimal(0)
    for price, quantity in terms:
        total = _EXACT.add(total, _EXACT.multiply(Decimal(repr(price or 0.0)), Decimal(quantity)))
    return int(_EXACT.quantize(_EXACT.scaleb(total, digits), Decimal(1)))

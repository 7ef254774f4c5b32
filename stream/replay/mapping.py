"""From a row of a file to one canonical event: which column is which field, and what a purchase row means.

A row that is a line of an order (order id, quantity, price) becomes `order_line`; a row that is an order becomes
`purchase` with its value; a refund's amount becomes positive. Everything else passes as it is. Nothing is judged here:
what cannot be an event is sent all the same, and a worker says why it is none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from schemas.folding import NAMES
from schemas.timestamps import from_text
from schemas.topics import CLICKSTREAM, PURCHASES
from stream.errors import WrongUsage

Row = Mapping[str, Any]

FIELDS: dict[str, tuple[str, ...]] = {
    "event_id": ("event_id", "messageId", "message_id"),
    "event_time": ("event_time", "timestamp"),
    "event_type": ("event_type", "event_name", "event"),
    "customer_id": ("customer_id", "user_id", "userId"),
    "session_id": ("session_id",),
    "product_id": ("product_id", "item_id", "sku"),
    "category": ("category",),
    "brand": ("brand",),
    "price": ("price",),
    "quantity": ("quantity",),
    "amount": ("amount",),
    "value": ("value", "revenue"),
    "order_id": ("order_id", "transaction_id"),
    "currency": ("currency",),
    "discount": ("discount",),
    "query": ("query", "search_term"),
}
"""Canonical fields, and the columns that are taken for them, first come first served."""

NEEDED = ("event_time", "event_type", "customer_id")
NUMBERS = ("price", "quantity", "amount", "value", "discount")
IDS = ("event_id", "customer_id", "session_id", "product_id", "order_id")
ORDERS = frozenset({"purchase", "order_line", "refund"})

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


class Outgoing(NamedTuple):
    """One record to be sent."""

    topic: str
    key: bytes | None
    value: bytes
    time_ms: int | None
    """Event time where the row has one that can be read; paces a replay."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a file holds each canonical field."""

    of: dict[str, str] = field(default_factory=dict)

    @classmethod
    def resolve(cls, names: Iterable[str], overrides: Mapping[str, str]) -> Columns:
        """Find the canonical fields among column names; an override wins. WrongUsage for one that cannot be meant."""
        there = list(names)
        for canonical, column in overrides.items():
            if canonical not in FIELDS:
                raise WrongUsage(f"--map {canonical}={column}: the fields are {', '.join(FIELDS)}")
            if column not in there:
                raise WrongUsage(f"--map {canonical}={column}: no such column; there are {', '.join(there)[:500]}")
        found = {
            canonical: next((alias for alias in aliases if alias in there), None)
            for canonical, aliases in FIELDS.items()
        }
        return cls({name: column for name, column in {**found, **overrides}.items() if column is not None})

    def require(self, file: str) -> Columns:
        """Return itself if it names what every event needs; WrongUsage says which --map is missing."""
        missing = [name for name in NEEDED if name not in self.of]
        if missing:
            maps = " ".join(f"--map {name}=COLUMN" for name in missing)
            raise WrongUsage(f"{file}: no column for {', '.join(missing)}", action=f"say which: {maps}")
        return self


def event(row: Row, mapped: Columns) -> dict[str, Any]:
    """Return the canonical event of a row; fields that are null or NaN are left out.

    >>> columns = Columns.resolve(["event_type", "customer_id", "order_id", "price", "quantity"], {})
    >>> event({"event_type": "purchase", "customer_id": "7", "order_id": "o", "price": 2.55, "quantity": 6.0}, columns)
    {'event_type': 'order_line', 'customer_id': '7', 'price': 2.55, 'quantity': 6, 'order_id': 'o'}
    """
    found = {name: plain(row.get(column)) for name, column in mapped.of.items()}
    fields = {name: value for name, value in found.items() if value is not None}
    for name in NUMBERS:
        if type(value := fields.get(name)) is str:
            fields[name] = number(value)
    for name in IDS:
        if type(value := fields.get(name)) is float and value.is_integer():
            fields[name] = int(value)
    if isinstance(quantity := fields.get("quantity"), float) and quantity.is_integer():
        fields["quantity"] = int(quantity)
    _set_time(fields)
    said = fields.get("event_type")
    kind = NAMES.get(said) if isinstance(said, str) else None
    if kind == "purchase":
        _set_purchase(fields)
    elif kind == "refund":
        _set_refund(fields)
    return fields


def outgoing(row: Row, mapped: Columns) -> Outgoing:
    """Return the record of a row."""
    fields = event(row, mapped)
    time_ms = fields.get("event_time")
    try:
        value = orjson.dumps(fields)
    except TypeError:  # text that is no UTF-8, or a number beyond JSON's: to be refused by a worker, not here
        value = repr(fields).encode("utf-8", "surrogateescape")
    return Outgoing(
        topic_of(fields.get("event_type")),
        key_of(fields.get("customer_id")),
        value,
        time_ms if type(time_ms) is int else None,
    )


def verbatim(line: bytes) -> Outgoing:
    """Return the record of a JSON line that is in no column form (GA4, Segment, or broken): its bytes, unchanged."""
    try:
        document = orjson.loads(line)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return Outgoing(CLICKSTREAM, None, line, None)
    customer = _first(document, "customer_id", "user_id", "userId")
    if customer is None and (device := _first(document, "client_id", "anonymousId")) is not None:
        customer = f"anon:{device}"
    fields = {"event_time": document.get("event_time") or document.get("timestamp")}
    _set_time(fields)
    if type(micros := document.get("timestamp_micros")) is int:
        fields["event_time"] = micros // 1_000
    time_ms = fields.get("event_time")
    name = _first(document, "event_type", "event_name", "event", "type")
    return Outgoing(topic_of(name), key_of(customer), line, time_ms if type(time_ms) is int else None)


def topic_of(name: object) -> str:
    """Return the input topic of an event name in any of the known vocabularies.

    >>> topic_of("Order Completed"), topic_of("page_view"), topic_of(None)
    ('purchases', 'clickstream', 'clickstream')
    """
    return PURCHASES if isinstance(name, str) and NAMES.get(name, name) in ORDERS else CLICKSTREAM


def key_of(customer: object) -> bytes | None:
    """Return the Kafka key of a customer id: its text in UTF-8, None where it is none."""
    if type(customer) is int or (isinstance(customer, str) and customer):
        return str(customer).encode("utf-8", "surrogateescape")
    return None


def plain(value: Any) -> Any:
    """Return a cell as JSON has it: None for null and NaN, text for dates, times as RFC 3339 if they have a zone."""
    kind = type(value)
    if kind is str:
        return value or None
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is int or value is None:
        return value
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else None
    return value.isoformat() if isinstance(value, datetime | date) else value


def number(value: Any) -> Any:
    """Return a number from a CSV's text; anything else, and text that is no number, as it is.

    >>> number("2.50"), number("3"), number("2,50")
    (2.5, 3, '2,50')
    """
    if not isinstance(value, str):
        return value
    if _INTEGER.fullmatch(value):
        return int(value)
    return float(value) if _DECIMAL.fullmatch(value) and math.isfinite(float(value)) else value


def _set_time(fields: dict[str, Any]) -> None:
    """Make event_time integer milliseconds; what cannot be read goes as `timestamp`, for a worker to refuse."""
    value = fields.get("event_time")
    if not isinstance(value, str):
        return
    when = int(value) if _INTEGER.fullmatch(value) else from_text(value)
    if isinstance(when, int):
        fields["event_time"] = when
    else:
        del fields["event_time"]
        fields["timestamp"] = value


def _set_purchase(fields: dict[str, Any]) -> None:
    """Decide whether a purchase row is a line of an order or a whole order, and what it is worth."""
    price, quantity, amount = fields.get("price"), fields.get("quantity"), fields.get("amount")
    if "value" in fields:
        return
    if "order_id" in fields and price is not None and quantity is not None:
        fields["event_type"] = "order_line"
        if isinstance(quantity, float):  # half a kilogram: units are whole, so only its money is said
            fields.setdefault("amount", times(price, quantity))
            del fields["price"], fields["quantity"]
        return
    if amount is not None:
        fields["value"] = amount
    elif price is not None:
        fields["value"] = times(price, 1 if quantity is None else quantity)
    for name in ("price", "quantity", "amount"):
        fields.pop(name, None)
    if (product := fields.pop("product_id", None)) is not None:
        item = {"product_id": product, "price": price, "quantity": quantity if isinstance(quantity, int) else None}
        item["category"] = fields.pop("category", None)
        fields["items"] = [{name: value for name, value in item.items() if value is not None}]


def _set_refund(fields: dict[str, Any]) -> None:
    """Make a refund's money positive: its amount, else its value, else price x quantity."""
    price, quantity = fields.pop("price", None), fields.pop("quantity", None)
    amount = fields.get("amount", fields.pop("value", None))
    if amount is None and price is not None:
        amount = times(price, 1 if quantity is None else quantity)
    if amount is not None:
        fields["amount"] = abs(amount) if isinstance(amount, int | float) else amount


def times(price: Any, quantity: Any) -> Any:
    """Multiply as decimals, so that 1.1 x 3 is 3.3; the price as it is where one of them is no number.

    >>> times(1.1, 3), times(2.5, 1)
    (3.3, 2.5)
    """
    if quantity == 1 or not isinstance(price, int | float) or not isinstance(quantity, int | float):
        return price
    return float(Decimal(repr(price)) * Decimal(repr(quantity)))


def _first(document: Row, *names: str) -> Any:
    return next((document[name] for name in names if document.get(name) is not None), None)

"""Folds the shapes that shops send (flat, GA4's `params`, Segment's `properties`) into one canonical event.

Folding selects and renames; it judges nothing but what it has to convert. `schemas.events` judges the result. A field
that is null is absent. An object with `event_type` is in canonical form already: only its identity, time and id may
go by other names, and nested `params` or `properties` are not read.
"""

from __future__ import annotations

from typing import Any

from schemas.dead_letter import Refusal
from schemas.events import KINDS
from schemas.fields import ITEMS_MAX, NAME_CHARS_MAX
from schemas.ga4 import GA4_NAMES
from schemas.segment_names import SEGMENT_CALLS, SEGMENT_NAMES
from schemas.timestamps import from_micros, from_text

Fields = dict[str, Any]

NAMES: dict[str, str] = {**{name: name for name in KINDS}, **GA4_NAMES, **SEGMENT_NAMES}
"""Every event name that counts, and its canonical type. All other names are activity."""

_PRODUCT = ("product_id", "price", "quantity")
_ORDER = ("order_id", "transaction_id", "currency")
_FIELDS: dict[str, tuple[str, ...]] = {
    "activity": ("name",),
    "view_item": ("product_id", "category", "items"),
    "add_to_wishlist": ("product_id", "category", "items"),
    "add_to_cart": (*_PRODUCT, "currency", "category", "items"),
    "remove_from_cart": (*_PRODUCT, "currency", "category", "items"),
    "purchase": (*_ORDER, "value", "discount", "items"),
    "order_line": (*_ORDER, *_PRODUCT, "amount", "category", "discount"),
    "refund": (*_ORDER, "amount", "value", "price", "quantity", "items"),
}
_ONE_PRODUCT = frozenset({"view_item", "add_to_wishlist", "add_to_cart", "remove_from_cart"})


def fold(document: Fields, *, unknown_is_activity: bool) -> Fields | Refusal:
    """Return the canonical event that a record says, not yet validated; without `event_id` where it has none.

    >>> fold({"event": "Product Viewed", "userId": 7, "messageId": "m", "timestamp": "2025-10-09T08:53:20Z",
    ...       "properties": {"sku": "G-32"}}, unknown_is_activity=True)
    {'event_type': 'view_item', 'customer_id': 7, 'event_id': 'm', 'event_time': 1760000000000, 'product_id': 'G-32'}
    """
    canonical = document.get("event_type") is not None
    if not canonical and (type(document.get("events")) is list or type(document.get("batch")) is list):
        return Refusal("envelope", "several events in one record")
    name = _name(document)
    if isinstance(name, Refusal):
        return name
    event = _common(document)
    if isinstance(event, Refusal):
        return event
    kind = NAMES.get(name)
    if kind is None:
        if unknown_is_activity:
            return {"event_type": "activity", **event, "name": name}
        return Refusal("unknown_event", "the name is not one of the known events")
    details = _details(kind, document, canonical)
    return details if isinstance(details, Refusal) else {"event_type": kind, **event, **details}


def _name(document: Fields) -> str | Refusal:
    """Read what the record calls its event; calls of Segment that have no name go by their type."""
    for field in ("event_type", "event_name", "event"):
        value = document.get(field)
        if value is None:
            continue
        if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARS_MAX:
            return Refusal("invalid", f"{field} is not text of 1 to {NAME_CHARS_MAX} characters")
        return value
    value = document.get("type")
    if isinstance(value, str) and 0 < len(value) <= NAME_CHARS_MAX:
        return SEGMENT_CALLS.get(value, value)
    return Refusal("missing_event_type", "no event_type, event_name, event or type")


def _common(document: Fields) -> Fields | Refusal:
    """Read what every event says: customer, event id and time."""
    event: Fields = {}
    customer = _first(document, "customer_id", "user_id", "userId")
    if customer is None:
        customer = _first(document, "client_id", "anonymousId")
        if type(customer) is int or (isinstance(customer, str) and customer):
            customer = f"anon:{customer}"
    if customer is None:
        return Refusal("missing_customer", "no customer_id, user_id, userId, client_id or anonymousId")
    event["customer_id"] = customer
    event_id = _first(document, "event_id", "messageId")
    if event_id is not None:
        event["event_id"] = event_id
    time_ms = document.get("event_time")
    if time_ms is None and (micros := document.get("timestamp_micros")) is not None:
        time_ms = from_micros(micros)
    elif time_ms is None and (text := document.get("timestamp")) is not None:
        time_ms = from_text(text)
    if isinstance(time_ms, Refusal):
        return time_ms
    if time_ms is not None:
        event["event_time"] = time_ms
    return event


def _details(kind: str, document: Fields, canonical: bool) -> Fields | Refusal:
    """Read the fields that events of this kind have; only those of other shapes go by other names."""
    properties = document
    nested = None if canonical else _first(document, "params", "properties")
    if nested is not None:
        if not isinstance(nested, dict):
            return Refusal("invalid", "params or properties is not an object")
        properties = nested
    details = {field: value for field in _FIELDS.get(kind, ()) if (value := properties.get(field)) is not None}
    if not canonical:
        _rename(kind, properties, details)
    _fold_items(kind, details)
    return details


def _rename(kind: str, properties: Fields, details: Fields) -> None:
    """Read what GA4 and Segment call an amount, a product and a list of products."""
    fields = _FIELDS.get(kind, ())
    if "value" in fields:
        value = _first(properties, "revenue", "total", "value")
        if value is not None:
            details["value"] = value
    if "product_id" in fields and "product_id" not in details:
        product = _first(properties, "item_id", "sku")
        if product is not None:
            details["product_id"] = product
    if "items" in fields and "items" not in details and properties.get("products") is not None:
        details["items"] = properties["products"]


def _fold_items(kind: str, details: Fields) -> None:
    """Rename what items say; an event of one product is that product."""
    if kind in _ONE_PRODUCT and "product_id" in details:
        details.pop("items", None)
        return
    items = details.get("items")
    if not isinstance(items, list) or len(items) > ITEMS_MAX:
        return
    folded = [_item(item) for item in items]
    details["items"] = folded
    if kind in _ONE_PRODUCT and len(folded) == 1 and isinstance(folded[0], dict) and "product_id" in folded[0]:
        del details["items"]
        fields = _FIELDS[kind]
        details.update({field: value for field, value in folded[0].items() if field in fields})


def _item(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    product = _first(item, "product_id", "item_id", "sku", "item_name")
    found = {
        "product_id": product,
        "price": item.get("price"),
        "quantity": item.get("quantity"),
        "category": _first(item, "category", "item_category"),
        "discount": item.get("discount"),
    }
    return {field: value for field, value in found.items() if value is not None}


def _first(fields: Fields, *names: str) -> Any:
    for name in names:
        value = fields.get(name)
        if value is not None:
            return value
    return None

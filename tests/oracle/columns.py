"""What a customer's durable row must hold, by column name, computed from all events that counted.

Only the representation is looked up in the documents: decayed sums are kept relative to a landmark (decision 0001), the
half hours of the last seven days as bits that end at the latest event, products as 64 bits.
"""

from __future__ import annotations

import math
from collections import Counter

from schemas.kinds import Kind
from tests.oracle.shop import (
    CART_KEPT,
    COUNTED,
    DAY,
    HALF_HOUR,
    LATE,
    MINUTE,
    MONEY_KINDS,
    ORDER_KINDS,
    Customer,
    bucket_of,
)
from tests.oracle.shop import YEAR_1990 as EPOCH

LANDMARK_DAYS = 1260
RING_SLOTS = 336
EXACT = 0.0
"""The bound of a column that is a whole number."""

Expected = dict[str, tuple[float, float]]
"""Column name -> (value, sum of the absolute terms that rounding is measured by; EXACT for whole numbers)."""


def columns(customer: Customer) -> Expected:
    """Every column that events alone decide."""
    whole = {**_counts(customer), **_bits(customer), **_cart(customer)}
    return {**{name: (value, EXACT) for name, value in whole.items()}, **_decayed(customer)}


def recent(ids: list[tuple[int, int]], oldest_minute: int = 0) -> list[int]:
    """Recent ids as rows pack them, newest first: minutes since 1990 over 39 bits of hash."""
    return sorted((minute << 39 | low for minute, low in ids if minute >= oldest_minute), reverse=True)


def forgotten_minute(oldest_watermark_ms: int, window_days: int) -> int:
    """Ids older than this minute may be gone: no event in time can repeat them any more."""
    return (oldest_watermark_ms - LATE - EPOCH) // MINUTE - window_days * 24 * 60 - 1


def _counts(customer: Customer) -> dict[str, int]:
    events = customer.events
    return {
        "first_seen": customer.first_seen,
        "last_seen": customer.last_seen,
        "first_order_at": customer.first_order_at,
        "last_order_at": customer.last_order_at,
        "events": len(events),
        "duplicates": customer.duplicates,
        "late": customer.late,
        "custom": sum(e.kind is Kind.ACTIVITY for e in events),
        "orders": sum(e.opens_order for e in events),
        "spend_minor": sum(e.amount for e in events if e.kind in ORDER_KINDS),
        "discount_minor": sum(e.discount for e in events if e.kind in ORDER_KINDS),
        "night_weekend": sum(e.night for e in events) + 2**26 * sum(e.weekend for e in events),
        "refunds_minor": sum(e.amount for e in events if e.kind is Kind.REFUND),
        "next_clickstream": customer.next_offset[0],
        "next_purchases": customer.next_offset[1],
    }


def _bits(customer: Customer) -> dict[str, int]:
    last = customer.last_seen // HALF_HOUR
    ages = {last - e.time // HALF_HOUR for e in customer.events if e.kind not in MONEY_KINDS}
    ring = sum(1 << age for age in ages if age < RING_SLOTS)
    words = {f"ring{word}": ring >> (64 * word) & (2**64 - 1) for word in range(6)}
    products = {product >> 58 for e in customer.events for product in e.products}
    labels: dict[int, int] = {}
    for category in (category for e in customer.events for category in e.categories):
        bucket, signature = bucket_of(category), 1 + category % 2**32 % 1023
        labels[bucket] = max(signature, labels.get(bucket, 0))
    said = sum(signature << 10 * bucket for bucket, signature in labels.items())
    return {**words, "products": sum(1 << bit for bit in products), "category_labels": said}


def _cart(customer: Customer) -> dict[str, int]:
    cart = customer.cart()
    cleared, floor = customer.cart_floor()
    operations = customer.cart_operations()
    kept, pushed_out = operations[-CART_KEPT:], operations[:-CART_KEPT]
    # A clear is remembered as long as nothing later stands above it: it may still empty what arrives late.
    counting = [cleared] * (cleared == floor and cleared > _base(customer)) + [time for time, *_ in kept]
    counting += [pushed_out[-1][0]] if pushed_out else []
    watch = min(counting, default=0)
    return {
        "cart_value_minor": cart.value,
        "cart_items": cart.items,
        "cart_added_at": cart.oldest_add,
        "cart_watch": -watch if cart.truncated else watch,
        "cart_touched_at": kept[-1][0] if kept else 0,
        "cart_opened_at": _opened(kept),
    }


def _opened(operations: list[tuple[int, int, int, int, int]]) -> int:
    """Since when there has been something in the cart; 0 where there is nothing."""
    units: Counter[int] = Counter()
    opened = 0
    for time, _, product, quantity, _ in operations:
        units[product] += quantity
        if not any(count > 0 for count in units.values()):
            opened = 0
        elif not opened:
            opened = time
    return opened


def _base(customer: Customer) -> int:
    return max(customer.last_order_at, customer.last_seen - 30 * DAY)


def _decayed(customer: Customer) -> Expected:
    landmark = round(customer.last_seen / (LANDMARK_DAYS * DAY)) * LANDMARK_DAYS * DAY
    found: Expected = {}
    for name, kind in COUNTED.items():
        times = [(e.time, 1.0) for e in customer.events if e.kind is kind]
        for days in (1, 7, 30):
            found[f"{name}_hl{days}d"] = _sum(times, landmark, days)
    orders = [(e.time, 1.0) for e in customer.events if e.opens_order]
    money = [(e.time, float(-e.amount if e.kind is Kind.REFUND else e.amount)) for e in customer.events if e.amount]
    for days in (7, 30, 180):
        found[f"orders_hl{days}d"] = _sum(orders, landmark, days)
        found[f"spend_hl{days}d"] = _sum(money, landmark, days)
    for bucket in range(6):
        seen = [(e.time, 1.0) for e in customer.events for c in e.categories if bucket_of(c) == bucket]
        found[f"category{bucket}_hl30d"] = _sum(seen, landmark, 30)
    return found


def _sum(amounts: list[tuple[int, float]], landmark: int, half_life_days: int) -> tuple[float, float]:
    terms = [amount * 2.0 ** ((time - landmark) / (half_life_days * DAY)) for time, amount in amounts]
    return math.fsum(terms), math.fsum(map(abs, terms)) or 1.0

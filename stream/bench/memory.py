"""Memory a customer: the slope of a worker's resident memory between half a million and 1.1 million customers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import orjson

from schemas.topics import CLICKSTREAM
from stream.bench.lab import Load, lab
from stream.shoppers.config import DEFAULT_START_MS

FEW, MANY = 500_000, 1_100_000
EVENTS_EACH = 3
SPAN_MS = 10 * 86_400_000
"""The events are spread over ten days, so most customers have been silent for a day: as in a shop."""
SETTLE_S = 3.0


def measure(broker: str) -> Iterator[dict[str, Any]]:
    """Send each customer's events in two steps and read the worker's memory after each."""
    with lab(broker) as here, here.worker("--clock", "event") as worker:
        sizes = []
        for first, last in ((0, FEW), (FEW, MANY)):
            given = visitors(first, last)
            here.wait(here.preload(given))
            del given
            time.sleep(SETTLE_S)
            sizes.append(worker.resident_bytes())
        cpu_s = worker.cpu_s()
    yield {
        "stage": "memory",
        "events": MANY * EVENTS_EACH,
        "cpu_us_per_event": round(cpu_s / (MANY * EVENTS_EACH) * 1e6, 2),
        "customers": MANY,
        "resident_mb": [round(size / 1e6) for size in sizes],
        "bytes_per_customer": round((sizes[1] - sizes[0]) / (MANY - FEW)),
    }


def visitors(first: int, last: int, *, each: int = EVENTS_EACH) -> Load:
    """Make the first `each` of each customer's three events: a view, a search, an add to the cart by one in ten."""
    made = Load()
    count = last - first
    for number in range(first, last):
        customer = f"customer-{number:07d}"
        key = customer.encode()
        start_ms = DEFAULT_START_MS + int(number / MANY * SPAN_MS)
        for step in range(each):
            kind = "view_item" if step == 0 else "search" if step == 1 or number % 10 else "add_to_cart"
            event = {
                "event_id": f"{customer}-{step}",
                "event_type": kind,
                "customer_id": customer,
                "event_time": start_ms + step * 60_000,
                "product_id": f"p{(number * 7 + step) % 5000}",
                "price": 19.99,
                "quantity": 1,
            }
            made.add(CLICKSTREAM, key, orjson.dumps(event))
    assert made.count == count * each
    return made

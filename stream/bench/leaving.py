"""Sweeps and carts under live load: latency with and without the sweep, 200,000 carts that fall due in one minute."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import orjson
from kafka import KafkaConsumer, TopicPartition

from schemas.topics import CART_TRIGGERS, CLICKSTREAM
from stream.bench.lab import PARTITIONS, Lab, Load, lab, shop
from stream.bench.live import readings

RATE_PER_S = 2_000
CUSTOMERS = 20_000
WARM_UP_S, SECONDS = 6, 10
CARTS = 200_000
MINUTE_MS = 60_000
LEAD_MS = 45_000
"""Time to start a worker that has all carts before the first of them is due."""
NEVER_S = "60"
"""The longest period: within a measurement there is no sweep."""


def latency(broker: str) -> Iterator[dict[str, Any]]:
    """Alternate workers that sweep each second with workers that do not, under the same load."""
    found: dict[str, list[float]] = {"1": [], NEVER_S: []}
    spent: dict[str, list[float]] = {"1": [], NEVER_S: []}
    with lab(broker) as here:
        here.preload(shop(100_000, CUSTOMERS))
        for sweep_s in ("1", NEVER_S, "1", NEVER_S):
            environment = {"LIVESEGMENT_METRICS_INTERVAL_S": "1", "LIVESEGMENT_SWEEP_S": sweep_s}
            with here.worker(**environment) as worker, _feeding(here):
                time.sleep(WARM_UP_S)
                began_ms, cpu_s = time.time() * 1000, worker.cpu_s()
                time.sleep(SECONDS)
                cpu_s = worker.cpu_s() - cpu_s
                said = readings(here, began_ms, time.time() * 1000)
            found[sweep_s] += said["event_to_redis_p99_ms"]
            spent[sweep_s].append(cpu_s / sum(said["events_per_s"]) * 1e6)
    with_s, without_s = (round(statistics.median(found[sweep_s]), 2) for sweep_s in ("1", NEVER_S))
    with_us, without_us = (round(statistics.mean(spent[sweep_s]), 1) for sweep_s in ("1", NEVER_S))
    yield {
        "stage": "sweep_latency",
        "events": RATE_PER_S * SECONDS * 4,
        "events_per_s": RATE_PER_S,
        "event_to_redis_p99_ms_with_sweep": with_s,
        "event_to_redis_p99_ms_without": without_s,
        "ratio": round(with_s / without_s, 3),
        "cpu_us_per_event_with_sweep": with_us,
        "cpu_us_per_event_without": without_us,
        "cpu_ratio": round(with_us / without_us, 3),
    }


def storm(broker: str) -> Iterator[dict[str, Any]]:
    """Fill 200,000 carts that fall due in the same minute, on the system's clock, while others go on shopping."""
    with lab(broker) as here:
        delay_s, due_from_ms = 60, int(time.time() * 1000) + LEAD_MS
        carts = _carts(due_from_ms - delay_s * 1000)
        environment = {
            "LIVESEGMENT_METRICS_INTERVAL_S": "1",
            "LIVESEGMENT_CART_REMINDERS_S": str(delay_s),
            "LIVESEGMENT_CART_GRACE_S": "0",
        }
        with here.worker(**environment) as worker:
            here.wait(here.preload(carts))
            with _feeding(here, 150):
                time.sleep(max(0.0, due_from_ms / 1000 - time.time() - 10))
                before = _rates(here, time.time() * 1000 - 1, 9)
                cpu_s = worker.cpu_s()
                during = _rates(here, due_from_ms, 60)
                cpu_s = worker.cpu_s() - cpu_s
                time.sleep(4)
        triggers, in_order = _triggered(here, due_from_ms)
    yield {
        "stage": "carts",
        "events": CARTS,
        "carts": CARTS,
        "triggered": triggers,
        "in_order_of_due_time": in_order,
        "events_per_s_before": round(before),
        "events_per_s_during": round(during),
        "core_share_during": round(cpu_s / 60, 3),
    }


def _rates(here: Lab, since_ms: float, seconds: int) -> float:
    """Events a second that the worker says it applied in the time from `since_ms` on; waits for it."""
    time.sleep(max(0.0, since_ms / 1000 + seconds - time.time()))
    found = readings(here, since_ms, since_ms + seconds * 1000)["events_per_s"]
    return sum(found) / max(1, len(found))


@contextlib.contextmanager
def _feeding(here: Lab, seconds: int = WARM_UP_S + SECONDS + 3) -> Iterator[None]:
    """Let shoppers shop at the rate, from a process of their own."""
    command = [sys.executable, "-m", "stream.bench.feed", here.settings.kafka, str(RATE_PER_S), str(CUSTOMERS)]
    process = subprocess.Popen([*command, str(seconds)], env=here.environment)  # noqa: S603 (ours)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _carts(first_ms: int) -> Load:
    """One add to the cart by each customer, spread over a minute from `first_ms` on."""
    made = Load()
    for number in range(CARTS):
        customer = f"cart-{number:06d}"
        event = {
            "event_id": customer,
            "event_type": "add_to_cart",
            "customer_id": customer,
            "event_time": first_ms + number * 7_919 % MINUTE_MS,
            "product_id": f"p{number % 5000}",
            "price": 19.99,
            "quantity": 1,
        }
        made.add(CLICKSTREAM, customer.encode(), orjson.dumps(event))
    return made


def _triggered(here: Lab, due_from_ms: int) -> tuple[int, bool]:
    """How many of the carts were triggered, once each, and whether in order of due time in each partition."""
    consumer = KafkaConsumer(bootstrap_servers=here.settings.kafka, enable_auto_commit=False)
    places = [TopicPartition(CART_TRIGGERS, number) for number in range(PARTITIONS)]
    consumer.assign(places)
    consumer.seek_to_beginning()
    seen: set[str] = set()
    last = dict.fromkeys(places, 0)
    in_order = True
    while fetched := consumer.poll(timeout_ms=2_000, max_records=50_000):
        for place, records in fetched.items():
            for record in records:
                trigger = json.loads(record.value)
                if due_from_ms <= trigger["due"] < due_from_ms + MINUTE_MS and trigger["customer_id"][:5] == "cart-":
                    in_order &= trigger["due"] >= last[place]
                    last[place] = trigger["due"]
                    seen.add(trigger["customer_id"])
    consumer.close()
    return len(seen), in_order

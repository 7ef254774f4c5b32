"""Sweeps and carts under live load: latency with and without the sweep, 200,000 carts that fall due in one minute."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

import orjson
from kafka import KafkaConsumer, TopicPartition

from schemas.topics import CART_TRIGGERS, CLICKSTREAM
from stream.bench.lab import PARTITIONS, Lab, Load, acquainted, lab
from stream.bench.live import readings

RATE_PER_S = 2_000
CUSTOMERS = 20_000
"""Who shop."""
KNOWN = 200_000
"""Whom the job knows while latency is measured: those who shop among them."""
ROUNDS = 6
WARM_UP_S, SECONDS = 10, 15
CARTS = 200_000
MINUTE_MS = 60_000
LEAD_MS = 45_000
"""Time to start a worker that has all carts before the first of them is due."""
NEVER_S = "60"
"""The longest period: within a measurement there is no sweep."""


def latency(broker: str) -> Iterator[dict[str, Any]]:
    """Alternate workers that sweep each second with workers that do not, under the same load.

    A line for each round, and one for all of them.
    """
    rounds: list[dict[str, dict[str, float]]] = []
    with lab(broker) as here:
        with here.worker():
            here.wait(here.preload(acquainted(2 * KNOWN, KNOWN)))
        for number in range(ROUNDS):
            # Whoever comes second finds the machine as the first left it, so they take turns.
            turns = ("1", NEVER_S) if number % 2 == 0 else (NEVER_S, "1")
            rounds.append({sweep_s: _round(here, sweep_s, 2 * number + at) for at, sweep_s in enumerate(turns, 10)})
            yield {"stage": "sweep_latency/round", "events": RATE_PER_S * SECONDS * 2, **_compared(rounds[-1:])}
    yield {
        "stage": "sweep_latency",
        "events": RATE_PER_S * SECONDS * 2 * ROUNDS,
        "events_per_s": round(statistics.mean(one["events_per_s"] for each in rounds for one in each.values())),
        "customers": KNOWN,
        "rounds": ROUNDS,
        **_compared(rounds),
        **_spread(rounds),
    }


def _round(here: Lab, sweep_s: str, seed: int) -> dict[str, float]:
    """Let one worker run under a load of its own: its p99, ms, CPU, us an event, and events a second."""
    with (
        here.worker(LIVESEGMENT_METRICS_INTERVAL_S="1", LIVESEGMENT_SWEEP_S=sweep_s) as worker,
        here.feeding(RATE_PER_S, CUSTOMERS, WARM_UP_S + SECONDS + 5, seed),
    ):
        time.sleep(WARM_UP_S)
        began, began_ms, cpu_s = time.monotonic(), time.time() * 1000, worker.cpu_s()
        time.sleep(SECONDS)
        cpu_s, elapsed_s = worker.cpu_s() - cpu_s, time.monotonic() - began
        said = readings(here, began_ms, time.time() * 1000)
    events_per_s = statistics.mean(said["events_per_s"])
    return {
        "event_to_redis_p99_ms": statistics.median(said["event_to_redis_p99_ms"]),
        "cpu_us_per_event": cpu_s / (events_per_s * elapsed_s) * 1e6,
        "events_per_s": events_per_s,
    }


def _compared(rounds: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    """Medians over rounds, with the sweep and without, and their ratio."""
    found: dict[str, float] = {}
    for name, ratio in (("event_to_redis_p99_ms", "ratio"), ("cpu_us_per_event", "cpu_ratio")):
        with_it, without = (statistics.median(each[sweep_s][name] for each in rounds) for sweep_s in ("1", NEVER_S))
        found[f"{name}_with_sweep"], found[f"{name}_without"] = round(with_it, 1), round(without, 1)
        found[ratio] = round(with_it / without, 3)
    return found


def _spread(rounds: list[dict[str, dict[str, float]]]) -> dict[str, list[float]]:
    """Least and most of the rounds' p99, and of the ratios within a round."""
    found: dict[str, list[float]] = {}
    for sweep_s, words in (("1", "with_sweep"), (NEVER_S, "without")):
        values = [each[sweep_s]["event_to_redis_p99_ms"] for each in rounds]
        found[f"event_to_redis_p99_ms_{words}_spread"] = [round(min(values), 1), round(max(values), 1)]
    ratios = [_compared([each])["ratio"] for each in rounds]
    return {**found, "ratio_spread": [min(ratios), max(ratios)]}


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
            with here.feeding(RATE_PER_S, CUSTOMERS, 150):
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

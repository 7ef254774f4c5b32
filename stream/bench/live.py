"""Live load: 10,000 events a second for half a minute; what share of a core, how old events are when Redis has them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from schemas.topics import SEGMENT_METRICS
from stream.bench.lab import Lab, lab, shop

RATE_PER_S = 10_000
SECONDS = 30
WARM_UP_S = 10
"""Before the measurement, at the rate."""
CUSTOMERS = 20_000


def measure(broker: str) -> Iterator[dict[str, Any]]:
    """Send at the rate from another process and watch the worker, which has met its customers before."""
    with lab(broker) as here:
        ends = here.preload(shop(200_000, CUSTOMERS))
        with here.worker(LIVESEGMENT_METRICS_INTERVAL_S="1") as worker:
            here.wait(ends)
            command = [sys.executable, "-m", "stream.bench.feed", here.settings.kafka, str(RATE_PER_S), str(CUSTOMERS)]
            feeding = subprocess.Popen([*command, str(WARM_UP_S + SECONDS + 5)], env=here.environment)  # noqa: S603 (ours)
            try:
                time.sleep(WARM_UP_S)
                began_ms, cpu_s, began = time.time() * 1000, worker.cpu_s(), time.monotonic()
                time.sleep(SECONDS)
                elapsed_s = time.monotonic() - began
                share = (worker.cpu_s() - cpu_s) / elapsed_s
                ended_ms = time.time() * 1000
            finally:
                feeding.wait(60)
            time.sleep(1.5)
        found = readings(here, began_ms, ended_ms)
    events = sum(found["events_per_s"])
    yield {
        "stage": "live",
        "broker": broker,
        "events": round(events),
        "events_per_s": round(events / max(1, len(found["events_per_s"]))),
        "cpu_us_per_event": round(share * SECONDS / events * 1e6, 2),
        "core_share": round(share, 3),
        "event_to_redis_p50_ms": round(statistics.median(found["event_to_redis_p50_ms"]), 1),
        "event_to_redis_p99_ms": round(statistics.median(found["event_to_redis_p99_ms"]), 1),
        "event_to_redis_p99_ms_worst_second": round(max(found["event_to_redis_p99_ms"]), 1),
    }


def readings(here: Lab, since_ms: float, until_ms: float) -> dict[str, list[float]]:
    """Return the worker's own metrics of that time, a list a name."""
    consumer = KafkaConsumer(bootstrap_servers=here.settings.kafka, enable_auto_commit=False)
    source = TopicPartition(SEGMENT_METRICS, 0)
    consumer.assign([source])
    consumer.seek_to_beginning(source)
    found: dict[str, list[float]] = {}
    while fetched := consumer.poll(timeout_ms=1000):
        for record in fetched[source]:
            metric = json.loads(record.value)
            if since_ms <= metric["at"] <= until_ms:
                found.setdefault(metric["name"], []).append(metric["value"])
    consumer.close()
    return found

"""How long a failure lasts: a killed worker, a wiped Redis, a start with a million customers; and that nothing is lost.

On Apache Kafka only: another broker has another idea of when a worker is dead.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis
from kafka import KafkaConsumer, TopicPartition

from models.batch import SOURCES
from schemas.redis_keys import partition_key, segment_key
from stream.bench.lab import PARTITIONS, Ends, Lab, lab
from stream.bench.memory import visitors
from stream.changelog_reader import read_state

CUSTOMERS = 100_000
MANY = 1_000_000
STEP = 250_000
"""Customers made at a time; all at once would take gigabytes."""
RATE_PER_S = 2_000
SHOPPERS = 20_000
FEED_S = 75
SETTLED_S = 5.0
"""Of steady work before anything fails."""
LIMIT_S = 120.0
QUICK_COMMITS = {"LIVESEGMENT_COMMIT_INTERVAL_S": "0.5"}
"""By its commits a worker is seen to consume."""


def measure(broker: str) -> Iterator[dict[str, Any]]:
    """Kill and wipe under a steady load with 100,000 customers, then recover a million."""
    if broker != "kafka":
        yield {"stage": "rto", "skipped": "measured on Apache Kafka: --broker kafka"}
        return
    with lab(broker) as here:
        yield from failures(here)
    with lab(broker) as here:
        yield recovery(here)


def failures(here: Lab) -> Iterator[dict[str, Any]]:
    """Two workers under load: kill one, then wipe Redis, then compare what is there with what was sent."""
    here.preload(visitors(0, CUSTOMERS, each=1))
    with (
        here.worker("--clock", "event", **QUICK_COMMITS) as killed,
        here.worker("--clock", "event", **QUICK_COMMITS),
        offsets(here) as (ends, committed),
        redis.Redis.from_url(here.settings.redis_url) as store,
    ):
        here.wait(ends())
        with feeding(here, ends):
            time.sleep(SETTLED_S)
            at_kill = ends()
            killed.popen.kill()
            kill_s = seconds_until(lambda: all(committed()[place] >= end for place, end in at_kill.items()))
            time.sleep(SETTLED_S)
            before = sum(committed().values())
            store.flushall()
            wipe_s = seconds_until(lambda: is_complete(store))
            consumed = sum(committed().values()) - before
        here.wait(ends())
        events = sum(ends().values())
        lost, missing = compared(here, events, store)
    common = {"stage": "rto", "broker": "kafka", "customers": CUSTOMERS + SHOPPERS, "events_per_s": RATE_PER_S}
    timeout_s = float(here.environment["LIVESEGMENT_SESSION_TIMEOUT_S"])
    yield common | {"failure": "worker killed", "seconds": round(kill_s, 1), "session_timeout_s": timeout_s}
    yield common | {"failure": "Redis wiped", "seconds": round(wipe_s, 1), "events_meanwhile": consumed}
    yield common | {"failure": "both", "events": events, "lost": lost, "missing_in_redis": missing}


def recovery(here: Lab) -> dict[str, Any]:
    """Start a worker on the state of a million customers; from its start until it consumes."""
    # On the wall's clock, as in production: ten days in as many seconds would write everybody's row day after day.
    with here.worker():
        for first in range(0, MANY, STEP):
            here.wait(here.preload(visitors(first, first + STEP, each=1)))
    began = time.monotonic()
    with here.worker():
        seconds = time.monotonic() - began
    found = sum(len(partition.table) for partition in read_state(here.settings).partitions)
    return {"stage": "rto", "broker": "kafka", "failure": "start", "customers": found, "seconds": round(seconds, 1)}


@contextlib.contextmanager
def feeding(here: Lab, ends: Callable[[], Ends]) -> Iterator[None]:
    """Send at a steady rate from another process; on entry it sends, on exit all is sent."""
    before = sum(ends().values())
    words = [here.settings.kafka, str(RATE_PER_S), str(SHOPPERS), str(FEED_S)]
    feed = subprocess.Popen([sys.executable, "-m", "stream.bench.feed", *words], env=here.environment)  # noqa: S603 (ours)
    try:
        seconds_until(lambda: sum(ends().values()) > before)
        yield
        feed.wait(FEED_S + LIMIT_S)
    finally:
        feed.kill()
        feed.wait()


@contextlib.contextmanager
def offsets(here: Lab) -> Iterator[tuple[Callable[[], Ends], Callable[[], Ends]]]:
    """Two functions: the ends of the source partitions, and what the job has committed of them."""
    places = [TopicPartition(topic, number) for topic in SOURCES for number in range(PARTITIONS)]
    consumer = KafkaConsumer(
        bootstrap_servers=here.settings.kafka, group_id=here.settings.app_id, enable_auto_commit=False
    )

    def ends() -> Ends:
        return {(at.topic, at.partition): end for at, end in consumer.end_offsets(places).items()}

    def committed() -> Ends:
        return {(at.topic, at.partition): consumer.committed(at) or 0 for at in places}

    try:
        yield ends, committed
    finally:
        consumer.close()


def seconds_until(true: Callable[[], bool]) -> float:
    """Seconds until it holds. Raises RuntimeError after LIMIT_S."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > LIMIT_S:
            raise RuntimeError(f"not seen within {LIMIT_S:.0f} s; are the workers' logs telling why?")
        time.sleep(0.05)
    return time.monotonic() - began


def is_complete(store: redis.Redis) -> bool:
    """Whether every partition says that all its records are in Redis."""
    return all(store.hget(partition_key(number), "complete") for number in range(PARTITIONS))


def compared(here: Lab, events: int, store: redis.Redis) -> tuple[int, int]:
    """Return how many of so many records ended as nothing, and how many customers have no record in Redis."""
    counted = missing = 0
    for partition in read_state(here.settings).partitions:
        counted += partition.total("events") + partition.total("duplicates")
        counted += sum(position.letters for position in partition.meta.topics.values())
        pipeline = store.pipeline(transaction=False)
        for customer in partition.table.ids:
            pipeline.exists(segment_key(customer))
        missing += sum(not found for found in pipeline.execute())
    return events - counted, missing

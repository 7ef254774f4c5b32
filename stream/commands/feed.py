"""What the live view shows, gathered from the job's own topics: segment-metrics and segment-changes.

Read without a consumer group, from the beginning: nothing is committed, nobody is disturbed.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.topics import SEGMENT_CHANGES, SEGMENT_METRICS
from stream.clients import kafka_errors
from stream.security import kafka_options
from stream.settings import Settings

CHANGES_SHOWN = 8
BOOTSTRAP_MS = 5000
STALE_S = 20.0
"""A figure not renewed for so long belongs to a worker or a partition that is gone."""

EVENTS_PER_S = "events_per_s"
LAG = "lag_records"
LATENCY_P50 = "event_to_redis_p50_ms"
LATENCY_P99 = "event_to_redis_p99_ms"
CUSTOMERS = "customers"
SEGMENT_SIZE = "segment_customers"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Share:
    """One segment at this moment."""

    id: int
    name: str
    size: int
    share: float
    """Of all customers, 0 to 1."""


@dataclass(slots=True)
class Picture:
    """One moment of the job; None where nothing has been said yet."""

    events_per_s: float | None = None
    lag: float | None = None
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    customers: int = 0
    changes: int = 0
    segments: list[Share] = field(default_factory=list)
    latest: list[dict[str, Any]] = field(default_factory=list)
    """The newest changes, newest first, as their topic says them."""


class Figures:
    """The last value of each figure of each partition, and what they are together."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, Labels], tuple[float, float]] = {}

    def take(self, metric: dict[str, Any], now_s: float) -> None:
        """Take in one value of segment-metrics."""
        labels = tuple(sorted((str(name), str(value)) for name, value in (metric.get("labels") or {}).items()))
        self._last[metric["name"], labels] = (float(metric["value"]), now_s)

    def drop_stale(self, now_s: float) -> None:
        """Forget what nobody renews."""
        self._last = {key: (value, at) for key, (value, at) in self._last.items() if now_s - at < STALE_S}

    def total(self, name: str) -> float | None:
        """Return the sum over partitions, None without any."""
        values = self._values(name)
        return sum(values) if values else None

    def worst(self, name: str) -> float | None:
        """Return the highest of the partitions, None without any."""
        return max(self._values(name), default=None)

    def segments(self) -> list[Share]:
        """Return the segments, largest first, summed over partitions."""
        sizes: dict[tuple[int, str], int] = {}
        for (name, labels), (value, _) in self._last.items():
            if name == SEGMENT_SIZE:
                said = dict(labels)
                key = int(said.get("segment", -1)), said.get("name", "")
                sizes[key] = sizes.get(key, 0) + int(value)
        everybody = sum(sizes.values()) or 1
        shares = [Share(number, name, size, size / everybody) for (number, name), size in sizes.items() if size]
        return sorted(shares, key=lambda share: (-share.size, share.id))

    def _values(self, name: str) -> list[float]:
        return [value for (other, _), (value, _) in self._last.items() if other == name]


class Feed:
    """Follows the two topics; `poll` takes in what is new. A context manager: leaves no connection behind."""

    def __init__(self, settings: Settings) -> None:
        self._figures = Figures()
        self._changes: deque[dict[str, Any]] = deque(maxlen=CHANGES_SHOWN)
        self._count = 0
        with kafka_errors(settings):
            self._consumer = KafkaConsumer(
                bootstrap_servers=settings.kafka.split(","),
                bootstrap_timeout_ms=BOOTSTRAP_MS,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                max_poll_records=2000,
                **kafka_options(settings),
            )
            found = [(name, self._consumer.partitions_for_topic(name)) for name in (SEGMENT_CHANGES, SEGMENT_METRICS)]
        self._consumer.assign([TopicPartition(topic, number) for topic, numbers in found for number in numbers or ()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def poll(self, wait_ms: int) -> None:
        """Take in what has come, waiting at most about `wait_ms` for it. A broker that is away is no news."""
        try:
            fetched = self._consumer.poll(timeout_ms=wait_ms)
        except KafkaError:
            time.sleep(wait_ms / 1000)
            return
        now_s = time.monotonic()
        for place, records in fetched.items():
            for record in records:
                if place.topic == SEGMENT_CHANGES:
                    self._count += 1
                    self._changes.appendleft(orjson.loads(record.value))
                else:
                    self._figures.take(orjson.loads(record.value), now_s)
        self._figures.drop_stale(now_s)

    def picture(self) -> Picture:
        """Return what is known now."""
        figures = self._figures
        return Picture(
            events_per_s=figures.total(EVENTS_PER_S),
            lag=figures.total(LAG),
            latency_p50_ms=figures.worst(LATENCY_P50),
            latency_p99_ms=figures.worst(LATENCY_P99),
            customers=int(figures.total(CUSTOMERS) or 0),
            changes=self._count,
            segments=figures.segments(),
            latest=list(self._changes),
        )

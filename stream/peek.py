"""Looking into topics without a consumer group: where they end, and their last records.

The end is taken from fetch answers (the high watermark): the embedded broker's ListOffsets is wrong.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from stream.clients import kafka_errors, wait_for_kafka
from stream.errors import KafkaUnreachable
from stream.security import kafka_options
from stream.settings import Settings

SILENCE_S = 15.0
"""How long a broker that accepted the connection may take to answer."""
POLL_MS = 100


class Peek:
    """One connection; `peek` makes it. Raises KafkaUnreachable where the broker falls silent."""

    def __init__(self, settings: Settings, consumer: KafkaConsumer) -> None:
        self._settings = settings
        self._consumer = consumer

    def ends(self, places: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return each partition's end, the offset that its next record will have; values are where to look first."""
        consumer = self._consumer
        consumer.assign(list(places))
        for place, offset in places.items():
            consumer.seek(place, offset)
        deadline = self._deadline()
        found: dict[TopicPartition, int] = {}
        while len(found) < len(places):
            consumer.poll(timeout_ms=POLL_MS, max_records=1)
            highs = {place: consumer.highwater(place) for place in places}
            found = {place: high for place, high in highs.items() if high is not None}
            self._check(deadline)
        return found

    def last(self, topic: str, count: int) -> list[Any]:
        """Return up to `count` of the last records of partition 0 of `topic`, oldest first; fewer after compaction."""
        place = TopicPartition(topic, 0)
        end = self.ends({place: 0})[place]
        self._consumer.seek(place, max(0, end - count))
        deadline = self._deadline()
        records: list[Any] = []
        while self._consumer.position(place) < end:
            for batch in self._consumer.poll(timeout_ms=POLL_MS, max_records=count).values():
                records += batch
            self._check(deadline)
        return records[-count:]

    def _deadline(self) -> float:
        return time.monotonic() + SILENCE_S

    def _check(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise KafkaUnreachable(f"Kafka at {self._settings.kafka} accepts connections but does not answer")


@contextlib.contextmanager
def peek(settings: Settings) -> Iterator[Peek]:
    """Yield a connection for looking; KafkaUnreachable where there is none."""
    wait_for_kafka(settings)
    with kafka_errors(settings):
        consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka.split(","),
            bootstrap_timeout_ms=int(SILENCE_S * 1000),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            **kafka_options(settings),
        )
        try:
            yield Peek(settings, consumer)
        finally:
            consumer.close()

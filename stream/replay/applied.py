"""Waiting until workers have applied and committed what was sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from kafka import KafkaConsumer, TopicPartition

from stream import log
from stream.clients import kafka_errors
from stream.security import kafka_options
from stream.settings import Settings

POLL_S = 0.2
STALLED_S = 30.0
"""Without progress for so long, it is said that no worker may be running."""


def wait_until_applied(
    settings: Settings, ends: Mapping[tuple[str, int], int], progress: Callable[[int], None] | None = None
) -> None:
    """Return once the job's committed offsets reach `ends`: (topic, partition) -> offset after its last record.

    A worker commits an offset only when everything before it is durable, so this is the end of all work on it.
    `progress` is told how many records are still to come. Waits as long as it takes; KafkaUnreachable if Kafka fails.
    """
    with kafka_errors(settings):
        # Of the job's group but never in it: asking for committed offsets joins nothing.
        consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka.split(","),
            group_id=settings.app_id,
            enable_auto_commit=False,
            **kafka_options(settings),
        )
        try:
            moved_at, before = time.monotonic(), -1
            while left := _left(consumer, ends):
                if left != before:
                    moved_at, before = time.monotonic(), left
                elif time.monotonic() - moved_at > STALLED_S:
                    moved_at = time.monotonic()
                    log.get(__name__).warning(f"{left} records wait to be applied: is a worker running?")
                if progress is not None:
                    progress(left)
                time.sleep(POLL_S)
        finally:
            consumer.close()


def _left(consumer: KafkaConsumer, ends: Mapping[tuple[str, int], int]) -> int:
    committed = {place: consumer.committed(TopicPartition(*place)) or 0 for place in ends}
    return sum(max(0, end - committed[place]) for place, end in ends.items())

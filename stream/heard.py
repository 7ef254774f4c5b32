"""What a subscriber without a group hears of a topic: from its start or its end, until it is told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from pydantic import ValidationError

from schemas.topics import TOPICS
from stream.clients import kafka_errors
from stream.security import kafka_options
from stream.sender import partition_counts
from stream.settings import Settings

POLL_MS = 200
END_PATIENCE_S = 5.0


def values(
    settings: Settings, topic: str, stop: threading.Event, *, from_start: bool, say: Callable[[str], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (JSON, value) of all partitions until `stop` is set; order holds within a partition only.

    What is not as the topic's schema says is passed over, and said. Raises KafkaUnreachable and TopicsDiffer.
    """
    count = partition_counts(settings, (topic,))[topic]
    places = [TopicPartition(topic, number) for number in range(count)]
    with kafka_errors(settings):
        consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka.split(","),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **kafka_options(settings),
        )
        try:
            consumer.assign(places)
            consumer.seek_to_beginning()
            if not from_start:
                seek_to_end(consumer, places, stop)
            while not stop.is_set():
                for records in consumer.poll(timeout_ms=POLL_MS).values():
                    for record in records:
                        try:
                            value = TOPICS[topic].value.model_validate_json(record.value or b"")
                        except ValidationError:
                            say(f"partition {record.partition}, offset {record.offset}: not of {topic}, passed over")
                        else:
                            yield value.model_dump_json(), value.model_dump()
        finally:
            consumer.close()


def seek_to_end(consumer: KafkaConsumer, places: list[TopicPartition], stop: threading.Event) -> None:
    """Go behind the last record of each partition.

    The embedded broker's answer about its latest offset can lie within its last batch, so the last known record is
    fetched and the high watermark that comes with it is believed.
    """
    ends = consumer.end_offsets(places)
    for place in places:
        consumer.seek(place, max(0, ends[place] - 1))
    unknown = {place for place in places if ends[place] > 0}
    deadline = time.monotonic() + END_PATIENCE_S
    while unknown and not stop.is_set() and time.monotonic() < deadline:
        for place in consumer.poll(timeout_ms=POLL_MS):
            if place in unknown and consumer.highwater(place) is not None:
                unknown.discard(place)
                ends[place] = max(ends[place], consumer.highwater(place))
    for place in places:
        consumer.seek(place, ends[place])

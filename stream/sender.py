"""Sends records in bulk with kafka-python, for the commands that feed the input topics.

What a partition gets keeps its order, memory is bounded, and where each partition ended is known from the broker's own
acknowledgements: a broker's answer about its latest offset is not always true (the embedded one's is not).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from stream.clients import kafka_admin
from stream.errors import KafkaUnreachable, TopicsDiffer
from stream.partitioner import partition_of
from stream.security import kafka_options
from stream.settings import Settings

IN_FLIGHT_MAX = 20_000
"""Records that may wait for their acknowledgement; the producer itself has no such bound."""
ACK_S = 60.0
"""How long a record may wait for it."""
KEYS_REMEMBERED = 1_000_000
"""Keys whose partition is remembered: hashing one in Python costs as much as sending it."""


class Sender:
    """A context manager around one producer; leaving it without an error waits for every acknowledgement.

    Raises KafkaUnreachable when a record cannot be delivered, TopicsDiffer when a topic does not exist.
    """

    def __init__(self, settings: Settings, topics: Iterable[str]) -> None:
        """Connect and look up how many partitions each of `topics` has."""
        self._settings = settings
        self._partitions = partition_counts(settings, topics)
        # One request at a time keeps a partition's order even when a request is tried again. Idempotence would do so
        # too, but the embedded broker refuses it.
        self._producer = KafkaProducer(
            bootstrap_servers=settings.kafka.split(","),
            acks="all",
            enable_idempotence=False,
            max_in_flight_requests_per_connection=1,
            linger_ms=10,
            batch_size=262_144,
            delivery_timeout_ms=int(ACK_S * 1_000),
            request_timeout_ms=15_000,
            allow_auto_create_topics=False,
            **kafka_options(settings),
        )
        self._waiting: deque[Any] = deque()
        self._last: dict[tuple[str, int], Any] = {}
        self._places: dict[bytes, tuple[int, int]] = {}
        self._keyless = 0

    def send(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Send (key, value) pairs to their keys' partitions; records without a key are spread over all of them."""
        producer, waiting, last = self._producer, self._waiting, self._last
        for key, value in records:
            partition = self._place(topic, key)
            try:
                # Neither key nor value is a record that kafka-python will not make; an empty key is as lost.
                future = producer.send(topic, value, b"" if key is None and value is None else key, partition=partition)
            except KafkaError as problem:
                raise self._failed(problem) from None
            waiting.append(future)
            last[topic, partition] = future
            if len(waiting) > IN_FLIGHT_MAX:
                self._await(IN_FLIGHT_MAX // 2)

    def flush(self) -> None:
        """Return once every record sent so far is acknowledged."""
        try:
            self._producer.flush(timeout=ACK_S)
        except KafkaError as problem:
            raise self._failed(problem) from None
        self._await(0)

    def ends(self) -> dict[tuple[str, int], int]:
        """(topic, partition) -> the offset after the last record sent there; call `flush` before."""
        return {place: future.get(timeout=ACK_S).offset + 1 for place, future in self._last.items()}

    def _place(self, topic: str, key: bytes | None) -> int:
        count = self._partitions[topic]
        if key is None:
            self._keyless += 1
            return self._keyless % count
        known = self._places.get(key)
        if known is not None and known[1] == count:
            return known[0]
        if len(self._places) >= KEYS_REMEMBERED:
            self._places.clear()
        partitioner = "crc32" if self._settings.partitioner == "crc32" else "murmur2"
        partition = partition_of(partitioner, key, count)
        self._places[key] = (partition, count)
        return partition

    def _await(self, left: int) -> None:
        """Wait until at most `left` records lack an acknowledgement."""
        while len(self._waiting) > left:
            try:
                self._waiting.popleft().get(timeout=ACK_S)
            except KafkaError as problem:
                raise self._failed(problem) from None

    def _failed(self, problem: KafkaError) -> KafkaUnreachable:
        words = " ".join(str(problem).split())[:300] or type(problem).__name__
        return KafkaUnreachable(f"Kafka at {self._settings.kafka} did not take a record: {words}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._producer.close(timeout=5)


def partition_counts(settings: Settings, topics: Iterable[str]) -> dict[str, int]:
    """Return how many partitions each topic has; TopicsDiffer where one does not exist."""
    wanted = list(topics)
    with kafka_admin(settings) as admin:
        absent = sorted(set(wanted) - set(admin.list_topics()))
        if absent:
            raise TopicsDiffer(
                f"Kafka at {settings.kafka} has no topic {', '.join(absent)}",
                action="run `livesegment topics create`, or `livesegment up`, first",
            )
        return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(wanted)}

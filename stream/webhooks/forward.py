"""Forwarding: from a consumer group of its own to the receiver, one record after the other, and none is let go of.

A record's offset is committed only when the receiver took it, or when it stands in the dead-letter file. While the
receiver is away the same record is tried again, with growing pauses, and nothing behind it in its partition is sent: so
what a customer's receiver gets is in order, with repeats (same `webhook-id`) after a crash. Partitions are served in
turns, one request at a time.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import CommitFailedError, KafkaError
from kafka.structs import OffsetAndMetadata

from stream.clients import kafka_errors
from stream.security import kafka_options
from stream.settings import Settings
from stream.webhooks.message import Message, headers, message
from stream.webhooks.receiver import Answer, Receiver

POLL_MS = 200
BATCH = 100
"""Records that are fetched and sent between two commits."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
REFUSALS = 3
"""How often a message is sent to a receiver that refuses it, before it goes to the dead-letter file."""

Record = Any
Wants = Callable[[dict[str, Any]], bool]


class Forwarder:
    """Sends one topic's records to one receiver until it is stopped."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        receiver: Receiver,
        key: bytes,
        *,
        stop: threading.Event,
        say: Callable[[str], None],
        dead_letters: Path,
        wants: Wants | None = None,
        most: int | None = None,
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        """`say` takes remarks for people; `wants` tells which values are sent at all; `most` ends it after so many."""
        self._settings, self._topic, self._receiver, self._key = settings, topic, receiver, key
        self._stop, self._say, self._dead_letters, self._wants = stop, say, dead_letters, wants
        self._most, self._longest_pause_s = most, longest_pause_s
        self._lost: set[TopicPartition] = set()
        self.sent = self.buried = 0

    def run(self, group: str, *, from_start: bool) -> None:
        """Forward until stopped; a group that is new begins at the end, or `from_start`. Raises KafkaUnreachable."""
        with kafka_errors(self._settings):
            consumer = KafkaConsumer(
                bootstrap_servers=self._settings.kafka.split(","),
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="earliest" if from_start else "latest",
                max_poll_records=BATCH,
                # The embedded broker lets a new group wait for half of its members' timeout.
                session_timeout_ms=round(self._settings.session_timeout_s * 1000),
                heartbeat_interval_ms=round(self._settings.heartbeat_s * 1000),
                **kafka_options(self._settings),
            )
            try:
                consumer.subscribe([self._topic], listener=_Listener(self._lost))
                while not self._done:
                    self._take(consumer)
            finally:
                consumer.close()
                self._receiver.close()

    @property
    def _done(self) -> bool:
        return self._stop.is_set() or (self._most is not None and self.sent >= self._most)

    def _take(self, consumer: Any) -> None:
        """Fetch some records and send them."""
        self._lost.clear()
        fetched = consumer.poll(timeout_ms=POLL_MS)
        # An offset must be there before the first record: what arrives while a new group is away is for it too.
        for place in consumer.assignment():
            if consumer.committed(place) is None:
                self._commit(consumer, {place: consumer.position(place)})
        waiting = deque((place, deque(records)) for place, records in fetched.items())
        done: dict[TopicPartition, int] = {}
        while waiting and not self._done:
            place, records = waiting.popleft()
            if place in self._lost or not records:
                continue
            if not self._settle(consumer, place, records[0], done):
                break
            done[place] = records.popleft().offset + 1
            waiting.append((place, records))
        self._commit(consumer, {place: offset for place, offset in done.items() if place not in self._lost})
        for place, records in waiting:
            if records and place in consumer.assignment():
                consumer.seek(place, records[0].offset)

    def _settle(self, consumer: Any, place: TopicPartition, record: Record, done: dict[TopicPartition, int]) -> bool:
        """Send a record for as long as it takes; False where it is no longer ours, or at a stop."""
        made = self._made(record)
        if made is None:
            return True
        pause_s, refusals = min(FIRST_PAUSE_S, self._longest_pause_s), 0
        while True:
            answer, why = self._receiver.post(made.body, headers(made, self._key, int(time.time())))
            if answer is Answer.TAKEN:
                self.sent += 1
                return True
            refusals += answer is Answer.REFUSED
            if refusals >= REFUSALS:
                self._bury(record, made, why)
                return True
            self._say(f"partition {record.partition}, offset {record.offset}: {why}; again in {pause_s:.1f} s")
            self._commit(consumer, {at: offset for at, offset in done.items() if at not in self._lost})
            if not self._wait(consumer, pause_s * random.uniform(0.8, 1.2)) or place in self._lost:  # noqa: S311 - spreads receivers' load
                return False
            pause_s = min(2 * pause_s, self._longest_pause_s)

    def _wait(self, consumer: Any, for_s: float) -> bool:
        """Wait as a living member of the group, that fetches nothing; False where it is to stop."""
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            held = consumer.assignment()
            consumer.pause(*held)
            for place, records in consumer.poll(timeout_ms=0).items():
                # Of a partition that came just now.
                consumer.seek(place, records[0].offset)
            consumer.resume(*consumer.assignment())
            if self._stop.wait(min(1.0, max(0.0, until - time.monotonic()))):
                return False
        return True

    def _made(self, record: Record) -> Message | None:
        """Return the message of a record; None where it is none, or not wanted."""
        try:
            value = orjson.loads(record.value or b"")
            made = message(self._topic, value)
        except (ValueError, KeyError, TypeError) as problem:
            self._bury(record, None, f"{type(problem).__name__}: {problem}")
            return None
        return made if self._wants is None or self._wants(value) else None

    def _bury(self, record: Record, made: Message | None, why: str) -> None:
        """Append a record to the dead-letter file: one JSON object a line."""
        said = {
            "topic": self._topic,
            "partition": record.partition,
            "offset": record.offset,
            "webhook_id": made.id if made else None,
            "reason": why,
            "value": (record.value or b"").decode(errors="replace"),
        }
        with self._dead_letters.open("ab") as file:
            file.write(orjson.dumps(said) + b"\n")
        self.buried += 1
        self._say(f"partition {record.partition}, offset {record.offset}: {why}; kept in {self._dead_letters}")

    def _commit(self, consumer: Any, offsets: dict[TopicPartition, int]) -> None:
        if not offsets:
            return
        try:
            consumer.commit({place: OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()})
        except CommitFailedError as problem:
            # A rebalance came in between: another member sends them again, which their ids tell.
            self._say(f"not committed: {problem}")
            self._lost.update(offsets)
        except KafkaError as problem:
            if not problem.retriable:
                raise
            self._say(f"not committed yet: {problem}")


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # kafka-python is untyped
    """Notes which partitions were taken away."""

    def __init__(self, lost: set[TopicPartition]) -> None:
        self._lost = lost

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._lost.update(revoked)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        pass


def group_of(app_id: str, topic: str, url: str) -> str:
    """Name the consumer group of one receiver of one topic: another address is another group.

    >>> group_of("shop", "cart-triggers", "http://127.0.0.1/hook")
    'shop-webhook-cart-triggers-33182e3a'
    """
    return f"{app_id}-webhook-{topic}-{hashlib.blake2b(url.encode(), digest_size=4).hexdigest()}"

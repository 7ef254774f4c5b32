"""The evidence as the broker keeps it: whole partitions of topics, read without a consumer group."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import aiokafka
from aiokafka.structs import TopicPartition
from kafka.partitioner.default import murmur2

from models.batch import SOURCES
from schemas.change import SegmentChanged
from schemas.dead_letter import VALUE_BYTES_MAX, DeadLetter
from schemas.topics import DEAD_LETTERS, SEGMENT_CHANGES
from tests.oracle.reading import Raw, Rules, read
from tests.oracle.shop import Event, Shop

FETCH_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Letter:
    """A record that is no event, as the oracle judges it."""

    reason: str
    value: bytes | None
    key: bytes | None


@dataclass(slots=True)
class Ledger:
    """One partition of both source topics, recomputed."""

    shop: Shop
    records: dict[str, int] = field(default_factory=dict)
    """Records by topic."""
    ends: dict[str, int] = field(default_factory=dict)
    """Offset after the last record, by topic."""
    letters: dict[str, Letter] = field(default_factory=dict)
    """By topic/partition/offset."""


def read_partition(bootstrap: str, topic: str, partition: int) -> list[aiokafka.ConsumerRecord]:
    """Every record of one partition that the broker still has, in order."""
    return asyncio.run(_read(bootstrap, TopicPartition(topic, partition)))


async def _read(bootstrap: str, source: TopicPartition) -> list[aiokafka.ConsumerRecord]:
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=FETCH_BYTES
    )
    found: list[aiokafka.ConsumerRecord] = []
    async with consumer:
        consumer.assign([source])
        await consumer.seek_to_beginning(source)
        # The high watermark of a fetch is right on every broker; the answer to ListOffsets is not.
        while (high := consumer.highwater(source)) is None or await consumer.position(source) < high:
            for records in (await consumer.getmany(source, timeout_ms=500, max_records=10_000)).values():
                found += records
    return found


def recompute(bootstrap: str, partition: int, partitions: int, rules: Rules) -> Ledger:
    """Read both source topics of a partition back and let everything happen again, one event at a time."""
    ledger = Ledger(Shop(key_rule(partition, partitions)))
    streams: list[list[tuple[Raw, Event]]] = []
    for source, topic in enumerate(SOURCES):
        records = read_partition(bootstrap, topic, partition)
        ledger.records[topic] = len(records)
        ledger.ends[topic] = records[-1].offset + 1 if records else 0
        events = []
        for record in records:
            raw = Raw(topic, source, partition, record.offset, record.key, record.value, record.timestamp)
            found = read(raw, rules)
            if isinstance(found, Event):
                events.append((raw, found))
            else:
                ledger.letters[f"{topic}/{partition}/{record.offset}"] = Letter(found, record.value, record.key)
        streams.append(events)
    for raw, event in merged(*streams):
        if not ledger.shop.take(event):
            letter = Letter("key_mismatch", raw.value, raw.key)
            ledger.letters[f"{raw.topic}/{partition}/{raw.offset}"] = letter
    return ledger


def merged(clickstream: list[tuple[Raw, Event]], purchases: list[tuple[Raw, Event]]) -> list[tuple[Raw, Event]]:
    """Both topics in the order of their records' times, each in its own order: one of the ways they may have met."""
    both: list[tuple[Raw, Event]] = []
    at = 0
    for click in clickstream:
        while at < len(purchases) and purchases[at][0].written_ms < click[0].written_ms:
            both.append(purchases[at])
            at += 1
        both.append(click)
    return both + purchases[at:]


def key_rule(partition: int, partitions: int) -> Callable[[str, bytes | None], bool]:
    """The rule of docs/events.md: the key is the customer's bytes, and the partition the one that murmur2 gives it."""

    def right_key(customer: str, key: bytes | None) -> bool:
        return key == customer.encode() and (murmur2(key) & 0x7FFFFFFF) % partitions == partition

    return right_key


@dataclass(slots=True)
class Changes:
    """One partition of segment-changes as a careful subscriber reads it."""

    last: dict[str, SegmentChanged] = field(default_factory=dict)
    """By customer."""
    seen: dict[str, list[bytes]] = field(default_factory=dict)
    """The bytes of each customer's changes, by version from 1."""
    repeats: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    """(customer, what is wrong)"""
    gaps: int = 0

    def take(self, key: bytes, value: bytes) -> None:
        """Take one record in the order of the log."""
        change = SegmentChanged.model_validate_json(value)
        customer = change.customer_id
        mine = self.seen.setdefault(customer, [])
        if key != customer.encode() or change.id != f"{customer}:{change.ver}":
            self.faults.append((customer, f"change {change.id} under key {key!r}"))
        if change.ver <= len(mine):
            self.repeats += 1
            if value != mine[change.ver - 1]:
                self.faults.append(
                    (customer, f"ver {change.ver} has two contents: {mine[change.ver - 1]!r}, {value!r}")
                )
            return
        if change.ver != len(mine) + 1:
            self.gaps += 1
            self.faults.append((customer, f"ver {change.ver} follows ver {len(mine)}"))
        before = self.last.get(customer)
        if change.previous != (before.current if before else None):
            self.faults.append((customer, f"ver {change.ver} starts at {change.previous}, not at {before}"))
        if change.previous == change.current:
            self.faults.append((customer, f"ver {change.ver} moves nowhere"))
        mine += [b""] * (change.ver - 1 - len(mine)) + [value]
        self.last[customer] = change


def read_changes(bootstrap: str, partition: int) -> Changes:
    """Read one partition of segment-changes."""
    changes = Changes()
    for record in read_partition(bootstrap, SEGMENT_CHANGES, partition):
        changes.take(record.key, record.value)
    return changes


def letter_faults(bootstrap: str, partition: int, ledger: Ledger) -> tuple[list[str], int]:
    """(what is wrong with the dead letters of a partition, how many were sent again)."""
    faults, found, repeats = [], set(), 0
    for record in read_partition(bootstrap, DEAD_LETTERS, partition):
        said = DeadLetter.from_headers(record.headers)
        repeats += said.id in found
        found.add(said.id)
        expected = ledger.letters.get(said.id)
        if expected is None:
            faults.append(f"{said.id} is a dead letter ({said.reason}) and should be an event")
        elif (said.reason, record.key) != (expected.reason, expected.key):
            faults.append(f"{said.id} is {said.reason} under {record.key!r}, not {expected.reason} of {expected.key!r}")
        elif not _same_bytes(record.value, expected.value, said.sha256):
            faults.append(f"{said.id} has other bytes than its record")
    faults += [
        f"{identity} has no dead letter ({ledger.letters[identity].reason})"
        for identity in ledger.letters.keys() - found
    ]
    return faults, repeats


def _same_bytes(value: bytes | None, original: bytes | None, sha256: str | None) -> bool:
    if original is None or len(original) <= VALUE_BYTES_MAX:
        return value == original
    return value == original[:VALUE_BYTES_MAX] and sha256 == hashlib.sha256(original).hexdigest()

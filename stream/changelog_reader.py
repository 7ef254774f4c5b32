"""State as the changelog says it, read without a worker: what `status`, `lookup --features` and `export` stand on.

Between two flushes the changelog lags behind a worker's memory by up to a commit interval; at rest they are equal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from models import rows
from models.columns import CustomerTable
from models.row_tail import MalformedRow
from schemas.topics import CHANGELOG
from stream.clients import wait_for_kafka
from stream.errors import BrokenChangelog, KafkaUnreachable
from stream.partition.meta import META_KEY, OWNER_KEY, Meta, UnknownMetaVersion
from stream.security import kafka_options
from stream.settings import Settings


@dataclass(slots=True)
class PartitionState:
    """One partition's durable state."""

    number: int
    table: CustomerTable = field(default_factory=CustomerTable)
    meta: Meta = field(default_factory=Meta)
    epoch: int = -1

    def total(self, column: str) -> int:
        """Sum of a column of whole numbers over the partition's customers."""
        return int(self.table.column(column).sum())

    def segments(self) -> dict[int, int]:
        """Count customers by segment id; -1 is warming up."""
        return self.table.tally("segment")


@dataclass(slots=True)
class State:
    """Durable state of the whole job."""

    partitions: list[PartitionState]


def read_state(settings: Settings, only: Collection[int] | None = None) -> State:
    """Read the changelog, or the partitions `only`, from its beginning to its present end.

    Raises KafkaUnreachable and BrokenChangelog.
    """
    wait_for_kafka(settings)
    try:
        return asyncio.run(_read(settings, only))
    except KafkaError as error:
        raise KafkaUnreachable(f"Kafka at {settings.kafka} failed: {error}") from error
    except (rows.UnknownRowVersion, MalformedRow, UnknownMetaVersion) as error:
        raise BrokenChangelog(f"the changelog cannot be read: {error}") from error


async def _read(settings: Settings, only: Collection[int] | None) -> State:
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=settings.kafka,
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 << 20,
        fetch_max_wait_ms=50,
        **kafka_options(settings),
    )
    try:
        await consumer.start()
        there = consumer.partitions_for_topic(CHANGELOG) or await _partitions(consumer)
        numbers = sorted(there if only is None else there & set(only))
        states = {TopicPartition(CHANGELOG, number): PartitionState(number) for number in numbers}
        reader = rows.RowReader()
        consumer.assign(list(states))
        await consumer.seek_to_beginning()
        while not await _at_end(consumer, states):
            for source, records in (await consumer.getmany(timeout_ms=500, max_records=10_000)).items():
                _load(states[source], reader, records)
        return State(list(states.values()))
    finally:
        await consumer.stop()


async def _partitions(consumer: aiokafka.AIOKafkaConsumer) -> set[int]:
    # partitions_for_topic knows only topics that the client has asked about.
    await consumer._client._wait_on_metadata(CHANGELOG)  # noqa: SLF001 (aiokafka has no public call for it)
    return set(consumer.partitions_for_topic(CHANGELOG) or ())


async def _at_end(consumer: aiokafka.AIOKafkaConsumer, sources: dict[TopicPartition, PartitionState]) -> bool:
    """Whether every partition is read to its high watermark, which is right on every broker (ListOffsets is not)."""
    for source in sources:
        high = consumer.highwater(source)
        if high is None or await consumer.position(source) < high:
            return False
    return True


def _load(state: PartitionState, reader: rows.RowReader, records: list[aiokafka.ConsumerRecord]) -> None:
    keys, values = [], []
    for record in records:
        if record.key == OWNER_KEY:
            state.epoch = record.offset
        elif record.key == META_KEY:
            state.meta = Meta.decode(record.value)
        else:
            keys.append(record.key)
            values.append(record.value)
    reader.load(state.table, keys, values)

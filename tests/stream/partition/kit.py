"""What the tests of a partition's parts share: records, batches, and a partition on a real broker and a real Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiokafka
import redis.asyncio
from aiokafka.structs import TopicPartition

from models.batch import SOURCES
from stream.partition.inbox import Arrived
from stream.partition.log import PartitionLog
from stream.partition.partition import Partition
from stream.partition.shared import Shared
from stream.partition.takeover import take_over
from stream.redis_view.view import RedisView
from stream.settings import Settings

START_MS = 1_700_000_000_000


@dataclass(frozen=True, slots=True)
class Raw:
    """A record as the consumer hands it on."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = START_MS


@dataclass(frozen=True, slots=True)
class Message:
    """Where a batch is from."""

    topic: str
    partition: int = 0


@dataclass(slots=True)
class Event:
    """What the inbox needs of a Faust event; counts its acknowledgements."""

    message: Message
    value: Sequence[Raw]
    acked: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def ack(self) -> None:
        self.acked += 1
        self.done.set()


def views(first_offset: int, customers: Sequence[str], *, minute: int = 0, kind: str = "view_item") -> Event:
    """A batch of clickstream events, one for each customer, in this order."""
    records = []
    for number, customer in enumerate(customers):
        offset = first_offset + number
        event = {
            "event_id": f"e{offset}",
            "event_type": kind,
            "customer_id": customer,
            "event_time": START_MS + (minute * 60 + number) * 1000,
            "product_id": f"p{offset % 7}",
            "price": 10,
            "quantity": 1,
        }
        records.append(Raw(offset, json.dumps(event).encode(), customer.encode()))
    return Event(Message(SOURCES[0]), records)


def arrived(source: int, offsets: Sequence[int]) -> Arrived:
    """A batch of empty records."""
    records = [Raw(offset, b"{}") for offset in offsets]
    return Arrived(source, records, Event(Message(SOURCES[source]), records))


@asynccontextmanager
async def owning(settings: Settings, client: redis.asyncio.Redis, number: int = 0) -> AsyncIterator[Partition]:
    """A partition taken over, without a consumer: nothing else runs until a test says so."""
    writer = PartitionLog(number, bootstrap=settings.kafka, app_id=settings.app_id, fenced=False)
    partition = Partition(number, Shared(settings), writer, RedisView(client, number))
    try:
        await take_over(partition, settings.kafka)
        yield partition
    finally:
        if partition.rebuilding is not None:
            partition.rebuilding.cancel()
        await writer.stop()


async def work(partition: Partition, *batches: Event) -> None:
    """Let the partition work on batches, one group each, until all are acknowledged."""
    running = asyncio.create_task(partition.run())
    for batch in batches:
        await partition.inbox.put(batch)
        waiting = asyncio.create_task(batch.done.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            waiting.cancel()
            await running
    running.cancel()
    await asyncio.wait([running])


async def read(settings: Settings, topic: str, number: int = 0) -> list[aiokafka.ConsumerRecord]:
    """Everything in one partition of a topic."""
    source = TopicPartition(topic, number)
    found: list[aiokafka.ConsumerRecord] = []
    async with aiokafka.AIOKafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False) as consumer:
        consumer.assign([source])
        await consumer.seek_to_beginning(source)
        while (high := consumer.highwater(source)) is None or await consumer.position(source) < high:
            found += (await consumer.getmany(source, timeout_ms=50)).get(source, [])
    return found


async def turns() -> None:
    """Let every task that can run come to where it waits."""
    for _ in range(50):
        await asyncio.sleep(0)

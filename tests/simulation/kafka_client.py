"""aiokafka's producer and consumer as `stream.partition` uses them, against the simulated broker.

They stand where aiokafka stands, so that fencing, sending and reading are the worker's own code. They know which world
they are in from the running loop.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

from aiokafka.errors import (
    BrokerResponseError,
    IllegalOperation,
    InvalidProducerEpoch,
    KafkaTimeoutError,
    ProducerFenced,
    UnsupportedVersionError,
)
from aiokafka.structs import TopicPartition

from tests.simulation.broker import Entry, Payload
from tests.simulation.wire import Reset

BATCH_RECORDS = 3
"""So few fit a produce batch that batches split everywhere."""
ATTEMPTS = 12
BACKOFF_S = 0.1


class Batch:
    """A batch being built."""

    def __init__(self) -> None:
        self.payloads: list[Payload] = []

    def append(self, *, timestamp: int, key: bytes | None, value: bytes | None, headers: Any = ()) -> object | None:  # noqa: ARG002 (the log's own times are not looked at)
        if len(self.payloads) >= BATCH_RECORDS:
            return None
        self.payloads.append((key, value, tuple(headers)))
        return self


class Producer:
    """Writes a partition's batches one after the other, each repeated until it is acknowledged or given up."""

    def __init__(self, *, transactional_id: str | None = None, enable_idempotence: bool = False, **_: Any) -> None:
        self._world = _world()
        self._name = transactional_id
        self._idempotent = enable_idempotence or transactional_id is not None
        self._txn_manager = (
            SimpleNamespace(transactional_id=transactional_id, producer_epoch=-1, producer_id=-1)
            if self._idempotent
            else None
        )
        self._sequence: defaultdict[TopicPartition, int] = defaultdict(int)
        self._last: dict[TopicPartition, asyncio.Task[Any]] = {}

    async def start(self) -> None:
        if self._txn_manager is None:
            return
        if not self._world.broker.fences:
            raise UnsupportedVersionError
        number, epoch = await _until_answered(
            lambda: self._world.wire.ask("kafka", lambda: self._world.broker.init_producer_id(self._name))
        )
        self._txn_manager.producer_id, self._txn_manager.producer_epoch = number, epoch
        self._world.note("init_producer_id", self._name, number, epoch)

    async def stop(self) -> None:
        await asyncio.gather(*self._last.values(), return_exceptions=True)

    async def partitions_for(self, topic: str) -> set[int]:  # noqa: ARG002 (all topics are cut alike)
        return set(range(self._world.settings.partitions))

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Awaitable[Any]:
        if self._txn_manager is not None and self._txn_manager.transactional_id is not None:
            raise IllegalOperation("Can't send messages while not in transaction")
        place = TopicPartition(topic, partition)
        before = self._last.get(place)
        numbered = None
        if self._txn_manager is not None:
            producer = (self._txn_manager.producer_id, self._txn_manager.producer_epoch)
            numbered = producer, self._sequence[place]
            self._sequence[place] += len(batch.payloads)
        sending = asyncio.get_running_loop().create_task(self._deliver(place, batch.payloads, numbered, before))
        self._last[place] = sending
        # The sending goes on when the one who awaits it is cancelled.
        return asyncio.shield(sending)

    async def _deliver(
        self, place: TopicPartition, payloads: list[Payload], numbered: Any, before: asyncio.Task[Any] | None
    ) -> Any:
        if before is not None:
            await asyncio.wait([before])
        world, by = self._world, self._world.loop.current.name
        try:
            offset = await _until_answered(
                lambda: world.wire.ask(
                    "kafka",
                    lambda: world.broker.produce(place.topic, place.partition, payloads, by, numbered),
                    timeout_s=2.0,
                    what=place.topic,
                )
            )
        except InvalidProducerEpoch:
            raise ProducerFenced from None
        return SimpleNamespace(offset=offset, topic=place.topic, partition=place.partition)


class Consumer:
    """Reads one assigned partition from its beginning."""

    def __init__(self, **_: Any) -> None:
        self._world = _world()
        self._position = 0
        self._source: TopicPartition | None = None
        # Where `stream.records.hand_on_as_parsed` reaches into aiokafka; what is read here is whole as it is.
        self._fetcher = SimpleNamespace()

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    def assign(self, sources: list[TopicPartition]) -> None:
        (self._source,) = sources

    async def seek_to_beginning(self, *_: TopicPartition) -> None:
        self._position = 0

    async def beginning_offsets(self, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(sources, 0)

    async def end_offsets(self, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        logs = self._world.broker.logs
        found: dict[TopicPartition, int] = await _until_answered(
            lambda: self._world.wire.ask("kafka", lambda: {at: logs[at.topic, at.partition].end for at in sources})
        )
        return found

    async def getmany(self, *_: Any, max_records: int | None = None, **__: Any) -> dict[TopicPartition, list[Entry]]:
        world, source = self._world, self._source
        assert source is not None
        if world.slow_reads:
            await asyncio.sleep(world.rng.random() * 4.0)
        most = min(max_records or 1_000, world.rng.choice((2, 10, 100)))
        log = world.broker.logs[source.topic, source.partition]
        try:
            found = await world.wire.ask("kafka", lambda: log.read(self._position, most), timeout_s=2.0)
        except (Reset, TimeoutError):
            await asyncio.sleep(BACKOFF_S)
            return {}
        if not found:
            await asyncio.sleep(0.5)
            return {}
        self._position = found[-1].offset + 1
        return {source: found}


async def _until_answered(attempt: Any) -> Any:
    """Repeat a request as aiokafka does. Raises KafkaTimeoutError after so many attempts."""
    for _ in range(ATTEMPTS):
        try:
            return await attempt()
        except (Reset, TimeoutError):
            await asyncio.sleep(BACKOFF_S)
        except BrokerResponseError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(BACKOFF_S)
    raise KafkaTimeoutError


def _world() -> Any:
    return asyncio.get_running_loop().world  # type: ignore[attr-defined]

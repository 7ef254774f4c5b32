"""The batch transport inside a real Faust app: what it delivers, trims and commits, and the private parts it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis.asyncio
from faust.types.tuples import TP

from stream.app import SegmenterApp, build_app
from stream.partition.owner import Owner
from stream.partition.shared import Shared
from stream.settings import load
from stream.transport.driver import BatchConsumer
from stream.transport.message import BatchMessage
from stream.transport.recovery import OwnRecovery
from tests.stream.partition.kit import Raw

SOURCE = TP("clickstream", 2)


async def built(**changes: object) -> AsyncIterator[SegmenterApp]:
    settings = load(fetch_min_bytes=4321, fetch_wait_ms=17, **changes)
    client = redis.asyncio.Redis()
    made = build_app(settings, Owner(Shared(settings), client, fenced=False), None)
    made.finalize()
    yield made
    # The consumer's thread makes its loop when it is built; it was never started here.
    made.consumer._thread.thread_loop.close()
    await client.aclose()


@pytest.fixture
async def app() -> AsyncIterator[SegmenterApp]:
    """An app that was not started."""
    async for made in built():
        yield made


@pytest.fixture
async def app_on_a_broker(either_broker: str) -> AsyncIterator[SegmenterApp]:
    """An app that was not started, whose broker answers."""
    async for made in built(kafka=either_broker):
        yield made


@pytest.fixture
def consumer(app: SegmenterApp) -> BatchConsumer:
    made = app.consumer
    assert isinstance(made, BatchConsumer)
    return made


def offsets(records: list[Raw]) -> list[int]:
    return [record.offset for record in records]


def batch(*given: int) -> list[Raw]:
    return [Raw(offset, b"{}") for offset in given]


def test_the_app_recovers_by_our_hook(app: SegmenterApp) -> None:
    assert isinstance(app.tables.recovery, OwnRecovery)


def test_a_batch_is_one_message_with_the_last_offset() -> None:
    message = BatchMessage.of(SOURCE, batch(5, 6, 9), 3)
    assert (message.topic, message.partition, message.offset, message.generation_id) == ("clickstream", 2, 9, 3)
    assert len(message.value) == 3


def test_what_was_delivered_before_is_trimmed_and_the_rest_kept(consumer: BatchConsumer) -> None:
    assert offsets(consumer._trim(SOURCE, batch(0, 1))) == [0, 1]
    consumer._read_offset[SOURCE] = 6
    assert offsets(consumer._trim(SOURCE, batch(4, 5, 6, 7))) == [6, 7]
    assert consumer._trim(SOURCE, batch(4, 5)) == []
    assert offsets(consumer._trim(SOURCE, batch(6, 7))) == [6, 7]
    assert offsets(consumer._trim(SOURCE, batch(9))) == [9]


def test_what_is_acknowledged_out_of_order_is_committed_only_from_the_head(consumer: BatchConsumer) -> None:
    for last in (9, 19, 29):
        consumer._delivery[SOURCE].delivered(last)
    consumer._acked_index[SOURCE].update({19, 29})
    assert consumer._new_offset(SOURCE) is None
    consumer._acked_index[SOURCE].add(9)
    assert consumer._new_offset(SOURCE) == 30
    assert not consumer._acked_index[SOURCE]
    assert not consumer._acked[SOURCE]


def test_the_first_commit_waits_for_its_head_too(consumer: BatchConsumer) -> None:
    # Stock Faust commits whatever is acknowledged where nothing was committed before.
    assert consumer._committed_offset[SOURCE] is None
    consumer._delivery[SOURCE].delivered(4)
    consumer._delivery[SOURCE].delivered(9)
    consumer._acked_index[SOURCE].add(9)
    assert consumer._new_offset(SOURCE) is None


async def test_a_gap_between_batches_is_not_taken_for_acknowledged(consumer: BatchConsumer) -> None:
    await consumer._add_gap(SOURCE, 0, 100)
    assert not consumer._gap[SOURCE]


async def test_the_fetch_settings_reach_a_started_consumer(app_on_a_broker: SegmenterApp) -> None:
    # aiokafka has them, Faust no setting for them: private attributes that must not go away unnoticed.
    made = app_on_a_broker.consumer._thread._create_worker_consumer(app_on_a_broker.transport)
    assert (made._fetch_min_bytes, made._fetch_max_wait_ms) == (4321, 17)
    await made.start()
    assert (made._fetcher._fetch_min_bytes, made._fetcher._fetch_max_wait_ms) == (4321, 17)
    await made.stop()


async def test_a_take_over_that_wakes_up_after_a_rebalance_began_takes_nothing(app: SegmenterApp) -> None:
    owner = app.livesegment_owner
    await owner.revoking()
    assert not await owner.take({SOURCE})
    assert not owner.partitions
    owner.assigned()
    assert await owner.take(set())


async def test_offsets_are_committed_again_until_the_broker_confirms_them(consumer: BatchConsumer) -> None:
    consumer._delivery[SOURCE].delivered(9)
    consumer._acked_index[SOURCE].add(9)
    consumer._acked[SOURCE] = [9]
    assert consumer._filter_committable_offsets({SOURCE}) == {SOURCE: 10}
    # Faust takes what it sent for committed, though it was refused.
    consumer._committed_offset[SOURCE] = 10
    assert consumer._filter_committable_offsets({SOURCE}) == {SOURCE: 10}
    consumer.confirmed[SOURCE] = 10
    assert consumer._filter_committable_offsets({SOURCE}) == {}

"""What only Apache Kafka can prove: the broker refuses an owner that was replaced, so a partition's log is linear."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import aiokafka
import pytest
from aiokafka.structs import TopicPartition

from models.columns import COL
from schemas.topics import CHANGELOG
from stream import shoppers, topics
from stream.clients import kafka_admin
from stream.embedded.redis import url
from stream.embedded.server import Server
from stream.errors import Fenced, FenceRestarted
from stream.partition.log import PartitionLog, can_fence
from stream.partition.meta import OWNER_KEY
from stream.partition.partition import Partition
from stream.partition.shared import Shared
from stream.partition.takeover import take_over
from stream.redis_view.view import RedisView, connect
from stream.settings import load
from tests.kit.expect import expect_gapless_versions, expect_records_equal_state
from tests.kit.job import Job, customers, totals

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def apache(apache: str) -> str:
    """host:port of Apache Kafka, its topics created."""
    settings = load(kafka=apache)
    with kafka_admin(settings, patience_s=20.0) as admin:
        topics.create(admin, settings)
    return apache


@pytest.fixture
def job(start_apache: Callable[[], Server], start_redis: Callable[[], Server], tmp_path: Path) -> Iterator[Job]:
    """A job on an Apache Kafka of its own."""
    with Job(start_apache().address, url(start_redis()), tmp_path) as started:
        yield started


@pytest.fixture
async def owners(apache: str) -> AsyncIterator[tuple[PartitionLog, PartitionLog]]:
    """Two owners of partition 3, the old one marked and writing."""
    old, new = (PartitionLog(3, bootstrap=apache, app_id="fence", fenced=True) for _ in range(2))
    await old.start()
    await old.mark()
    await old.write([(b"c1", b"old, in time")])
    yield old, new
    await old.stop()
    await new.stop()


async def read_log(bootstrap: str, number: int, last: int) -> list[aiokafka.ConsumerRecord]:
    source = TopicPartition(CHANGELOG, number)
    found: list[aiokafka.ConsumerRecord] = []
    async with aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        consumer.assign([source])
        await consumer.seek_to_beginning(source)
        while not found or found[-1].offset < last:
            found += await consumer_records(consumer, source)
    return found


async def consumer_records(
    consumer: aiokafka.AIOKafkaConsumer, source: TopicPartition
) -> list[aiokafka.ConsumerRecord]:
    fetched = await consumer.getmany(source, timeout_ms=500)
    return list(fetched.get(source, []))


async def test_apache_kafka_fences_and_is_known_to(apache: str) -> None:
    assert await can_fence(bootstrap=apache, app_id="fence")


async def test_a_zombie_is_refused_from_the_new_owners_marker_on(
    apache: str, owners: tuple[PartitionLog, PartitionLog]
) -> None:
    old, new = owners
    await new.start()
    await old.write([(b"c1", b"old, before the marker")])
    epoch = await new.mark()
    with pytest.raises(Fenced, match="newer owner exists"):
        await old.write([(b"c1", b"too late")])
    await new.write([(b"c1", b"new")])
    said = [record.value for record in await read_log(apache, 3, epoch + 1) if record.offset >= epoch - 1]
    assert said == [b"old, before the marker", b"", b"new"]


async def test_the_changes_of_a_zombie_are_refused_once_the_new_owner_has_sent_some(
    owners: tuple[PartitionLog, PartitionLog],
) -> None:
    old, new = owners
    await new.start()
    await new.mark()
    await new.send_changes([(b"c1", b"{}")])
    with pytest.raises(Fenced):
        await old.send_changes([(b"c1", b"{}")])


async def test_of_two_starting_owners_the_one_with_the_older_epoch_cannot_mark_late(
    owners: tuple[PartitionLog, PartitionLog],
) -> None:
    old, new = owners
    await new.start()
    await new.mark()
    with pytest.raises(Fenced):
        await old.mark()


async def test_markers_of_successive_owners_rise_and_later_ones_know_that_they_fence(apache: str) -> None:
    epochs, restarted = [], []
    for _ in range(3):
        writer = PartitionLog(2, bootstrap=apache, app_id="successive", fenced=True)
        await writer.start()
        restarted.append(writer.fence_restarted)
        epochs.append(await writer.mark())
        await writer.write([(b"c1", b"row"), (b"c2", b"row")])
        await writer.stop()
    assert restarted == [True, False, False]
    assert epochs == sorted(set(epochs))
    markers = [r.offset for r in await read_log(apache, 2, epochs[-1]) if r.key == OWNER_KEY]
    assert markers[-3:] == epochs


async def test_a_broker_that_forgot_the_owner_of_a_marked_partition_ends_the_worker_and_the_next_has_a_fence(
    apache: str, start_redis: Callable[[], Server]
) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=apache) as forgotten:
        await forgotten.send_and_wait(CHANGELOG, b"", OWNER_KEY, partition=0)
    settings = load(kafka=apache, redis_url=url(start_redis()), app_id="forgotten")
    client = await connect(settings.redis_url)
    for expected in (pytest.raises(FenceRestarted, match="would not refuse a worker of before"), nullcontext()):
        writer = PartitionLog(0, bootstrap=apache, app_id=settings.app_id, fenced=True)
        with expected:
            await take_over(Partition(0, Shared(settings), writer, RedisView(client, 0)), apache)
        await writer.stop()
    await client.aclose()


async def test_a_producer_without_transactions_still_numbers_its_batches(apache: str) -> None:
    # What PartitionLog.start sets is private to aiokafka: were it gone, batches would be neither fenced nor idempotent.
    writer = PartitionLog(1, bootstrap=apache, app_id="guard", fenced=True)
    await writer.start()
    manager = writer._producer._txn_manager
    assert manager.transactional_id is None
    assert manager.has_pid()
    await writer.mark()
    await writer.write([(b"c1", b"row")])
    assert manager.sequence_number(TopicPartition(CHANGELOG, 1)) == 2
    assert not manager.is_in_transaction()
    await writer.stop()


def test_a_worker_paused_past_its_session_writes_nothing_when_it_wakes(job: Job) -> None:
    paused = job.start_worker()
    assert "not_fenced" not in job.log()
    sent = job.shop(shoppers.Config(customers=2_000, events=10_000, duplicates=0.01, disorder_s=60))
    job.until(
        lambda: any(row[COL.segment] >= 0 for row in customers(job.state()).values()), 60.0, "a model, so changes"
    )
    sent.add(job.shop(shoppers.Config(customers=2_000, events=60_000, seed=5), seed=3))
    paused.send_signal(signal.SIGSTOP)
    job.start_worker()
    sent.add(job.shop(shoppers.Config(customers=2_000, events=10_000, seed=8), seed=2))
    job.wait()
    paused.send_signal(signal.SIGCONT)
    job.until(lambda: paused.poll() is not None or "released_after" in job.log(0), 60.0, "the paused one to notice")
    assert "newer owner" in job.log(0)
    job.wait()
    for worker in job.workers:
        if worker.poll() is None:
            assert job.stop(worker) == 0
    counted = totals(job.state())
    assert counted["read"] == sent.records
    assert counted["events"] == sent.events.total()
    assert counted["duplicates"] == sent.duplicates
    assert expect_gapless_versions(job) > 0
    assert expect_records_equal_state(job) == len(customers(job.state()))

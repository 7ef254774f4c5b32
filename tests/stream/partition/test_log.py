"""The partition's writer on the embedded broker, which cannot fence: the writer notices others by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiokafka
import pytest

from schemas.topics import CHANGELOG, CLICKSTREAM, SEGMENT_CHANGES
from stream.errors import Fenced, KafkaUnreachable
from stream.partition import log as module
from stream.partition.log import PartitionLog, can_fence
from stream.settings import Settings

pytestmark = pytest.mark.broker


@pytest.fixture
async def writer(settings: Settings) -> AsyncIterator[PartitionLog]:
    made = PartitionLog(0, bootstrap=settings.kafka, app_id="test", fenced=False)
    await made.start()
    yield made
    await made.stop()


async def read(settings: Settings, topic: str, count: int) -> list[aiokafka.ConsumerRecord]:
    found: list[aiokafka.ConsumerRecord] = []
    async with aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=settings.kafka, auto_offset_reset="earliest", enable_auto_commit=False
    ) as consumer:
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
    return found


async def test_the_embedded_broker_is_known_not_to_fence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_WAIT_S", 0.01)
    assert not await can_fence(bootstrap=settings.kafka, app_id="test")


async def test_a_broker_that_does_not_answer_is_not_taken_for_one_that_cannot_fence() -> None:
    with pytest.raises(KafkaUnreachable, match="transactional id test-probe"):
        await can_fence(bootstrap="127.0.0.1:1", app_id="test")


async def test_rows_are_written_in_order_behind_the_marker_however_many_requests_they_take(
    settings: Settings, writer: PartitionLog
) -> None:
    epoch = await writer.mark()
    rows = [(b"c%d" % number, b"%d" % number * 300) for number in range(3_000)]
    await writer.write(rows)
    await writer.write([(b"\0sent", b"{}")])
    records = await read(settings, CHANGELOG, epoch + len(rows) + 2)
    assert [(record.key, record.value) for record in records[1:-1]] == rows
    assert [record.offset for record in records] == list(range(len(rows) + 2))


async def test_a_record_larger_than_a_batch_goes_alone(settings: Settings, writer: PartitionLog) -> None:
    values = [b"s", b"l" * (module.BATCH_BYTES + 1000), b"s"]
    await writer.write([(b"c1", value) for value in values])
    assert [record.value for record in await read(settings, CHANGELOG, 3)] == values


async def test_changes_go_to_the_partition_of_the_same_number(settings: Settings, writer: PartitionLog) -> None:
    await writer.send_changes([(b"c1", b"{}")])
    (record,) = await read(settings, SEGMENT_CHANGES, 1)
    assert (record.partition, record.key) == (0, b"c1")
    assert await writer.partitions(CLICKSTREAM) == 1


async def test_a_writer_stops_at_the_first_ack_that_shows_somebody_elses_row(
    settings: Settings, writer: PartitionLog
) -> None:
    await writer.mark()
    await writer.write([(b"c1", b"mine")])
    other = PartitionLog(0, bootstrap=settings.kafka, app_id="test", fenced=False)
    await other.start()
    epoch = await other.mark()
    with pytest.raises(Fenced, match="somebody else wrote to its changelog"):
        await writer.write([(b"c1", b"after")])
    await other.stop()
    assert epoch == 2

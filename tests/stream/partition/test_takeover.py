"""Taking over: whatever an owner leaves behind, its successor's columns, records and changes are consistent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import redis.asyncio
from numpy.typing import NDArray

from models import features, rows
from models.columns import COL, CustomerTable
from models.row_tail import MalformedRow
from schemas.change import SegmentChanged
from schemas.redis_keys import partition_key, segment_key
from schemas.topics import CHANGELOG, SEGMENT_CHANGES
from stream.errors import BrokenChangelog, TopicsDiffer
from stream.partition import publish
from stream.partition.log import PartitionLog
from stream.partition.meta import META_KEY, OWNER_KEY, Meta
from stream.partition.partition import Partition, Served
from stream.partition.recovery import Reading, backwards
from stream.redis_view.view import connect
from stream.settings import Settings
from tests.models.test_judge import model
from tests.stream.partition.kit import Event, owning, read, views, work

pytestmark = pytest.mark.broker

CUSTOMERS = ("c1", "c2", "c3")


def state(partition: Partition) -> dict[str, bytes]:
    """Every customer's row."""
    encoded = rows.encode(partition.table, np.arange(len(partition.table)))
    return {key.decode(): value for key, value in encoded}


async def expect_view_equals_state(client: redis.asyncio.Redis, partition: Partition) -> None:
    table = partition.table
    for key, _, *fields in publish.records(table.ids, table.gather(np.arange(len(table))), partition.meta.names):
        stored = {name.decode(): value.decode() for name, value in (await client.hgetall(str(key))).items()}
        assert stored == dict(zip(fields[::2], fields[1::2], strict=True))


async def fill(partition: Partition) -> None:
    """Three groups, a flush, a first model, a group after it: rows of every kind."""
    await work(partition, views(0, CUSTOMERS[:2]), views(2, CUSTOMERS))
    await partition.flush()
    served = Served(model(), {4: "near", 9: "far"})
    await partition.judge_all(served)
    await work(partition, views(5, CUSTOMERS[1:]))


def served_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge by the small model of one feature: what it is fed does not matter here."""
    monkeypatch.setattr(features, "of_rows", lambda said, _now_ms: said[:, [COL.events]])


async def test_a_first_owner_starts_empty_with_its_markers_offset_as_epoch(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with owning(settings, client) as partition:
        assert (partition.epoch, partition.seq, len(partition.table)) == (0, 0, 0)
        assert await client.hget(partition_key(0), "complete") == b"1"


async def test_a_successor_has_the_rows_records_and_counters_that_the_owner_before_left(
    settings: Settings, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    served_model(monkeypatch)
    async with owning(settings, client) as first:
        await fill(first)
        await first.flush()
        before, seq, positions = state(first), first.seq, first.positions
        watermarks, names = first.watermarks, first.meta.names
    sent = await read(settings, SEGMENT_CHANGES)
    assert len(sent) == len(CUSTOMERS)
    async with owning(settings, client) as second:
        assert state(second) == before
        assert second.seq == second.meta.sent == seq
        assert (second.watermarks, second.meta.names) == (watermarks, names)
        assert second.positions["clickstream"].next == positions["clickstream"].next == 7
        assert (second.meta.judged, second.meta.partitions) == (7, 1)
        await expect_view_equals_state(client, second)
    assert await read(settings, SEGMENT_CHANGES) == sent


async def test_a_flush_writes_everybody_touched_since_the_last_one_published_or_not(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with owning(settings, client) as first:
        # c1 is touched without being published, then c4 is published.
        await work(first, views(0, ["c1", "c2"]), views(2, ["c1"]), views(3, ["c4"]))
        await first.flush()
        assert not first.table.dirty.any()
        before = state(first)
    async with owning(settings, client) as second:
        assert state(second) == before


async def test_events_read_again_change_nothing(settings: Settings, client: redis.asyncio.Redis) -> None:
    async with owning(settings, client) as first:
        await work(first, views(0, CUSTOMERS), views(3, CUSTOMERS))
        await first.flush()
        before = state(first)
    async with owning(settings, client) as second:
        await work(second, views(0, CUSTOMERS), views(3, CUSTOMERS))
        assert state(second) == before
        assert second.shared.metrics.counters["replayed"] == 6
        assert second.positions["clickstream"].read == 6


async def test_events_sent_again_within_a_day_change_nothing_later_ones_count_and_a_new_job_counts_changes_from_1(
    start_job: Callable[[int], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    served_model(monkeypatch)

    def sent(first_offset: int) -> Event:
        said = views(0, CUSTOMERS)
        return Event(said.message, [replace(each, offset=each.offset + first_offset) for each in said.value])

    jobs = []
    for times in (3, 1):
        settings = start_job(1)
        client = await connect(settings.redis_url)
        async with owning(settings, client) as partition:
            counters = partition.shared.metrics.counters
            await partition.judge_all(Served(model(), {4: "near", 9: "far"}))
            await work(partition, sent(0))
            before = await read(settings, SEGMENT_CHANGES)
            if times > 1:
                await work(partition, sent(3))
                assert (counters["duplicates"], counters["late"]) == (3, 0)
                assert await read(settings, SEGMENT_CHANGES) == before
                await work(partition, views(6, ["c9"], minute=25 * 60), sent(7))
                assert (counters["duplicates"], counters["late"]) == (3, 3)
        jobs.append([SegmentChanged.model_validate_json(record.value) for record in before])
        await client.aclose()
    assert [[(each.id, each.ver) for each in changes] for changes in jobs] == [
        [(f"{customer}:1", 1) for customer in CUSTOMERS]
    ] * 2


async def test_a_log_cut_at_any_record_is_taken_over_and_ends_as_if_it_had_not_been_cut(
    start_job: Callable[[int], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    served_model(monkeypatch)
    settings = start_job(40)
    client = await connect(settings.redis_url)
    async with owning(settings, client) as whole:
        await fill(whole)
        await whole.flush()
        expected = by_customer(whole)
    log = [(record.key, record.value) for record in await read(settings, CHANGELOG) if record.key != OWNER_KEY]
    assert 12 < len(log) < 39
    for cut in range(len(log) + 1):
        await client.flushall()
        # Partition n + 1 is what partition 0 would be, had its owner died after n records.
        await begin_with(settings, cut + 1, log[:cut])
        async with owning(settings, client, cut + 1) as successor:
            await expect_view_equals_state(client, successor)
            # Nothing was committed: everything is read again from the beginning.
            await work(successor, views(0, CUSTOMERS[:2]), views(2, CUSTOMERS), views(5, CUSTOMERS[1:]))
            await successor.judge_all(Served(model(), {4: "near", 9: "far"}))
            await successor.flush()
            found = by_customer(successor)
            assert found.keys() == expected.keys()
            for customer, row in found.items():
                np.testing.assert_array_equal(
                    row[: COL.segment].view(np.uint64), expected[customer][: COL.segment].view(np.uint64)
                )
                assert row[COL.segment] >= 0
            await expect_view_equals_state(client, successor)
        changes = await read(settings, SEGMENT_CHANGES, cut + 1)
        expect_gapless([SegmentChanged.model_validate_json(record.value) for record in changes])
    await client.aclose()


def by_customer(partition: Partition) -> dict[str, NDArray[np.float64]]:
    table = partition.table
    return dict(zip(table.ids, table.gather(np.arange(len(table))), strict=True))


def expect_gapless(changes: list[SegmentChanged]) -> None:
    """From the cut on: one content for one version, and each version starts where the one before ended."""
    last: dict[str, SegmentChanged] = {}
    for change in changes:
        before = last.get(change.customer_id)
        if before is not None and change.ver == before.ver:
            assert change == before
        elif before is not None:
            assert (change.ver, change.previous) == (before.ver + 1, before.current)
        last[change.customer_id] = change


async def begin_with(settings: Settings, number: int, log: list[tuple[bytes, bytes]]) -> None:
    """Write a partition's log as one owner would have left it."""
    writer = PartitionLog(number, bootstrap=settings.kafka, app_id="history", fenced=False)
    await writer.start()
    await writer.mark()
    for record in log:
        await writer.write([record])
    await writer.stop()


async def test_what_an_owner_wrote_but_did_not_send_is_sent_unchanged_by_its_successor(
    settings: Settings, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    served_model(monkeypatch)
    async with owning(settings, client) as first:
        first.adopt(Served(model(), {4: "near", 9: "far"}))
        await work(first, views(0, CUSTOMERS))
        expected = publish.changes(list(CUSTOMERS), first.table.gather(np.arange(3)), first.meta.names)
    # Its `sent` travels with the next step, which never came. Redis was written: the repeat must do no harm.
    await client.delete(segment_key("c2"))
    async with owning(settings, client) as second:
        assert second.epoch > 0
        await expect_view_equals_state(client, second)
    sent = [(record.key, record.value) for record in await read(settings, SEGMENT_CHANGES)]
    assert sent == [*expected, *expected]
    seen = defaultdict(set)
    for _, value in sent:
        change = SegmentChanged.model_validate_json(value)
        seen[change.id].add((change.epoch, change.current))
    assert all(len(contents) == 1 for contents in seen.values())


async def test_an_empty_redis_is_filled_before_the_partition_works(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with owning(settings, client) as first:
        await work(first, views(0, CUSTOMERS))
        await first.flush()
    await client.flushall()
    async with owning(settings, client) as second:
        await expect_view_equals_state(client, second)
        assert await client.hget(partition_key(0), "complete") == b"1"


async def test_a_second_wipe_while_records_are_rebuilt_is_not_called_complete(
    settings: Settings, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.partition.viewed.SLICE", 1)
    async with owning(settings, client) as partition:
        await work(partition, views(0, [f"c{number}" for number in range(50)]))
        await client.flushall()
        await partition.check_view()
        rebuilding = partition.rebuilding
        assert rebuilding is not None
        while not await client.exists(segment_key("c1")):  # noqa: ASYNC110 (what Redis holds sets no event)
            await asyncio.sleep(0)
        # A group, which holds the lock, finds out first and claims the new Redis while the rebuild is under way.
        async with partition.lock:
            assert not await client.exists(segment_key("c49"))
            await client.flushall()
            await partition.write_view(publish.records(["c9"], partition.table.gather(np.array([9])), [""]))
        await rebuilding
        assert not await client.hget(partition_key(0), "complete")
        while not await partition.view.intact():
            await partition.check_view()
            if partition.rebuilding is not None:
                await partition.rebuilding
        await expect_view_equals_state(client, partition)


async def test_another_number_of_partitions_is_refused_with_what_to_do(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    more = settings.model_copy(update={"partitions": 2})
    with pytest.raises(TopicsDiffer, match=r"has 1 partitions where the settings say 2.*LIVESEGMENT_PARTITIONS to 1"):
        async with owning(more, client):
            pass
    async with owning(settings, client) as partition:
        partition.meta.partitions = 4
        await partition.write_meta()
    with pytest.raises(BrokenChangelog, match=r"of a job of 4 partitions, this one has 1.*PARTITIONS to 4 again"):
        async with owning(settings, client):
            pass


@pytest.mark.parametrize("value", [b"", b"\x09\x00", b"\x01\x00short"])
async def test_a_row_that_cannot_be_read_stops_recovery(
    settings: Settings, client: redis.asyncio.Redis, value: bytes
) -> None:
    async with owning(settings, client) as partition:
        await partition.writer.write([(b"c1", value)])
    with pytest.raises(BrokenChangelog, match="partition 0: "):
        async with owning(settings, client):
            pass


async def test_a_partitions_row_that_is_no_row_stops_recovery(settings: Settings, client: redis.asyncio.Redis) -> None:
    async with owning(settings, client) as partition:
        await partition.writer.write([(META_KEY, b"{")])
    with pytest.raises(BrokenChangelog):
        async with owning(settings, client):
            pass


async def test_the_own_marker_ends_the_reading_and_what_is_behind_it_is_not_loaded(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with owning(settings, client) as partition:
        await work(partition, views(0, ["c1"]))
        records = await read(settings, CHANGELOG)
        partition.table, partition.meta = CustomerTable(), Meta()
        partition.epoch = 1
        assert Reading(partition).load(records)
        assert len(partition.table) == 0


def test_a_record_without_a_key_is_no_row_of_anybody() -> None:
    partition: Any = SimpleNamespace(epoch=10)
    with pytest.raises(MalformedRow, match="offset 3 has no key"):
        Reading(partition).load([SimpleNamespace(offset=3, timestamp=0, key=None, value=b"x")])


def encoded(*offsets: tuple[str, int]) -> tuple[list[bytes], list[bytes]]:
    """Changelog rows of customers with these next offsets."""
    keys, values = [], []
    for customer, offset in offsets:
        table = CustomerTable()
        slot = table.add_all([customer])
        row = table.gather(slot)
        row[0, COL.next_clickstream] = offset
        table.scatter(slot, row)
        ((key, value),) = rows.encode(table, slot)
        keys.append(key)
        values.append(value)
    return keys, values


def test_a_row_is_backwards_where_it_says_less_than_an_earlier_one_of_its_customer() -> None:
    assert backwards(CustomerTable(), [], []) == []
    assert backwards(CustomerTable(), *encoded(("a", 5), ("b", 3), ("a", 5), ("b", 9))) == []
    assert backwards(CustomerTable(), *encoded(("a", 5), ("b", 3), ("a", 4), ("b", 2), ("a", 6))) == [2, 3]
    assert backwards(CustomerTable(), *encoded(("a", 5), ("a", 2), ("a", 3), ("a", 5))) == [1, 2]


def test_a_row_is_backwards_where_it_says_less_than_the_table() -> None:
    table = CustomerTable()
    rows.RowReader().load(table, *encoded(("a", 5)))
    assert backwards(table, *encoded(("a", 4), ("b", 1))) == [0]
    assert backwards(table, *encoded(("a", 5), ("b", 1))) == []


async def test_a_row_that_goes_backwards_stops_recovery_where_the_broker_fences_and_is_passed_over_elsewhere(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with owning(settings, client) as partition:
        await work(partition, views(0, ["c1"]))
        older = rows.encode(partition.table, np.array([0]))
        await work(partition, views(1, ["c1"]))
        await partition.flush()
        before = state(partition)
        await partition.writer.write(older)
    async with owning(settings, client) as successor:
        assert state(successor) == before
        records = await read(settings, CHANGELOG)
        successor.table = CustomerTable()
        successor.writer.fenced = True
        with pytest.raises(BrokenChangelog, match=r"1 rows in the changelog up to offset .* two owners wrote"):
            Reading(successor).load(records)

"""Time passing in a partition on a real broker: silence that moves customers, carts that are left, and crashes."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable

import pytest
import redis.asyncio

from models import agenda, features
from models.batch import SOURCES
from models.columns import COL
from schemas.cart_trigger import CartTrigger
from schemas.change import SegmentChanged
from schemas.redis_keys import segment_key
from schemas.topics import CART_TRIGGERS, SEGMENT_CHANGES
from stream.partition.log import PartitionLog
from stream.partition.partition import Served
from stream.redis_view.view import connect
from stream.settings import Settings
from tests.models.test_judge import model
from tests.stream.partition.kit import START_MS, Event, Message, Raw, owning, read, turns, views, work
from tests.stream.partition.test_takeover import expect_view_equals_state

pytestmark = pytest.mark.broker

MINUTE_MS = 60_000


def shopping(first_offset: int, *steps: tuple[str, str, float], source: int = 0) -> Event:
    """A batch of events (customer, type, minute)."""
    records = []
    for number, (customer, kind, minute) in enumerate(steps):
        offset = first_offset + number
        fields = {
            "event_id": f"{source}-{offset}",
            "event_type": kind,
            "customer_id": customer,
            "event_time": START_MS + int(minute * MINUTE_MS),
            "product_id": "sku-7",
            "price": 10,
            "quantity": 1,
        }
        if kind == "purchase":
            fields |= {"order_id": f"o{offset}", "value": 25}
        records.append(Raw(offset, json.dumps(fields).encode(), customer.encode()))
    return Event(Message(SOURCES[source]), records)


async def told(settings: Settings) -> list[CartTrigger]:
    return [CartTrigger.model_validate_json(record.value) for record in await read(settings, CART_TRIGGERS)]


def short(triggers: list[CartTrigger]) -> list[tuple[str, str, int]]:
    """(customer, kind, minute at which it was due)."""
    return [(each.customer_id, each.kind, (each.due - START_MS) // MINUTE_MS) for each in triggers]


async def test_on_event_time_a_cart_is_abandoned_between_two_events_of_one_group(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with owning(settings, client) as partition:
        steps = [("c1", "add_to_cart", 0), ("c2", "view_item", 40), ("c1", "add_to_cart", 50), ("c3", "view_item", 55)]
        await work(partition, shopping(0, *steps))
        await expect_view_equals_state(client, partition)
        assert await client.hget(segment_key("c1"), "cart") == b"open"
    (said,) = await told(settings)
    assert short([said]) == [("c1", "abandoned", 30)]
    assert (said.items[0].product_id, said.value_minor, said.currency) == ("sku-7", 1_000, settings.currency)


async def test_a_cart_bought_in_time_by_the_other_topic_is_never_told(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with owning(settings, client) as partition:
        await work(partition, shopping(0, ("c1", "add_to_cart", 0)))
        await work(partition, shopping(0, ("c1", "purchase", 29), source=1))
        await work(partition, shopping(1, ("c2", "view_item", 600)))
        assert await client.hget(segment_key("c1"), "cart") == b"none"
    assert await told(settings) == []


async def test_an_order_that_arrives_late_withdraws_and_a_later_one_recovers(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with owning(settings, client) as partition:
        await work(partition, shopping(0, ("c1", "add_to_cart", 0), ("c2", "add_to_cart", 0), ("c3", "view_item", 90)))
        await work(partition, shopping(0, ("c1", "purchase", 10), ("c2", "purchase", 100), source=1))
        await expect_view_equals_state(client, partition)
    said = await told(settings)
    assert sorted(short(said)) == [
        ("c1", "abandoned", 30),
        ("c1", "withdrawn", 30),
        ("c2", "abandoned", 30),
        ("c2", "recovered", 30),
    ]
    assert [each.value_minor for each in said if each.kind == "recovered"] == [2_500]
    assert len({each.cart_id for each in said}) == 2


async def test_a_trigger_that_was_written_and_not_sent_is_sent_unchanged_by_the_successor_and_then_no_more(
    settings: Settings, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = shopping(0, ("c1", "add_to_cart", 0), ("c2", "view_item", 90))
    with monkeypatch.context() as patched:

        async def dies(*_: object) -> None:
            raise RuntimeError("killed before the triggers were sent")

        patched.setattr(PartitionLog, "send_triggers", dies)
        async with owning(settings, client) as first:
            await work(first, events)
            with pytest.raises(RuntimeError, match="killed"):
                await first.sweep.once(0.0)
            noted = dict(first.table.triggers)
    assert await told(settings) == []
    async with owning(settings, client) as second:
        # Nothing was committed: the events are read again.
        await work(second, shopping(0, ("c1", "add_to_cart", 0), ("c2", "view_item", 90), ("c2", "view_item", 95)))
        await second.sweep.once(0.0)
        await second.flush()
    async with owning(settings, client) as third:
        await work(third, shopping(3, ("c2", "view_item", 96)))
        assert third.table.triggers == {}
    (sent,) = await read(settings, CART_TRIGGERS)
    assert [sent.value] == list(noted.values())


async def test_silence_moves_a_customer_with_reason_time_and_at_the_time_of_the_sweep(
    settings: Settings, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half an hour without an event is far from the centroid that an event is near to.
    monkeypatch.setattr(
        features, "of_rows", lambda said, now: 30.0 * (now - said[:, [COL.last_seen]] >= 30 * MINUTE_MS).astype(float)
    )
    async with owning(settings, client) as partition:
        partition.adopt(Served(model(), {4: "near", 9: "far"}))
        await work(partition, views(0, ["c1"]))
        await partition.sweep.once(0.0)
        assert int(partition.table.column("segment")[0]) == 4
        # Somebody else moves the clock; the sweep does the rest.
        await work(partition, shopping(1, ("c2", "view_item", 45)))
        for _ in range(3):
            await partition.sweep.once(0.0)
        await expect_view_equals_state(client, partition)
    changes = [SegmentChanged.model_validate_json(record.value) for record in await read(settings, SEGMENT_CHANGES)]
    moved = [each for each in changes if each.customer_id == "c1"]
    assert [(each.current, each.reason) for each in moved] == [(4, "behaviour"), (9, "time")]
    assert moved[1].event_time == START_MS + 45 * MINUTE_MS


async def test_a_sweep_that_waits_for_a_group_keeps_nobody_from_being_looked_at_within_it(
    settings: Settings, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        features, "of_rows", lambda said, now: 30.0 * (now - said[:, [COL.last_seen]] >= 30 * MINUTE_MS).astype(float)
    )
    minutely = settings.model_copy(update={"replay_step_s": 60})
    async with owning(minutely, client) as partition:
        partition.adopt(Served(model(), {4: "near", 9: "far"}))
        await work(partition, views(0, ["c1"]))
        await partition.lock.acquire()
        group = shopping(1, ("c2", "view_item", 20), ("c2", "view_item", 40), ("c2", "view_item", 60))
        # First the group waits for the lock, then the sweep.
        waiting = [asyncio.create_task(work(partition, group))]
        await turns()
        waiting.append(asyncio.create_task(partition.sweep.once(0.0)))
        await turns()
        partition.lock.release()
        await asyncio.gather(*waiting)
    changes = [SegmentChanged.model_validate_json(record.value) for record in await read(settings, SEGMENT_CHANGES)]
    (moved,) = [each for each in changes if each.customer_id == "c1" and each.reason == "time"]
    assert moved.event_time == START_MS + 40 * MINUTE_MS


async def test_a_sweep_with_nobody_due_writes_nothing(settings: Settings, client: redis.asyncio.Redis) -> None:
    async with owning(settings, client) as partition:
        await work(partition, shopping(0, ("c1", "add_to_cart", 0), ("c2", "view_item", 1)))
        for _ in range(3):
            await partition.sweep.once(0.0)
        wrote_at = partition.writer.wrote_at
        for _ in range(3):
            await partition.sweep.once(0.0)
        assert partition.writer.wrote_at == wrote_at


async def test_on_the_systems_clock_old_data_reminds_nobody_and_is_counted(
    start_job: Callable[[int], Settings],
) -> None:
    settings = start_job(1).model_copy(update={"clock": "wall"})
    client = await connect(settings.redis_url)
    async with owning(settings, client) as partition:
        await work(partition, shopping(0, ("c1", "add_to_cart", 0)))
        await partition.sweep.once(0.0)
        assert partition.shared.metrics.counters["cart_reminders_too_old"] == 1
        assert await client.hget(segment_key("c1"), "cart") == b"abandoned"
    await client.aclose()
    assert await told(settings) == []


async def test_reminders_are_sent_in_order_of_their_due_times_whoever_has_an_event_or_a_new_model_first(
    start_job: Callable[[int], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "of_rows", lambda said, _now: 30.0 * (said[:, [COL.events]] > 1).astype(float))
    settings = start_job(1).model_copy(update={"clock": "wall"})
    client = await connect(settings.redis_url)
    async with owning(settings, client) as partition:
        minute = 0
        partition.shared.now_ms = lambda: START_MS + minute * MINUTE_MS  # type: ignore[method-assign] # ours here
        steps = [("c1", "add_to_cart", 3), ("c2", "add_to_cart", 2), ("c3", "add_to_cart", 1), ("c4", "view_item", 1)]
        await work(partition, shopping(0, *steps))
        minute = 40
        await work(partition, shopping(4, ("c2", "view_item", 39)))
        moved = await partition.judge_all(Served(model(), {4: "near", 9: "far"}))
        assert moved == partition.shared.metrics.counters["changes"] == 4
        assert await told(settings) == []
        await partition.sweep.once(0.0)
    await client.aclose()
    assert short(await told(settings)) == [("c3", "abandoned", 31), ("c2", "abandoned", 32), ("c1", "abandoned", 33)]


async def test_a_reminder_that_falls_due_while_everybody_is_looked_at_does_not_wait_for_the_end_of_it(
    start_job: Callable[[int], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda, "LOOKS", 1)
    settings = start_job(1).model_copy(update={"clock": "wall"})
    client = await connect(settings.redis_url)
    async with owning(settings, client) as partition:
        ticks = itertools.count(START_MS + 30 * MINUTE_MS, 20_000)
        partition.shared.now_ms = lambda: next(ticks)  # type: ignore[method-assign] # ours here
        await work(partition, shopping(0, ("c1", "add_to_cart", 5), *((f"c{n}", "view_item", 5) for n in range(2, 32))))
        await partition.sweep.once(0.0)
    await client.aclose()
    assert short(await told(settings)) == [("c1", "abandoned", 35)]


async def test_a_successor_goes_on_with_the_timers_of_the_owner_before(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with owning(settings, client) as first:
        await work(first, shopping(0, ("c1", "add_to_cart", 0)))
        await first.flush()
    async with owning(settings, client) as second:
        await work(second, shopping(1, ("c2", "view_item", 31)))
        await second.sweep.once(0.0)
    assert short(await told(settings)) == [("c1", "abandoned", 30)]

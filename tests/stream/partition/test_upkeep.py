"""Records are kept fresh and right while nothing happens to their customers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import pytest
import redis.asyncio

from models import features
from models.batch import SOURCES
from models.columns import COL
from schemas.redis_keys import segment_key
from stream.partition.partition import Partition, Served
from stream.partition.upkeep import Upkeep
from stream.redis_view.view import connect
from stream.settings import Settings
from tests.models.test_judge import model
from tests.stream.partition.kit import Event, Message, Raw, owning, views, work
from tests.stream.partition.test_takeover import expect_view_equals_state

pytestmark = pytest.mark.broker

CUSTOMERS = [f"c{number}" for number in range(10)]


@pytest.fixture
def wall(start_job: Callable[[int], Settings]) -> Settings:
    """A job on the system's clock; a tick rechecks everybody and refreshes three."""
    return start_job(1).model_copy(update={"clock": "wall", "recheck_share": 1.0, "refresh_per_s": 3.0})


@pytest.fixture
async def redis_of_it(wall: Settings) -> AsyncIterator[redis.asyncio.Redis]:
    client = await connect(wall.redis_url)
    yield client
    await client.aclose()


def seen_now(partition: Partition, customers: list[str]) -> Event:
    """A view by each customer at the present time."""
    records = [
        Raw(
            1_000 + at,
            json.dumps(
                {
                    "event_id": f"now-{at}",
                    "event_type": "view_item",
                    "customer_id": customer,
                    "event_time": partition.now_ms,
                    "product_id": "p",
                }
            ).encode(),
            customer.encode(),
        )
        for at, customer in enumerate(customers)
    ]
    return Event(Message(SOURCES[0]), records)


async def test_a_record_that_redis_lost_is_written_again_and_counted(
    wall: Settings, redis_of_it: redis.asyncio.Redis
) -> None:
    async with owning(wall, redis_of_it) as partition:
        await work(partition, views(0, CUSTOMERS))
        await redis_of_it.delete(segment_key("c3"))
        await redis_of_it.hset(segment_key("c4"), "rev", "0")
        for _ in range(61):
            await partition.upkeep.recheck()
        await expect_view_equals_state(redis_of_it, partition)
        counters = partition.shared.metrics.counters
        assert (counters["records_repaired"], counters["redis_rebuilds"]) == (2, 0)
        assert counters["records_rechecked"] >= len(CUSTOMERS)


async def test_who_was_seen_lately_is_refreshed_in_turns_and_nobody_else(
    wall: Settings, redis_of_it: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "of_rows", lambda said, _now_ms: said[:, [COL.events]])
    async with owning(wall, redis_of_it) as partition:
        partition.adopt(Served(model(), {4: "near", 9: "far"}))
        await work(partition, views(0, CUSTOMERS))
        await work(partition, seen_now(partition, CUSTOMERS[:4]))
        before = partition.table.column("rev")
        for _ in range(4):
            await partition.upkeep.refresh()
        rises = (partition.table.column("rev") - before).tolist()
        assert rises[4:] == [0.0] * 6
        assert all(rise >= 1 for rise in rises[:4])
        assert partition.shared.metrics.counters["records_refreshed"] == sum(rises)
        await expect_view_equals_state(redis_of_it, partition)


async def test_nothing_is_refreshed_on_event_time(settings: Settings, client: redis.asyncio.Redis) -> None:
    async with owning(settings, client) as partition:
        await work(partition, views(0, CUSTOMERS))
        before = partition.table.column("rev").tolist()
        for _ in range(3):
            await Upkeep(partition).refresh()
        assert partition.table.column("rev").tolist() == before

"""State read without a worker equals the worker's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
import redis.asyncio

from models import rows
from stream import topics
from stream.changelog_reader import read_state
from stream.clients import kafka_admin
from stream.embedded.redis import url
from stream.embedded.server import Server
from stream.errors import BrokenChangelog, KafkaUnreachable
from stream.settings import Settings, load
from tests.stream.partition.kit import owning, views, work

pytestmark = pytest.mark.broker


@pytest.fixture
def settings(start_broker: Callable[[], Server], start_redis: Callable[[], Server]) -> Settings:
    made = load(
        kafka=start_broker().address,
        redis_url=url(start_redis()),
        partitions=2,
        partitioner="unchecked",
        clock="event",
    )
    with kafka_admin(made) as admin:
        topics.create(admin, made)
    return made


async def run(settings: Settings, junk: bytes | None = None) -> list[tuple[bytes, bytes]]:
    """Let partition 1 work; return its rows."""
    async with redis.asyncio.Redis.from_url(settings.redis_url) as client, owning(settings, client, 1) as partition:
        await work(partition, views(0, ["c1", "c2"]), views(2, ["c2", "c3"]))
        await partition.flush()
        if junk is not None:
            await partition.writer.write([(b"c1", junk)])
        return rows.encode(partition.table, np.arange(3))


def test_what_a_worker_flushed_is_read_with_its_counters_and_epoch(settings: Settings) -> None:
    expected = asyncio.run(run(settings))
    empty, full = read_state(settings).partitions
    assert (empty.number, len(empty.table), empty.epoch) == (0, 0, -1)
    assert rows.encode(full.table, np.arange(3)) == expected
    assert (full.epoch, full.meta.topics["clickstream"].read, full.total("events")) == (0, 4, 4)
    assert full.segments() == {-1: 3}


def test_a_changelog_of_an_unknown_version_is_refused_with_its_reason(settings: Settings) -> None:
    asyncio.run(run(settings, junk=b"\x63\x00"))
    with pytest.raises(BrokenChangelog, match="row version 99"):
        read_state(settings)


def test_without_a_broker_it_says_so() -> None:
    with pytest.raises(KafkaUnreachable, match=r"127\.0\.0\.1:1 does not answer"):
        read_state(load(kafka="127.0.0.1:1"))

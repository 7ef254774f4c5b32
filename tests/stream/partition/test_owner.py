"""A worker's partitions: what is said when they are given up."""

from __future__ import annotations

import asyncio

import aiokafka
import pytest
import redis.asyncio
from faust.types import TP

from models.batch import SOURCES
from schemas.topics import CHANGELOG
from stream.partition.meta import META_KEY, Meta
from stream.partition.owner import Owner
from stream.partition.shared import Shared
from stream.settings import Settings
from tests.stream.partition.kit import read, turns, views

pytestmark = pytest.mark.broker


async def test_a_goodbye_that_a_rebalance_began_and_the_consumers_end_cut_short_is_said_all_the_same(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all") as plain:
        owner = Owner(Shared(settings), client, fenced=False, plain=plain)
        assert await owner.take([TP(source, 0) for source in SOURCES])
        partition, seen = owner.partitions[0], views(0, ["c1", "c2"])
        await owner.submit(seen)
        await seen.done.wait()
        # As a slice of a new model does, whose changes are being sent.
        await partition.lock.acquire()
        goodbye = asyncio.create_task(owner.release())
        await turns()
        goodbye.cancel()
        await asyncio.wait([goodbye])
        partition.lock.release()
        await owner.release()
    last = (await read(settings, CHANGELOG))[-1]
    assert last.key == META_KEY
    assert Meta.decode(last.value).sent == partition.meta.sent > 0

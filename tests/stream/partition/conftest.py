"""A job's topics on an embedded broker of the test's own, and a Redis client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import redis.asyncio

from stream.embedded.redis import url
from stream.embedded.server import Server
from stream.redis_view.view import connect
from stream.settings import Settings, load


@pytest.fixture
def start_job(start_broker: Callable[[], Server], start_redis: Callable[[], Server]) -> Callable[[int], Settings]:
    """A function that makes a job of so many partitions, its topics created, and returns its settings."""

    def start(partitions: int) -> Settings:
        # Not at the top: a conftest is loaded before the filter for what kafka-python warns of.
        from stream import topics
        from stream.clients import kafka_admin

        made = load(
            kafka=start_broker().address,
            redis_url=url(start_redis()),
            partitions=partitions,
            partitioner="unchecked",
            clock="event",
        )
        with kafka_admin(made) as admin:
            topics.create(admin, made)
        return made

    return start


@pytest.fixture
def settings(start_job: Callable[[int], Settings]) -> Settings:
    """Settings of a job of one partition whose topics exist."""
    return start_job(1)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[redis.asyncio.Redis]:
    connected = await connect(settings.redis_url)
    yield connected
    await connected.aclose()

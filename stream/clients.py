"""Connections of the commands to Kafka and Redis: patient, then one clear error. The worker has its own clients."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from stream import log
from stream.errors import KafkaUnreachable, RedisUnreachable
from stream.security import kafka_options, redis_options
from stream.settings import Settings

PATIENCE_S = 6.0
"""How long a command tries before it gives up."""
CONNECT_S = 2.0
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 2.0
T = TypeVar("T")


def wait_for_kafka(settings: Settings, patience_s: float = PATIENCE_S) -> None:
    """Return once a broker of `settings.kafka` accepts a connection; KafkaUnreachable after `patience_s`."""

    def attempt() -> None:
        problems = []
        for server in settings.kafka.split(","):
            host, _, port = server.rpartition(":")
            try:
                socket.create_connection((host, int(port)), CONNECT_S).close()
            except OSError as problem:
                problems.append(problem)
            else:
                return
        raise problems[-1]

    try:
        _persist(attempt, (OSError,), f"Kafka at {settings.kafka}", patience_s)
    except OSError as problem:
        raise KafkaUnreachable(f"Kafka at {settings.kafka} does not answer: {_plain(problem)}") from None


@contextlib.contextmanager
def kafka_errors(settings: Settings) -> Iterator[None]:
    """Turn a Kafka client's failures inside the block into KafkaUnreachable."""
    try:
        yield
    except KafkaError as problem:
        raise KafkaUnreachable(f"Kafka at {settings.kafka} failed: {_plain(problem)}") from None


@contextlib.contextmanager
def kafka_admin(settings: Settings, patience_s: float = PATIENCE_S) -> Iterator[KafkaAdminClient]:
    """Yield an admin client of `settings.kafka`; KafkaUnreachable if nobody answers or a request fails."""
    wait_for_kafka(settings, patience_s)
    with kafka_errors(settings):
        client = KafkaAdminClient(
            bootstrap_servers=settings.kafka.split(","),
            bootstrap_timeout_ms=int(patience_s * 1000),
            request_timeout_ms=15_000,
            **kafka_options(settings),
        )
        try:
            yield client
        finally:
            client.close()


@contextlib.contextmanager
def redis_client(settings: Settings, patience_s: float = PATIENCE_S) -> Iterator[Redis]:
    """Yield a client of `settings.redis_url` that answers text; RedisUnreachable if it does not answer or fails."""
    client = Redis.from_url(
        settings.redis_url,
        decode_responses=True,
        socket_timeout=5.0,
        socket_connect_timeout=CONNECT_S,
        retry=Retry(NoBackoff(), 0),
        **redis_options(settings),
    )
    try:
        _persist(client.ping, (RedisConnectionError, RedisTimeoutError), f"Redis at {settings.redis_shown}", patience_s)
        yield client
    except RedisError as problem:
        raise RedisUnreachable(f"Redis at {settings.redis_shown} does not answer: {_plain(problem)}") from None
    finally:
        client.close()


def _persist(attempt: Callable[[], T], failures: tuple[type[Exception], ...], what: str, patience_s: float) -> T:
    """Return what `attempt` returns, tried with doubling waits for `patience_s`; its last failure is then raised."""
    deadline, wait_s = time.monotonic() + patience_s, FIRST_WAIT_S
    while True:
        try:
            return attempt()
        except failures as problem:
            # A password that is wrong now is wrong later.
            if isinstance(problem, AuthenticationError) or time.monotonic() + wait_s > deadline:
                raise
            if wait_s == FIRST_WAIT_S:
                log.get(__name__).warning(f"{what} does not answer yet, trying for {patience_s:g} s: {_plain(problem)}")
            time.sleep(wait_s)
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)


def _plain(problem: Exception) -> str:
    """Return a failure in one short line."""
    words = (problem.strerror if isinstance(problem, OSError) else None) or str(problem) or type(problem).__name__
    return " ".join(words.split())[:300].rstrip(".")

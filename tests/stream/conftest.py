"""A Redis, a job on the embedded broker, and snapshots as the learner would publish them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.snapshot import ModelSnapshot
from stream.embedded.redis import url
from stream.embedded.server import Server
from tests.kit.job import Job
from tests.kit.snapshots import make_snapshot


@pytest.fixture
def redis_server(start_redis: Callable[[], Server]) -> Server:
    """A Redis that a test may stop or pause."""
    return start_redis()


@pytest.fixture
def job(start_broker: Callable[[], Server], redis_server: Server, tmp_path: Path) -> Iterator[Job]:
    """A job on the embedded broker and `redis_server`; a module that needs other settings has its own."""
    with Job(start_broker().address, url(redis_server), tmp_path) as started:
        yield started


@pytest.fixture
def snapshot() -> Callable[..., ModelSnapshot]:
    """A function that makes a valid snapshot of a version, or one with another list of features."""
    return make_snapshot

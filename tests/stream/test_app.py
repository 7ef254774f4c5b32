"""A worker ends when it is told to, whatever it waits for, and never by losing what it holds."""

from __future__ import annotations

import os
import signal
import time

import pytest

from stream import shoppers
from stream.embedded.server import Server
from tests.kit.expect import expect_gapless_versions, expect_records_equal_state
from tests.kit.job import Job, customers, totals

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]

LEAVES_S = 10.0


def pause(server: Server, number: int) -> None:
    """Stop or continue a server's process; it keeps its connections and answers nobody meanwhile."""
    pid = server.child.pid
    assert pid is not None
    os.kill(pid, number)


def test_a_worker_told_to_end_while_it_takes_partitions_over_ends_cleanly(job: Job, redis_server: Server) -> None:
    worker = job.start_worker(ready=False)
    job.until(lambda: any(c["cmd"] == "info" for c in job.redis.client_list()), 60.0, "the worker's connection")
    pause(redis_server, signal.SIGSTOP)
    job.until(lambda: "redis_unreachable" in job.log(), 60.0, "a take-over that waits for Redis")
    began = time.monotonic()
    assert job.stop(worker) == 0, job.log()
    assert time.monotonic() - began < LEAVES_S
    assert "worker_ready" not in job.log()
    pause(redis_server, signal.SIGCONT)
    job.start_worker()


def test_a_worker_told_to_end_while_redis_is_away_ends_and_the_next_one_goes_on(job: Job, redis_server: Server) -> None:
    worker = job.start_worker()
    pause(redis_server, signal.SIGSTOP)
    sent = job.shop(shoppers.Config(customers=500, events=5_000, disorder_s=60))
    job.until(lambda: "redis_unreachable" in job.log(), 60.0, "a group that waits for Redis")
    began = time.monotonic()
    assert job.stop(worker) == 1
    assert time.monotonic() - began < LEAVES_S
    assert "could not leave" in job.log()
    pause(redis_server, signal.SIGCONT)
    second = job.start_worker()
    job.wait()
    counted = totals(job.state())
    assert (counted["read"], counted["events"]) == (sent.records, sent.events.total())
    expect_gapless_versions(job)
    assert job.stop(second) == 0
    assert expect_records_equal_state(job) == len(customers(job.state()))

"""A worker in which something stands still ends with its reason, and the next one goes on; waiting is no standstill."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream import shoppers
from stream.embedded.redis import url
from stream.embedded.server import Server
from stream.status import status
from stream.watchdogs import Standstill
from stream.worker_state import read
from tests.kit import sabotage
from tests.kit.job import Job, totals

SHOP = shoppers.Config(customers=500, events=3_000, disorder_s=60)
WATCHDOG_S = "4"
SESSION_S = "4"


@pytest.fixture
def job(start_broker: Callable[[], Server], redis_server: Server, tmp_path: Path) -> Iterator[Job]:
    quick = {"LIVESEGMENT_WATCHDOG_S": WATCHDOG_S, "LIVESEGMENT_SESSION_TIMEOUT_S": SESSION_S}
    with Job(start_broker().address, url(redis_server), tmp_path, **quick) as started:
        yield started


@pytest.mark.broker
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("break_it", "reason", "says"),
    [
        (sabotage.NO_PROGRESS, "no_progress", "has not moved for 4 s while"),
        (sabotage.AGENT_CANCELLED, "agent_ended", "the agent"),
        pytest.param(sabotage.PARTITION_RETURNS, "agent_ended", "the task of partition", marks=pytest.mark.acceptance),
        pytest.param(
            sabotage.COMMIT_REFUSED, "commit_stuck", "have not been committed for 4 s", marks=pytest.mark.acceptance
        ),
        pytest.param(
            sabotage.HEARTBEAT_UNHEARD,
            "heartbeat_lost",
            "no heartbeat of this worker for 8 s",
            marks=pytest.mark.acceptance,
        ),
        (sabotage.LOOP_BLOCKED, "loop_stalled", "judge"),
    ],
)
def test_what_stands_still_ends_the_worker_with_its_reason_and_the_next_one_loses_nothing(
    job: Job, tmp_path: Path, break_it: str, reason: str, says: str
) -> None:
    broken = sabotage.start(job, break_it, tmp_path / "break")
    sent = job.shop(SHOP)
    job.wait()
    (tmp_path / "break").touch()
    sent.add(job.shop(shoppers.Config(customers=500, events=3_000, seed=2), seed=2))
    job.until(lambda: broken.poll() is not None, 90.0, "the watchdog")
    assert broken.returncode == 75, job.log()
    assert says in job.log()
    kept = read(tmp_path / "worker-1.json")
    assert kept is not None
    assert kept.state == "stopped"
    assert kept.last_stop is not None
    assert (kept.last_stop.reason, kept.last_stop.exit_code) == (reason, 75)

    job.start_worker()
    job.wait()
    counted = totals(job.state())
    assert (counted["read"], counted["events"]) == (sent.records, sent.events.total())
    job.until(lambda: bool(status(job.settings)["last_stops"]), 60.0, "the metric")
    (stop,) = status(job.settings)["last_stops"]
    assert (stop["reason"], stop["exit_code"]) == (reason, 75)


@pytest.mark.broker
@pytest.mark.timeout(180)
def test_waiting_for_a_redis_that_is_away_is_no_standstill(job: Job, redis_server: Server) -> None:
    worker = job.start_worker()
    redis_server.child.kill()
    sent = job.shop(SHOP)
    job.until(lambda: "redis_unreachable" in job.log(), 60.0, "a group that waits for Redis")
    time.sleep(3 * float(WATCHDOG_S))
    assert worker.poll() is None, job.log()
    redis_server.restart()
    job.wait()
    assert totals(job.state())["events"] == sent.events.total()


@pytest.mark.broker
@pytest.mark.timeout(180)
def test_a_worker_that_was_paused_is_not_judged_for_the_pause(job: Job) -> None:
    worker = job.start_worker()
    job.shop(SHOP)
    worker.send_signal(signal.SIGSTOP)
    time.sleep(2 * float(WATCHDOG_S))
    worker.send_signal(signal.SIGCONT)
    job.wait()
    assert "Watchdog" not in job.log()
    assert "stalled" not in job.log()
    assert worker.poll() is None, job.log()


def test_a_thing_that_need_not_move_never_stands_still() -> None:
    standstill = Standstill()
    assert [standstill.ticks("x", 1, due=False) for _ in range(3)] == [0, 0, 0]
    assert [standstill.ticks("x", 1, due=True) for _ in range(3)] == [1, 2, 3]
    assert standstill.ticks("y", 1, due=True) == 0
    assert standstill.ticks("x", 1, due=False) == 0

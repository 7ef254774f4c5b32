from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stream.commands.health import judge
from stream.embedded.server import Server
from stream.worker_state import Stop, WorkerState
from tests.kit.job import Job


def written(state: WorkerState, ago_s: int = 0) -> WorkerState:
    state.at = time.time_ns() // 1_000_000 - ago_s * 1_000
    return state


def worker(**said: Any) -> WorkerState:
    return WorkerState(**{"pid": os.getpid(), "state": "running"} | said)


STOPPED = Stop("no_progress", 75, "partition 2 has not moved for 60 s", 0)
AWAY = Stop("kafka_unreachable", 5, "Kafka does not answer", 0)


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (worker(partitions=[0, 1], lag=1_234), 0, "healthy: 1 running, 2 partitions, lag 1,234"),
        (worker(state="starting"), 4, "w: not now: starting"),
        (worker(state="recovering"), 4, "w: not now: recovering"),
        (worker(state="rebuilding"), 4, "w: not now: rebuilding"),
        (worker(kafka=False), 5, "w: running, but Kafka does not answer"),
        (worker(state="recovering", redis=False), 5, "w: recovering, but Redis does not answer"),
        (worker(state="stopped", last_stop=STOPPED), 1, "w: stopped: no_progress. partition 2 has not moved for 60 s"),
        (worker(state="stopped", last_stop=AWAY), 5, "w: stopped: kafka_unreachable. Kafka does not answer"),
        (worker(last_stop=STOPPED), 0, "healthy: 1 running, 0 partitions, lag 0"),
        (worker(pid=2**22 + 1), 1, "w: dead: process 4194305 ended without a word"),
    ],
)
def test_a_worker_is_judged(state: WorkerState, code: int, words: str) -> None:
    found, said = judge({"w": written(state)})
    assert (found, said[: len(words)]) == (code, words)


def test_a_worker_that_has_fallen_silent_is_stuck() -> None:
    assert judge({"w": written(worker(), ago_s=60)}) == (
        1,
        f"w: stuck: process {os.getpid()} has said nothing for 60 s",
    )


def test_of_several_workers_the_one_that_is_worst_off_speaks() -> None:
    made = {"a": worker(), "b": worker(state="recovering"), "c": worker(redis=False), "d": worker(pid=2**22 + 1)}
    states = {name: written(state) for name, state in made.items()}
    assert judge(states)[1].startswith("d: dead")
    del states["d"]
    assert judge(states) == (5, "c: running, but Redis does not answer")
    del states["c"]
    assert judge(states) == (4, "b: not now: recovering")


def test_where_no_worker_is_it_says_so(livesegment, tmp_path: Path) -> None:
    done = livesegment("health", "--data-dir", tmp_path)
    assert done.code == 3
    assert done.err.count("\n") == 1
    assert livesegment("health", "--data-dir", tmp_path, "--json").json["exit_code"] == 3


def test_asking_loads_none_of_what_a_worker_computes_with() -> None:
    heavy = {"numba", "scipy", "faust", "river", "sklearn"}
    code = f"import sys, stream.commands.health; print(sorted({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.broker
@pytest.mark.timeout(180)
def test_a_worker_is_not_ready_while_it_recovers_and_says_when_redis_is_away(
    job: Job, redis_server: Server, livesegment
) -> None:
    def health() -> int:
        return livesegment("health", "--data-dir", job.folder).code

    assert redis_server.child.pid
    pid = redis_server.child.pid
    worker = job.start_worker(ready=False)
    job.until(lambda: any(c["cmd"] == "info" for c in job.redis.client_list()), 60.0, "the worker's connection")
    os.kill(pid, signal.SIGSTOP)
    job.until(lambda: health() in (4, 5), 60.0, "a worker that says that it is not ready")
    job.until(lambda: "redis_unreachable" in job.log(), 60.0, "a take-over that waits for Redis")
    # The worker writes down how it stands once a second.
    job.until(lambda: health() == 5, 60.0, "a worker that says that Redis does not answer")
    os.kill(pid, signal.SIGCONT)
    job.until(lambda: health() == 0, 60.0, "a healthy worker")
    assert "worker_ready" in job.log()

    done = livesegment("health", "--data-dir", job.folder, "--json")
    assert done.json["says"].startswith("healthy: 1 running, 4 partitions")
    worker.kill()
    worker.wait()
    dead = livesegment("health", "--data-dir", job.folder)
    assert (dead.code, dead.out.startswith("worker-1: dead")) == (1, True)

    again = job.start_worker()
    job.until(lambda: health() == 0, 60.0, "a healthy worker")
    assert json.loads((job.folder / "worker-1.json").read_text())["last_stop"]["reason"] == "killed"
    assert job.stop(again) == 0
    assert health() == 3


@pytest.mark.broker
@pytest.mark.timeout(180)
def test_a_paused_worker_is_stuck_to_its_supervisor(job: Job, livesegment) -> None:
    worker = job.start_worker()
    worker.send_signal(signal.SIGSTOP)
    job.until(lambda: livesegment("health", "--data-dir", job.folder).code == 1, 60.0, "a stuck worker")
    assert "stuck: process" in livesegment("health", "--data-dir", job.folder).out
    worker.send_signal(signal.SIGCONT)
    job.until(lambda: livesegment("health", "--data-dir", job.folder).code == 0, 60.0, "a healthy worker")

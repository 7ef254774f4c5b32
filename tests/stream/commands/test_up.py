from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.broker


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_and_the_exit_code_is_0(start_up, alive, number: int) -> None:
    up = start_up("--no-simulate")
    up.wait_until_ready()
    endpoints = up.endpoints()
    assert set(up.pids) == {"up", "broker", "redis", "worker-1"}
    assert endpoints["workers"] == [up.pids["worker-1"]]
    assert all(alive(pid) for pid in up.pids.values())

    done = up.end(number)

    assert (done.code, done.err) == (0, "")
    assert not any(alive(pid) for pid in up.pids.values())
    assert not (up.data_dir / "endpoints.json").exists()


def test_when_up_is_killed_its_children_end_by_themselves_and_the_next_up_works(start_up, eventually, alive) -> None:
    first = start_up("--no-simulate", "--workers", "2")
    first.wait_until_ready()
    assert len(first.endpoints()["workers"]) == 2
    first.end(signal.SIGKILL)
    assert eventually(lambda: not any(alive(pid) for pid in first.pids.values()))

    second = start_up("--no-simulate")
    second.wait_until_ready()
    assert second.end(signal.SIGTERM).code == 0


def test_a_second_up_on_a_directory_in_use_is_refused_and_disturbs_nothing(start_up, livesegment, alive) -> None:
    up = start_up("--no-simulate")
    up.wait_until_ready()
    second = livesegment("up", "--no-simulate", "--data-dir", up.data_dir)
    assert second.code == 1
    assert f"Another `livesegment up` (pid {up.pids['up']}) runs on" in second.err
    assert len(second.err.splitlines()) == 1
    assert up.endpoints()["pids"] == up.pids
    assert all(alive(pid) for pid in up.pids.values())
    assert up.end(signal.SIGHUP).code == 0


def test_a_worker_or_a_redis_that_dies_is_started_again_and_the_reason_is_said(start_up, eventually) -> None:
    up = start_up("--no-simulate")
    up.wait_until_ready()
    before = up.endpoints()
    os.kill(up.pids["worker-1"], signal.SIGKILL)

    def worker_replaced() -> bool:
        workers = up.endpoints()["workers"]
        return bool(workers) and workers != before["workers"] and (up.data_dir / "worker-1.ready").exists()

    assert eventually(worker_replaced)
    os.kill(up.pids["redis"], signal.SIGKILL)
    assert eventually(lambda: up.endpoints()["pids"]["redis"] != up.pids["redis"])
    assert up.endpoints()["redis"] == before["redis"]

    done = up.end(signal.SIGTERM)
    assert done.code == 0
    assert "worker-1 ended: killed by SIGKILL; starting it again in 0.5 s" in done.err
    assert "redis ended (killed by SIGKILL)" in done.err


def test_one_of_two_workers_dies_and_every_event_counts_once(start_up, livesegment, eventually) -> None:
    up = start_up("--no-simulate", "--workers", "2")
    up.wait_until_ready()
    os.kill(up.pids["worker-2"], signal.SIGKILL)
    sent = livesegment("simulate", "--data-dir", up.data_dir, "--events", "20000", "--rate", "max", "--json").json[
        "sent"
    ]

    def counted() -> dict[str, int]:
        return livesegment("status", "--data-dir", up.data_dir, "--json").json["events"]

    assert eventually(lambda: counted()["read"] >= sent)
    found = counted()
    assert found["read"] == found["applied"] + found["duplicates"] + found["dead_letters"] == sent
    assert eventually(lambda: up.endpoints()["pids"].get("worker-2") not in {None, up.pids["worker-2"]})
    assert up.end(signal.SIGTERM).code == 0


def test_without_the_broker_up_ends_and_says_why(start_up, alive) -> None:
    up = start_up("--no-simulate")
    up.wait_until_ready()
    os.kill(up.pids["broker"], signal.SIGKILL)
    _, err = up.process.communicate()
    assert up.process.returncode == 1
    assert "The embedded broker ended (killed by SIGKILL)" in err
    assert not any(alive(pid) for pid in up.pids.values())


def test_the_given_time_ends_it_with_status_lines_where_there_is_no_terminal(livesegment, tmp_path: Path) -> None:
    done = livesegment("up", "--no-simulate", "--for", "7", "--data-dir", tmp_path / "d")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "ready"
    assert "events/s" in lines[1]


def test_a_terminal_gets_the_live_view_and_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    parent, child = pty.openpty()
    up = subprocess.Popen(
        [sys.executable, "-P", "-m", "stream.commands", "up", "--no-simulate", "--data-dir", str(tmp_path / "d")],
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
    )
    os.close(child)
    seen = b""
    while b"Ctrl-C ends everything" not in seen:
        seen += os.read(parent, 65536)
    up.send_signal(signal.SIGINT)
    try:
        while more := os.read(parent, 65536):
            seen += more
    except OSError:  # what a terminal says when the last process has left it
        pass
    assert up.wait() == 0
    os.close(parent)
    assert b"Traceback" not in seen


def test_more_workers_than_partitions_are_refused(livesegment, tmp_path: Path) -> None:
    done = livesegment("up", "--workers", "5", "--data-dir", tmp_path / "d")
    assert done.code == 2
    assert "5 workers cannot share 4 partitions" in done.err
    assert not (tmp_path / "d").exists()


def test_a_signal_while_it_starts_ends_it_too(start_up) -> None:
    up = start_up("--no-simulate")
    deadline = time.monotonic() + 60
    while not (up.data_dir / "up.lock").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    done = up.end(signal.SIGINT)
    assert done.code == 0
    assert "Traceback" not in done.err

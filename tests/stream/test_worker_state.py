from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stream import worker_state
from stream.errors import Fenced
from stream.worker_state import StateFile, keeping, read, read_all


@pytest.fixture
def gone() -> int:
    """The id of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def left_by(pid: int, folder: Path) -> StateFile:
    """The file of a worker that has this process id."""
    file = StateFile.claim(folder)
    file.state.pid = pid
    file.state.state = "running"
    file.write()
    return file


def test_workers_on_one_directory_get_a_file_each_and_the_dead_ones_place_is_taken(tmp_path: Path, gone: int) -> None:
    left_by(1, tmp_path)
    left_by(gone, tmp_path)
    file = StateFile.claim(tmp_path)
    assert file.path.name == "worker-2.json"
    assert set(read_all(tmp_path)) == {"worker-1", "worker-2"}
    assert file.state.last_stop is not None
    assert (file.state.last_stop.reason, file.state.last_stop.exit_code) == ("killed", -1)


def test_the_next_worker_knows_why_the_last_one_stopped(tmp_path: Path) -> None:
    with pytest.raises(Fenced), keeping(tmp_path):
        raise Fenced("partition 3: a newer owner exists")
    (kept,) = read_all(tmp_path).values()
    assert kept.state == "stopped"
    assert kept.last_stop is not None
    assert (kept.last_stop.reason, kept.last_stop.exit_code) == ("fenced", 75)
    assert "partition 3" in kept.last_stop.what
    assert StateFile.claim(tmp_path).state.last_stop == kept.last_stop


def test_a_worker_that_ends_in_order_leaves_no_file(tmp_path: Path) -> None:
    with keeping(tmp_path):
        assert read(tmp_path / "worker-1.json") is not None
    assert read_all(tmp_path) == {}
    assert worker_state.kept == []


def test_the_unexpected_is_kept_by_its_name_alone(tmp_path: Path) -> None:
    # Its text may be anything, a password in an address too.
    with pytest.raises(ValueError, match="hunter2"), keeping(tmp_path):
        raise ValueError("hunter2")
    assert "hunter2" not in (tmp_path / "worker-1.json").read_text()
    assert "unexpected ValueError" in (tmp_path / "worker-1.json").read_text()


def test_a_directory_that_cannot_be_written_keeps_nobody_from_working(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with keeping(tmp_path / "file" / "d"):
        assert worker_state.kept == []


def test_a_file_that_makes_no_sense_counts_as_none(tmp_path: Path) -> None:
    for number, text in enumerate(["", "{", "[]", '{"pid": 1}', '{"pid": 1, "last_stop": {"odd": 1}}'], start=1):
        (tmp_path / f"worker-{number}.json").write_text(text)
    assert read_all(tmp_path) == {}
    assert StateFile.claim(tmp_path).path.name == "worker-1.json"

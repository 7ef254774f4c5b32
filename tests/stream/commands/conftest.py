"""The command line as a user has it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.kit.processes import alive, eventually

COMMAND = [sys.executable, "-P", "-m", "stream.commands"]


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of standard output, which with --json is the answer."""
        return json.loads(self.out.splitlines()[-1])


@dataclass
class Up:
    """A running `livesegment up`."""

    process: subprocess.Popen[str]
    data_dir: Path
    pids: dict[str, int] = field(default_factory=dict)

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == "ready":
                self.pids = self.endpoints()["pids"]
                return
        raise AssertionError(f"up ended before it was ready: {self.process.communicate()}")

    def endpoints(self) -> dict[str, Any]:
        return json.loads((self.data_dir / "endpoints.json").read_text())

    def end(self, number: int) -> Done:
        self.process.send_signal(number)
        out, err = self.process.communicate()
        return Done(self.process.returncode, out, err)


@pytest.fixture
def livesegment(tmp_path: Path) -> Callable[..., Done]:
    """Run one command to its end; keyword arguments are environment variables."""

    def run(*words: str | Path, **environment: str) -> Done:
        done = subprocess.run(
            [*COMMAND, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, **environment},
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Start `livesegment up`; whatever the test does, nothing of it is left."""
    started: list[Up] = []

    def start(*words: str, data_dir: Path | None = None) -> Up:
        folder = data_dir or tmp_path / "d"
        process = subprocess.Popen(
            [*COMMAND, "up", "--data-dir", str(folder), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        started.append(Up(process, folder))
        return started[-1]

    yield start
    for up in started:
        if up.process.poll() is None:
            up.process.send_signal(signal.SIGKILL)
        up.process.communicate()


@pytest.fixture(name="eventually")
def _eventually() -> Callable[[Callable[[], bool]], bool]:
    return eventually


@pytest.fixture(name="alive")
def _alive() -> Callable[[int], bool]:
    return alive

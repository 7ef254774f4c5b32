"""The small file in which a worker keeps how it stands, and why the one before it in the same place stopped.

`livesegment health` reads it: a supervisor's probe must cost next to nothing and ask no server. One file a worker,
`worker-N.json` of the data directory; N is the first number whose file no living worker keeps. Removed by a worker that
ends in order, so a file without its process is a death.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from stream import log
from stream.errors import LivesegmentError

PATTERN = "worker-*.json"
WORKERS_MAX = 1_000
"""Files that are looked at in one data directory."""
FRESH_S = 15.0
"""A worker writes every second; a file this old is kept by nobody who is well."""
WORDS_MAX = 500
"""Characters of an error that are kept."""

Standing = Literal["starting", "recovering", "rebuilding", "running", "stopped"]


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a worker stopped: the error's name, the exit code (-1 where there was none) and one sentence."""

    reason: str
    exit_code: int
    what: str
    at: int
    """Milliseconds since 1970."""


@dataclass(slots=True)
class WorkerState:
    """What the file holds."""

    pid: int
    at: int = 0
    """When it was written, milliseconds since 1970."""
    state: Standing = "starting"
    kafka: bool = True
    """Whether Kafka heard a heartbeat lately."""
    redis: bool = True
    partitions: list[int] = field(default_factory=list)
    lag: int = 0
    """Records that wait in the worker's partitions."""
    last_stop: Stop | None = None
    """Of the worker before it in this place; of this one where `state` is stopped."""

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        with suppress(PermissionError):
            try:
                os.kill(self.pid, 0)
            except (ProcessLookupError, OverflowError):
                return False
        return True

    @property
    def age_s(self) -> float:
        """Seconds since it was written."""
        return max(0.0, time.time() - self.at / 1000)


class StateFile:
    """The file of this process. `write` and `stop` never raise: a full disk must not end a worker."""

    def __init__(self, path: Path, state: WorkerState) -> None:
        self.path = path
        self.state = state

    @classmethod
    def claim(cls, folder: Path) -> StateFile:
        """Take the first free place in `folder` and say `starting` there. OSError where nothing can be written."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "workers.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for number in range(1, WORKERS_MAX + 1):
                path = folder / f"worker-{number}.json"
                before = read(path)
                if before is None or before.pid == os.getpid() or not before.alive or before.age_s > 2 * FRESH_S:
                    break
            file = cls(path, WorkerState(os.getpid(), last_stop=stop_of(before)))
            file.write()
        return file

    def write(self) -> None:
        """Write the state, whole or not at all."""
        self.state.at = time.time_ns() // 1_000_000
        fresh = self.path.with_suffix(".new")
        with suppress(OSError):
            fresh.write_text(json.dumps(asdict(self.state)) + "\n", encoding="utf-8")
            fresh.replace(self.path)

    def stop(self, reason: str, exit_code: int, what: str) -> None:
        """Keep why this process ends."""
        self.state.state = "stopped"
        self.state.last_stop = Stop(reason, exit_code, what[:WORDS_MAX], time.time_ns() // 1_000_000)
        self.write()

    def close(self) -> None:
        """Remove the file: the worker ended in order."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def stop_of(before: WorkerState | None) -> Stop | None:
    """Return why the process behind a left file stopped; one that had no time to say so was killed."""
    if before is None or before.state == "stopped":
        return before.last_stop if before else None
    return Stop("killed", -1, "It ended without a word: killed, or the machine ran out of memory", before.at)


def read(path: Path) -> WorkerState | None:
    """Return what a file holds, None where there is none that can be read."""
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stop = said.pop("last_stop")
        return WorkerState(**said, last_stop=stop and Stop(**stop))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_all(folder: Path) -> dict[str, WorkerState]:
    """Return by name what every worker of the data directory says of itself."""
    found = {path.stem: read(path) for path in sorted(folder.glob(PATTERN))[:WORKERS_MAX]}
    return {name: state for name, state in found.items() if state is not None}


def clear(folder: Path) -> None:
    """Remove every worker's file: none of them runs."""
    for path in folder.glob(PATTERN):
        path.unlink(missing_ok=True)


kept: list[StateFile] = []
"""The file of this process, where it is a worker: what ends the process has nobody to ask for it."""


def stopping(reason: str, exit_code: int, what: str) -> None:
    """Keep why this process ends, where it is a worker."""
    for file in kept:
        file.stop(reason, exit_code, what)


@contextmanager
def keeping(folder: Path) -> Iterator[None]:
    """Keep this worker's state in `folder` inside the block; where that cannot be written, go on without."""
    try:
        file = StateFile.claim(folder)
    except OSError as problem:
        log.get(__name__).warning("state_not_kept", folder=str(folder), error=problem.strerror)
        yield
        return
    kept.append(file)
    try:
        yield
    except LivesegmentError as error:
        file.stop(error.reason(), error.exit_code, str(error))
        raise
    except BaseException as error:
        file.stop("unexpected", LivesegmentError.exit_code, f"unexpected {type(error).__name__}")
        raise
    else:
        file.close()
    finally:
        kept.remove(file)

"""Workers under a supervisor, as they run in production: one that ends is started again, and why it ended is kept.

The supervisor is a thread that starts, watches and restarts; tests only say how many workers there are to be, and send
signals. Every worker dies with the test process, even if that is killed. They are forked from a nursery (see there),
which is a start in a tenth of the time.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from stream.failpoints import VARIABLE
from tests.proof.nursery import Nursery, Seedling

LOOK_S = 0.05
BACKOFF_S = 0.5
"""Between a death and the next start; short, since what is to be proved lies after it."""
LEAVE_S = 15.0


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of one worker process."""

    slot: int
    code: int
    """Exit code; negative is the signal that ended it."""
    reason: str
    """The signal that ended it; else what its last `worker_stopped` line says; else the last lines of its log."""
    log: Path


class Slot:
    """One place of the supervisor: at most one process at a time."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.child: Seedling | None = None
        self.wanted = True
        self.starts = 0
        self.due = 0.0
        self._folder = folder

    @property
    def log(self) -> Path:
        """What the present process, or the last one, wrote."""
        return self._folder / f"worker-{self.number}-{self.starts}.log"

    @property
    def ready_file(self) -> Path:
        """Written by the present process once its partitions are recovered."""
        return self._folder / f"ready-{self.number}-{self.starts}"

    @property
    def pid(self) -> int:
        """Process id; 0 while nothing runs."""
        return self.child.pid if self.child else 0

    @property
    def ready(self) -> bool:
        """Whether the process runs and has recovered its first partitions."""
        return bool(self.pid) and self.ready_file.exists()


class Workers:
    """The supervisor. A context manager: everything it started ends with it."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *options: str) -> None:
        self.slots: list[Slot] = []
        self.exits: list[Exit] = []
        """Every end of a process so far, expected or not."""
        self.restarting = True
        """False leaves ended workers ended."""
        self.environment = dict(environment)
        """Of processes started from now on."""
        self.plans: deque[str] = deque()
        """Failpoints of the next starts, one plan each; then none."""
        self._folder = folder
        self._options = options
        self._nursery = Nursery()
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="workers", daemon=True)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._nursery.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._nursery.__exit__()

    def resize(self, count: int) -> None:
        """Have `count` workers: new ones are started, surplus ones told to leave (SIGTERM) and waited for."""
        with self._lock:
            for slot in self.slots:
                slot.wanted = slot.number < count
            self.slots += [Slot(number, self._folder) for number in range(len(self.slots), count)]
        surplus = [slot.number for slot in self.slots if not slot.wanted]
        if surplus:
            self.signal(signal.SIGTERM, *surplus)
            self._until(lambda: all(slot.wanted or slot.child is None for slot in self.slots), LEAVE_S, "the leave")

    def pids(self) -> list[int]:
        """Process ids of the running workers, by slot."""
        return [slot.pid for slot in self.slots if slot.pid]

    def signal(self, number: int, *slots: int) -> list[int]:
        """Send a signal to the workers in `slots`, by default to all; returns the process ids that got it."""
        sent = []
        for slot in self.slots:
            pid = slot.pid
            if pid and (not slots or slot.number in slots):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, number)
                    sent.append(pid)
        return sent

    def kill(self, *slots: int) -> list[int]:
        """SIGKILL; the supervisor starts them again."""
        return self.signal(signal.SIGKILL, *slots)

    def until_ready(self, timeout_s: float = 90.0) -> None:
        """Return once every wanted worker runs and has recovered."""
        self._until(
            lambda: all(slot.ready for slot in self.slots if slot.wanted), timeout_s, "every worker to be ready"
        )

    def ends(self) -> str:
        """Return in words how the last workers ended and what the present ones said last."""
        said = "".join(f"\n  slot {slot.number}:{tail(slot.log)}" for slot in self.slots)
        return f"last exits {[(end.code, end.reason) for end in self.exits[-3:]]}{said}"

    def logs(self) -> str:
        """Everything that all workers wrote, process by process."""
        return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in self.log_files())

    def log_files(self) -> list[Path]:
        """The log of every process so far, oldest first."""
        return sorted(self._folder.glob("worker-*.log"), key=lambda path: path.stat().st_mtime)

    def _until(self, condition: object, timeout_s: float, what: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():  # type: ignore[operator]
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {timeout_s:g} s for {what}; {self.ends()}")
            time.sleep(LOOK_S)

    def _supervise(self) -> None:
        while not self._ending.wait(LOOK_S):
            with self._lock:
                for slot in self.slots:
                    self._look_after(slot)

    def _look_after(self, slot: Slot) -> None:
        if slot.child is not None and slot.child.exit_code is not None:
            self.exits.append(Exit(slot.number, slot.child.exit_code, reason(slot), slot.log))
            slot.child = None
            slot.due = time.monotonic() + BACKOFF_S
        first = not slot.starts
        if slot.child is None and slot.wanted and (first or self.restarting) and time.monotonic() >= slot.due:
            slot.starts += 1
            environment = {**self.environment, "LIVESEGMENT_READY_FILE": str(slot.ready_file)}
            if self.plans:
                environment[VARIABLE] = self.plans.popleft()
            slot.child = self._nursery.start(["worker", *self._options], slot.log, environment)


def reason(slot: Slot) -> str:
    """Return why the process of a slot ended."""
    if slot.child is not None and (slot.child.exit_code or 0) < 0:
        return f"killed by {signal.Signals(-(slot.child.exit_code or 0)).name}"
    lines = slot.log.read_text(encoding="utf-8", errors="replace").splitlines() if slot.log.exists() else []
    for line in reversed(lines):
        if '"worker_stopped"' in line:
            return str(json.loads(line)["reason"])
    return "\n".join(lines[-5:])


def tail(log: Path, lines: int = 6) -> str:
    """Return the last lines of a log, indented for a message."""
    if not log.exists():
        return "(no log)"
    said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "".join(f"\n    {line}" for line in said)

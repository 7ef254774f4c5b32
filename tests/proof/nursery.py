"""Workers that start in a tenth of the time: forked from a process that has imported everything but our own code.

A proof starts hundreds of workers, and each would spend two seconds importing the same libraries. The nursery imports
them once and forks; a fork sets its environment, imports `stream` anew (failpoints are read at import) and runs the
command as `python -m stream.commands` would. It is a real process of its own: group, signals, memory and death are its
own, and it dies with the nursery, which dies with whoever started it.

    nursery reads  {"environment": {...}, "log": "/path", "arguments": ["worker", ...]}     from standard input
    nursery says   {"started": 4711}     {"ended": 4711, "code": -9}                         on standard output
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
PR_SET_PDEATHSIG = 1
START_S = 60.0


class Seedling:
    """One process that a nursery started."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self._pid = pid
        self.started_at = time.monotonic()

    @property
    def pid(self) -> int:
        """The process id; 0 once it has ended."""
        return self._pid if self.exit_code is None else 0

    @property
    def exit_code(self) -> int | None:
        """None while it runs, else the exit code, negative for a signal."""
        return self._nursery.codes.get(self._pid)


class Nursery:
    """The side of the nursery that asks. A context manager; `start` is for one thread at a time."""

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        """Exit codes by process id."""
        self._started: queue.Queue[int] = queue.Queue()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        threading.Thread(target=self._listen, args=(self._process,), name="nursery", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(START_S)

    def start(self, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> Seedling:
        """Start `livesegment` with these arguments; what it writes goes to `log`."""
        assert self._process is not None
        assert self._process.stdin is not None
        asked = {"environment": dict(environment), "log": str(log), "arguments": list(arguments)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        return Seedling(self, self._started.get(timeout=START_S))

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                said = json.loads(line)
                if "started" in said:
                    self._started.put(said["started"])
                else:
                    self.codes[said["ended"]] = said["code"]


def main() -> None:
    """Import, then fork on request until standard input ends."""
    for name in ("stream.commands", "stream.commands.worker", "stream.app"):
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "stream"]:
        del sys.modules[name]
    reading, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    asked = b""
    while True:
        ready, _, _ = select.select([0, reading], [], [])
        if reading in ready:
            os.read(reading, 4096)
            _reap()
        if 0 in ready:
            data = os.read(0, 65_536)
            if not data:
                os._exit(0)
            *lines, asked = (asked + data).split(b"\n")
            for line in lines:
                _fork(json.loads(line))


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _fork(asked: dict[str, Any]) -> None:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        _say({"started": pid})
        return
    code = 70
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        out = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for number in (1, 2):
            os.dup2(out, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = ["livesegment", *asked["arguments"]]
        importlib.import_module("stream.commands").main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 (what an interpreter does with it)
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _say(what: dict[str, int]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()

"""Child processes that never outlive their parent, with their output in files and a restart after a death.

Each child leads its own process group (a terminal's Ctrl-C reaches only the parent, which then ends them in order) and
runs under `guard`, so that it dies with the parent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from stream.embedded import guard

TAIL_BYTES = 4096
TAIL_LINES = 12
MAX_LOG_BYTES = 64 * 1024 * 1024
STABLE_S = 60.0
"""A child that lived this long starts its backoff anew when it dies."""


class Child:
    """One supervised process: how to start it, and the process while it runs.

    Not for use from short-lived threads: the child would die with the thread that started it (see `guard`).
    """

    def __init__(self, name: str, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.env = dict(os.environ if env is None else env)
        self.deaths = 0
        self.started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 while it does not run."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    @property
    def exit_code(self) -> int | None:
        """None while it runs or was never started, else the exit code, negative for a signal."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start the process; its output is appended to the log file. OSError if the log cannot be written."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES
        command = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *self.argv]
        with self.log.open("wb" if fresh else "ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - no shell, our own command
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.env, start_new_session=True
            )
        self.started_at = time.monotonic()

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM to its group)."""
        self._signal(signal.SIGTERM)

    def hurry(self) -> None:
        """End the process at once, without waiting for it: safe in a signal handler."""
        self._signal(signal.SIGKILL)

    def kill(self) -> None:
        """End everything in the process's group at once, also what a dead process left there, and reap it."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end; False if it still runs after `timeout_s`."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            return False
        return True

    def backoff_s(self) -> float:
        """Return how long to wait before the next start: .5 s doubling to 15 s, anew after a stable minute."""
        if time.monotonic() - self.started_at > STABLE_S:
            self.deaths = 0
        self.deaths += 1
        return float(min(15.0, 0.5 * 2 ** (self.deaths - 1)))

    def why(self) -> str:
        """Return in words how the process ended."""
        code = self.exit_code
        if code is None:
            return "still runs"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"

    def tail(self) -> str:
        """Return the last lines of the log, indented for a message; empty where there are none."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return "".join(f"\n    {line}" for line in lines[-TAIL_LINES:])

    def _signal(self, number: int) -> None:
        if self._process and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def stop(children: Sequence[Child], timeout_s: float) -> list[str]:
    """End `children` together: SIGTERM, `timeout_s` for all of them, then SIGKILL. Returns who had to be killed."""
    deadline = time.monotonic() + timeout_s
    for child in children:
        child.terminate()
    killed = []
    for child in children:
        if not child.wait(deadline - time.monotonic()):
            killed.append(child.name)
            child.kill()
    return killed

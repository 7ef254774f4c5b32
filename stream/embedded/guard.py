"""Runs a command that dies with its parent, even when the parent is killed with SIGKILL.

Run as a plain script, `python -I -S guard.py PARENT_PID COMMAND...`: it asks the kernel for a SIGKILL at the parent's
death, looks whether the parent is still there, and becomes the command (same process id, no process in between). Where
the kernel cannot do that (macOS) a small watcher is left behind that looks every half second.

The kernel's promise is bound to the parent's *thread* that started the command: start children from a thread that
lives as long as the process does. Standard library only, so it costs a few milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
LOOK_S = 0.5


def main(argv: list[str]) -> None:
    """Become the command of `argv[1:]`, tied to the process `argv[0]`; exits 127 where it cannot be started."""
    parent = int(argv[0])
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        watch(parent)
    if os.getppid() != parent:  # it died before the request to the kernel was in place
        os._exit(1)
    try:
        os.execv(argv[1], argv[1:])  # noqa: S606 - the command comes from the supervisor, no shell
    except OSError as problem:
        sys.stderr.write(f"cannot start {argv[1]}: {problem}\n")
        os._exit(127)


def watch(parent: int) -> None:
    """Leave a watcher behind that kills this process's group when `parent` is gone, and ends when this process does."""
    guarded = os.getpid()
    if os.fork():
        return
    os.setsid()
    while os.getppid() == guarded:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(guarded, signal.SIGKILL)
            break
        time.sleep(LOOK_S)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])

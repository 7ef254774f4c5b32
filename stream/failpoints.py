"""Named points in the protocol at which a test may end, delay or fail this process.

    LIVESEGMENT_FAILPOINTS="rows_acked=kill:3,marker=sleep:0.5,acked=raise:2"

- `kill:N`     SIGKILL to itself at the Nth hit; `kill:N:MS` that many milliseconds later, from another thread, so that
               it falls anywhere into what follows
- `raise:N`    an error that nobody expects, at the Nth hit
- `sleep:S`    S seconds at every hit, in which nothing else happens in the process either

The variable is read once, at import. Without it `hit` is an empty function: below a tenth of a microsecond, at most a
dozen times a group of events. It is for tests and in no settings table; whoever can set it can end the process anyway.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from stream.errors import WrongSettings

VARIABLE: Final = "LIVESEGMENT_FAILPOINTS"
POINTS: Final = (
    "decoded",
    "applied",
    "rows_sent",
    "rows_acked",
    "changes_sent",
    "changes_acked",
    "triggers_sent",
    "triggers_acked",
    "redis_written",
    "acked",
    "swept",
    "dirty_flushed",
    "committed",
    "init_producer",
    "marker",
    "changelog_read",
    "redis_claimed",
    "resent",
    "model_swapped",
)
"""Every point, in the order of docs/exactness.md: a group of events, a commit, a take-over, a new model."""

log = structlog.get_logger(__name__)


class FailpointError(RuntimeError):
    """What `raise` raises: not in the tree of errors, since it stands for what nobody thought of."""


def off(name: str) -> None:
    """Do nothing."""


def armed(plan: str) -> Callable[[str], None]:
    """Return the `hit` that follows `plan`. Raises WrongSettings."""
    actions = dict(_parsed(part) for part in plan.split(","))
    hits: Counter[str] = Counter()

    def hit(name: str) -> None:
        if name in actions:
            hits[name] += 1
            actions[name](name, hits[name])

    log.warning("failpoints_armed", plan=plan)
    return hit


def _parsed(part: str) -> tuple[str, Callable[[str, int], None]]:
    name, _, action = part.strip().partition("=")
    verb, *numbers = action.split(":")
    if name not in POINTS:
        raise WrongSettings(
            f"{VARIABLE} names {name!r}, which is no failpoint", action=f"use one of {', '.join(POINTS)}"
        )
    try:
        return name, _ACTIONS[verb](*(float(number) for number in numbers))
    except (KeyError, TypeError, ValueError):
        raise WrongSettings(
            f"{VARIABLE} asks {action!r} of {name}", action="use kill:N, kill:N:MILLISECONDS, raise:N or sleep:SECONDS"
        ) from None


def _kill(at: float = 1.0, after_ms: float = 0.0) -> Callable[[str, int], None]:
    def act(_: str, count: int) -> None:
        if count == at and after_ms:
            threading.Timer(after_ms / 1000, os.kill, (os.getpid(), signal.SIGKILL)).start()
        elif count == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def _raise(at: float = 1.0) -> Callable[[str, int], None]:
    def act(name: str, count: int) -> None:
        if count == at:
            raise FailpointError(f"failpoint {name}")

    return act


def _sleep(seconds: float) -> Callable[[str, int], None]:
    def act(_: str, __: int) -> None:
        time.sleep(seconds)

    return act


_ACTIONS: Final[dict[str, Callable[..., Callable[[str, int], None]]]] = {
    "kill": _kill,
    "raise": _raise,
    "sleep": _sleep,
}

hit: Callable[[str], None] = armed(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else off
"""Called at each point, with its name."""

"""docs/operations.md: how a supervisor knows how a worker is, and what to do about each way in which one stops."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from stream.errors import FailStop, KafkaUnreachable, LivesegmentError, RedisUnreachable, TopicsDiffer, WrongSettings

ABOUT = """\
# Operations

Generated from `stream/errors.py` and `stream/operations.py` by `python -m stream.docs`; do not edit.

## Is it well?

`livesegment health` answers in one line and by its exit code. It reads the small file `worker-N.json` that each worker
writes every second into its data directory (setting `data_dir`), and asks no server, so it may run often. Kubernetes,
systemd and Docker can all run a command; `deploy/Dockerfile` has it as its HEALTHCHECK.

| exit code | the worker | a supervisor should |
| --- | --- | --- |
| 0 | healthy: it owns its share of the partitions, which may be none, and Redis is filled | do nothing |
| 4 | not ready: it starts, takes partitions over, or fills Redis anew | wait; send no traffic that needs it |
| 5 | runs, but Kafka or Redis does not answer; or stopped because of that | look at Kafka or Redis |
| 1 | stopped by itself, is dead, or has said nothing for 15 s | start it again; read the reason |
| 3 | nobody keeps a file here | check `LIVESEGMENT_DATA_DIR` |

Only 1 is worth a restart. A worker waits for a Redis that is away, for ever, and holds a bounded number of events
meanwhile. A worker whose Kafka is away ends with 5 when a write has waited for 40 s, and its supervisor tries again.

## Why did it stop?

A worker that cannot keep its promises ends instead of guessing, at once and with nothing acknowledged. The reason is in
its log (`worker_stopped`), in `livesegment health`, and, once it runs again, in metric `last_stop` and in
`livesegment status` (`last_stops`). The exit code says whether another start is the cure:

- **75**: start it again at once (systemd: `Restart=on-failure`). Nothing is lost by it.
- **5**: start it again, with a growing pause.
- **1**, **2**: start it again if you like; it will end the same way until somebody acts.

Watchdogs end a worker in which something stood still for `watchdog_s`. Time in which the process itself was paused does
not count, nor does waiting for Redis; while no broker accepts a connection they keep quiet.

| reason | code | what happened | what to do |
| --- | --- | --- | --- |
"""

KILLED = (
    "| `killed` | | It ended without a word: SIGKILL, or the machine ran out of memory. "
    "| look at the kernel's log for `Out of memory`; a restart goes on from the last commit |\n"
    "| `unexpected` | 1 | An error that nobody foresaw. | report it with the log |\n"
)


def as_markdown() -> str:
    """Return the page."""
    return ABOUT + "".join(_row(error) for error in stops()) + KILLED


def stops() -> list[type[LivesegmentError]]:
    """Return every error that can end a worker."""
    return [*_tree(FailStop), KafkaUnreachable, RedisUnreachable, TopicsDiffer, WrongSettings]


def _tree(root: type[LivesegmentError]) -> Iterator[type[LivesegmentError]]:
    for child in root.__subclasses__():
        if child.__subclasses__() and child.__name__ == "Watchdog":
            yield from _tree(child)
        else:
            yield child
            yield from _tree(child)


def _row(error: type[LivesegmentError]) -> str:
    what = (inspect.getdoc(error) or "").partition("Operator action:")[0].strip()
    return f"| `{error.reason()}` | {error.exit_code} | {what} | {error.advice} |\n"

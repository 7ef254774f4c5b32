"""What must move and stands still ends the worker, with a reason; and every second the worker's state is written down.

Standing still is counted in ticks of this process, never measured by a clock: one that was paused is not judged for the
pause. Waiting for a Redis or a Kafka that is away is no standstill: those are waited for, and `health` says so.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import structlog
from faust.types.tuples import TP

from models.batch import SOURCES
from stream import worker_state
from stream.errors import AgentEnded, CommitStuck, FailStop, HeartbeatLost, LoopStalled, NoProgress
from stream.partition.partition import Partition
from stream.partition.shared import fail_stop

if TYPE_CHECKING:
    from stream.app import SegmenterApp

log = structlog.get_logger(__name__)

TICK_S = 1.0
CONNECT_S = 2.0
LAST_WORDS_S = 5.0
"""A log that nobody reads may block the last line; the process ends all the same."""
REDIS_QUIET_TICKS = 12
"""Ticks without a repeated command after which Redis is taken to answer; its own timeout is 10 s."""


class Standstill:
    """Counts the ticks in which a thing that was due to move did not.

    >>> standstill = Standstill()
    >>> [standstill.ticks("x", sign, due=True) for sign in (1, 1, 1, 2)]
    [0, 1, 2, 0]
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[object, int]] = {}

    def ticks(self, what: str, sign: object, *, due: bool) -> int:
        """Return for how many ticks `what` has shown the same `sign`; 0 where it need not move."""
        before, count = self._seen.get(what, (None, 0))
        count = count + 1 if due and before == sign else 0
        self._seen[what] = (sign, count)
        return count


class LoopWatch(threading.Thread):
    """A thread that ends the process when the event loop, which calls `beat` every tick, has stopped turning."""

    def __init__(self, limit_ticks: int) -> None:
        super().__init__(name="loop-watch", daemon=True)
        self._limit = limit_ticks
        self._beats = 0
        self._loop_thread = threading.get_ident()
        self._ended = threading.Event()

    def beat(self) -> None:
        """Say that the loop turns."""
        self._beats += 1

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()

    def run(self) -> None:
        """Watch until `end`."""
        standstill = Standstill()
        while not self._ended.wait(TICK_S):
            if standstill.ticks("loop", self._beats, due=True) >= self._limit:
                last_words = threading.Timer(LAST_WORDS_S, os._exit, (LoopStalled.exit_code,))
                last_words.daemon = True
                last_words.start()
                fail_stop(
                    LoopStalled(f"the event loop has not turned for {self._limit} s; it stands in {self._where()}")
                )

    def _where(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 (there is no public way to another thread)
        stack = traceback.extract_stack(frame) if frame else []
        return " < ".join(f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in reversed(stack[-3:]))  # noqa: PTH119 (a name, not a path)


class Watchdogs:
    """Looks at everything that must move, every tick, on the worker's own loop."""

    def __init__(self, app: SegmenterApp) -> None:
        self._app = app
        self._owner = app.livesegment_owner
        self._settings = app.livesegment_settings
        self._limit = max(2, round(self._settings.watchdog_s / TICK_S))
        self._standstill, self._quiet = Standstill(), Standstill()
        self._actors: dict[str, Any] = {}

    async def run(self) -> None:
        """Watch for ever. Raises Watchdog errors."""
        loop_watch = LoopWatch(self._limit)
        loop_watch.start()
        try:
            while True:
                await asyncio.sleep(TICK_S)
                loop_watch.beat()
                for stop in self.found():
                    if await asyncio.to_thread(answers, self._settings.kafka):
                        raise stop
                    # Nothing can move meanwhile, and all of it gets its time again when Kafka is back.
                    log.warning("kafka_unreachable", waiting=stop.reason())
                    self._standstill = Standstill()
                    break
                self._write_state()
        finally:
            loop_watch.end()

    def found(self) -> Iterator[FailStop]:
        """Yield what has stood still for too long."""
        yield from self._agents()
        retries = self._owner.shared.metrics.counters["redis_retries"]
        for number, partition in list(self._owner.partitions.items()):
            lag = self._lag(partition)
            sign = (_moved(partition), retries)
            taken = number in self._owner.running
            if self._still(f"partition {number}", sign, due=lag > 0 or not taken):
                doing = f"{lag} events wait" if taken else "it is being taken over"
                yield NoProgress(f"partition {number} has not moved for {self._limit} s while {doing}")
            yield from self._commits(partition, retries)
        beats = self._app.consumer.heartbeats
        patience = round(self._settings.session_timeout_s / TICK_S)
        if self._standstill.ticks("heartbeat", beats, due=beats > 0) >= self._limit + patience:
            yield HeartbeatLost(f"Kafka's group has heard no heartbeat of this worker for {self._limit + patience} s")

    def _still(self, what: str, sign: object, *, due: bool) -> bool:
        return self._standstill.ticks(what, sign, due=due) >= self._limit

    def _agents(self) -> Iterator[FailStop]:
        for name, agent in self._app.agents.items():
            for actor in list(agent._actors):  # noqa: SLF001 (Faust says nowhere else which tasks an agent has)
                before = self._actors.setdefault(name, actor)
                if before is not actor or actor.actor_task.done():
                    yield AgentEnded(f"the agent {name} ended while the worker runs; what it held is not acknowledged")
        for number, task in self._owner.running.items():
            if task.done():
                yield AgentEnded(f"the task of partition {number} ended while the worker owns it")

    def _commits(self, partition: Partition, retries: int) -> Iterator[FailStop]:
        for topic, position in partition.positions.items():
            committed = self._app.consumer.confirmed.get(TP(topic, partition.number))
            behind = committed is not None and position.next > committed
            if self._still(f"commit {topic} {partition.number}", (committed, retries), due=behind):
                yield CommitStuck(
                    f"offsets of {topic} partition {partition.number} have not been committed for {self._limit} s "
                    f"(at {committed}, durable up to {position.next})"
                )

    def _lag(self, partition: Partition) -> int:
        lag = 0
        for topic in SOURCES:
            high = self._owner.highwater(topic, partition.number)
            position = partition.positions.get(topic)
            lag += max(0, (high or 0) - (position.next if position else 0))
        return lag

    def _write_state(self) -> None:
        counters = self._owner.shared.metrics.counters
        patience = round(self._settings.session_timeout_s / TICK_S)
        for file in worker_state.kept:
            state = file.state
            state.state = self._owner.standing
            state.partitions = sorted(self._owner.running)
            state.lag = sum(self._lag(partition) for partition in self._owner.partitions.values())
            state.kafka = self._quiet.ticks("kafka", self._app.consumer.heartbeats, due=True) < patience
            quiet = self._quiet.ticks("redis", counters["redis_retries"], due=True)
            state.redis = not counters["redis_retries"] or quiet >= REDIS_QUIET_TICKS
            file.write()


def _moved(partition: Partition) -> object:
    """Return what changes whenever a partition does anything: events, recovery, rows, Redis."""
    counted = tuple(position.next for position in partition.positions.values())
    return counted, len(partition.table), partition.writer.wrote_at, partition.view.writes


def answers(kafka: str) -> bool:
    """Whether a broker of `host:port,...` accepts a connection."""
    for server in kafka.split(","):
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host, int(port)), CONNECT_S).close()
        except OSError:
            continue
        return True
    return False

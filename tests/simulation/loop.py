"""An event loop with a virtual clock that runs several simulated processes, the next step always chosen by the seed.

A process is what one worker would be: killed, none of its callbacks ever runs again, not even a `finally`; paused, they
wait and its timers with them. What is on the wire belongs to no process and arrives all the same.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, NoReturn

STEPS_MAX = 400_000
"""A run that takes more steps is caught in a loop."""


class Ended(BaseException):
    """The simulated process ended itself, or something was asked of the outside after its end."""


class Stuck(AssertionError):  # noqa: N818 (says what happened)
    """Nobody can go on, or nobody comes to an end."""


class Process:
    """What can be killed or paused as one."""

    __slots__ = ("alive", "name", "paused", "ready", "tasks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.ready: deque[asyncio.Handle] = deque()
        self.tasks: list[asyncio.Task[Any]] = []

    def __repr__(self) -> str:
        return self.name


class Loop(asyncio.AbstractEventLoop):
    """Runs handles of all processes one at a time. Whatever is scheduled belongs to the process that scheduled it."""

    def __init__(self, rng: random.Random, *, disorder: float = 0.0) -> None:
        """`disorder`: how often a process's next callback is not its oldest one, as asyncio would have it."""
        self._rng = rng
        self._disorder = disorder
        self._now_s = 0.0
        self._timers: list[tuple[float, int, Process, asyncio.TimerHandle]] = []
        self._number = 0
        self._closed = False
        self.steps = 0
        self.wire = Process("wire")
        self.current = self.wire
        self.processes = [self.wire]
        self.on_step: Callable[[], None] = lambda: None

    def process(self, name: str) -> Process:
        """Make a process."""
        made = Process(name)
        self.processes.append(made)
        return made

    def run(self, done: Callable[[], bool]) -> None:
        """Step until `done`. Raises Stuck where nothing is left to do or no end is in sight."""
        asyncio.events._set_running_loop(self)
        try:
            while not done():
                self.steps += 1
                if self.steps > STEPS_MAX:
                    raise Stuck(f"no end after {STEPS_MAX} steps")
                self.on_step()
                self._step()
        finally:
            asyncio.events._set_running_loop(None)

    def _step(self) -> None:
        timers = self._timers
        while timers and timers[0][0] <= self._now_s:
            self._due()
        runnable = [each for each in self.processes if each.ready and not each.paused]
        while not runnable:
            if not timers:
                raise Stuck("every process waits for ever")
            self._now_s = max(self._now_s, timers[0][0])
            self._due()
            runnable = [each for each in self.processes if each.ready and not each.paused]
        chosen = runnable[0] if len(runnable) == 1 else self._rng.choice(runnable)
        at = 0
        if len(chosen.ready) > 1 and self._disorder and self._rng.random() < self._disorder:
            at = self._rng.randrange(len(chosen.ready))
        handle = chosen.ready[at]
        del chosen.ready[at]
        if not handle.cancelled():
            self.current = chosen
            handle._run()
            self.current = self.wire

    def _due(self) -> None:
        _, _, process, handle = heapq.heappop(self._timers)
        if process.alive and not handle.cancelled():
            process.ready.append(handle)

    def kill(self, process: Process) -> None:
        """End a process at this very step."""
        process.alive = False
        process.ready.clear()
        self.processes.remove(process)

    def post(self, process: Process, delay_s: float, callback: Callable[..., Any], *args: Any) -> None:
        """Run a callback in another process; nothing happens where that has ended by then."""
        before, self.current = self.current, process
        self.call_later(delay_s, callback, *args)
        self.current = before

    def finish(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Close what was never run to its end, so that nothing of this run stirs later."""
        self._closed = True
        asyncio.events._set_running_loop(self)
        try:
            for task in tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                for _ in range(5):
                    try:
                        task.get_coro().close()
                    except BaseException:  # noqa: BLE001 (a `finally` that awaits: the next close gets further)
                        continue
                    break
        finally:
            asyncio.events._set_running_loop(None)

    def time(self) -> float:
        return self._now_s

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        if self.current.alive and not self._closed:
            self.current.ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if self.current.alive and not self._closed:
            self._number += 1
            heapq.heappush(self._timers, (when, self._number, self.current, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **names: Any) -> asyncio.Task[Any]:  # type: ignore[override]
        task = asyncio.Task(coro, loop=self, **names)
        self.current.tasks.append(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Say nothing: what a worker's tasks raise ends in `fail_stop`, or is asked for by who awaits it."""

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to do: cancelled ones are passed over when they are due."""

    def sockets(self) -> NoReturn:
        raise NotImplementedError

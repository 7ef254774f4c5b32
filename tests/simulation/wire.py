"""Requests on their way: delayed, lost, reset with or without effect, and effective long after the client gave up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.simulation.loop import Ended, Loop, Process

T = TypeVar("T")


class Reset(Exception):  # noqa: N818 (says what happened)
    """The connection broke; whether the request took effect is not known, and it may still do."""


@dataclass(slots=True)
class Link:
    """How one process is connected to one server."""

    trouble: float = 0.0
    """Share of requests that are reset."""
    delay_s: float = 0.004
    """Mean time of one way."""
    cut: bool = False
    """Nothing gets through until this is mended; the client hears nothing."""
    deaf: bool = False
    """Requests arrive, answers do not."""
    hold: str = ""
    """Requests of this kind stay on the wire until they are released."""


class Wire:
    """Carries requests of processes to servers."""

    def __init__(self, loop: Loop, rng: random.Random) -> None:
        self._loop = loop
        self._rng = rng
        self.links: dict[tuple[str, str], Link] = {}
        self.down: set[str] = set()
        """Servers that refuse every connection."""
        self._held: list[tuple[str, Callable[[], None], asyncio.Future[Any]]] = []

    def link(self, process: Process, server: str) -> Link:
        """How `process` is connected to `server`."""
        return self.links.setdefault((process.name, server), Link())

    def mend(self) -> None:
        """Make every link good again and every server answer."""
        self.links.clear()
        self.down.clear()

    def hold(self, process: Process, server: str, what: str) -> None:
        """Keep a process's requests of one kind on the wire from now on."""
        self.link(process, server).hold = what

    def holds(self, process: Process) -> bool:
        """Whether a request of a process is kept on the wire."""
        return any(name == process.name for name, _, _ in self._held)

    def release(self, process: Process, server: str) -> None:
        """Let what was kept of a process arrive, wherever that process is by now."""
        self.link(process, server).hold = ""
        held, self._held = self._held, []
        for each in held:
            if each[0] == process.name:
                self._loop.post(self._loop.wire, 0.0, each[1])
            else:
                self._held.append(each)

    def give_up(self, process: Process, server: str) -> None:
        """Let a process see its held requests fail, and repeat them; they still are on the wire."""
        self.link(process, server).hold = ""
        for name, _, answer in self._held:
            if name == process.name:
                self._loop.post(process, 0.0, _fail, answer, Reset(f"{server} closed the connection"))

    async def ask(self, server: str, effect: Callable[[], T], timeout_s: float = 10.0, what: str = "") -> T:
        """Have `effect` happen at a server and return its result, or raise its error; `what` is its kind.

        Raises Reset where the connection breaks and TimeoutError where nobody answers.
        """
        loop, rng = self._loop, self._rng
        process = loop.current
        if not process.alive or loop.is_closed():
            raise Ended
        link = self.link(process, server)
        answer: asyncio.Future[Any] = loop.create_future()
        there_s, back_s = rng.expovariate(1 / link.delay_s), rng.expovariate(1 / link.delay_s)
        if link.hold and link.hold == what:
            self._held.append((process.name, lambda: self._arrive(process, back_s, effect, answer), answer))
        elif server in self.down:
            loop.post(process, there_s, _fail, answer, Reset(f"{server} refuses connections"))
        elif link.cut:
            loop.post(process, timeout_s, _fail, answer, TimeoutError(f"{server} does not answer"))
        elif link.deaf:
            loop.post(loop.wire, there_s, effect_of, effect)
            loop.post(process, timeout_s, _fail, answer, TimeoutError(f"{server} does not answer"))
        elif link.trouble and rng.random() < link.trouble:
            self._break(process, server, effect, answer)
        else:
            loop.post(loop.wire, there_s, self._arrive, process, back_s, effect, answer)
        result: T = await answer
        return result

    def _arrive(self, process: Process, back_s: float, effect: Callable[[], Any], answer: asyncio.Future[Any]) -> None:
        try:
            result = effect()
        except Exception as error:  # noqa: BLE001 (whatever the server raises is its answer)
            self._loop.post(process, back_s, _fail, answer, error)
        else:
            self._loop.post(process, back_s, _answer, answer, result)

    def _break(self, process: Process, server: str, effect: Callable[[], Any], answer: asyncio.Future[Any]) -> None:
        """Break the connection: the request is lost, or has had its effect, or will have it later."""
        fate = self._rng.randrange(3)
        if fate:
            self._loop.post(self._loop.wire, self._rng.random() * (0.01 if fate == 1 else 8.0), effect_of, effect)
        self._loop.post(process, self._rng.random() * 0.05, _fail, answer, Reset(f"{server} closed the connection"))


def effect_of(effect: Callable[[], Any]) -> None:
    """Let a request happen whose answer nobody hears."""
    try:
        effect()
    except Exception:  # noqa: BLE001 (the answer is lost, an error as well)
        return


def _answer(answer: asyncio.Future[Any], result: Any) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)

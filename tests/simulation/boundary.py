"""The outside of the code under test: Kafka's client, clocks, randomness, the log, the end of the process.

Each is replaced where the modules of `stream` import it, for the time of one run. Nothing of ours is replaced.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NoReturn

import aiokafka
import structlog

from tests.simulation.kafka_client import Consumer, Producer
from tests.simulation.loop import Ended


class _Instead:
    """A module of which some names are others."""

    def __init__(self, module: ModuleType, **instead: Any) -> None:
        self._module = module
        self.__dict__.update(instead)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@contextlib.contextmanager
def simulated(world: Any) -> Iterator[None]:
    """Let the modules of `stream` see the simulated outside."""

    def end(code: int) -> NoReturn:
        world.ended(code)
        raise Ended

    def monotonic() -> float:
        return 1_000.0 + float(world.loop.time())

    outside = {
        "aiokafka": _Instead(aiokafka, AIOKafkaProducer=Producer, AIOKafkaConsumer=Consumer),
        "os": _Instead(os, _exit=end),
        "secrets": _Instead(secrets, token_hex=lambda size: f"{world.rng.getrandbits(8 * size):x}"),
        "time": _Instead(
            time,
            monotonic=monotonic,
            perf_counter=monotonic,
            process_time=monotonic,
            time=lambda: world.system_ms() / 1e3,
            time_ns=lambda: world.system_ms() * 1_000_000,
        ),
    }
    real = {"aiokafka": aiokafka, "os": os, "secrets": secrets, "time": time}
    swapped = []
    for name, module in list(sys.modules.items()):
        if name.startswith("stream."):
            for called, instead in outside.items():
                if getattr(module, called, None) is real[called]:
                    swapped.append((module, called))
                    setattr(module, called, instead)
    before = structlog.get_config()
    structlog.configure(processors=[_to(world)], wrapper_class=structlog.BoundLogger)
    try:
        yield
    finally:
        structlog.configure(**before)
        for module, called in swapped:
            setattr(module, called, real[called])


def _to(world: Any) -> Any:
    def note(_logger: Any, _method: str, event: dict[str, Any]) -> NoReturn:
        if not world.loop.current.alive:
            # Its unwinding meets the end again.
            raise structlog.DropEvent
        error = event.pop("exc_info", None)
        if isinstance(error, BaseException):
            world.unexpected = error
        world.said(str(event.pop("event")), event)
        raise structlog.DropEvent

    return note

"""Every kind of fault as a small class: what it breaks, and how it heals.

A fault is run against a `House` while events flow. It returns when what it broke is whole again or, like a killed
worker, is being made whole by a supervisor; the job may still be catching up then. `House.settle` waits for that, and
whoever ran the fault compares afterwards.
"""

from __future__ import annotations

import signal
import time
from random import Random
from typing import ClassVar, Protocol

from tests.proof.house import SESSION_S, House


class Fault(Protocol):
    """One kind of fault."""

    name: ClassVar[str]
    """How it is asked for on the command line, and what the table of results says."""
    kind: ClassVar[str]
    """What is hit: `worker`, `kafka`, `redis`, `network`, `model` or `input`; `refusal` where the job must stop."""
    needs: ClassVar[frozenset[str]]
    """What a house must have: `kafka` (the real one), `proxy`, `disk`."""

    def run(self, house: House, random: Random) -> None:
        """Break something, wait, heal it."""


class Kill:
    """SIGKILL of one worker: nothing is written, committed or said any more; the supervisor starts it again."""

    name = "kill"
    kind = "worker"
    needs = frozenset[str]()

    def run(self, house: House, random: Random) -> None:
        """Kill a random worker."""
        house.workers.kill(random.choice(running(house)))


class Pause:
    """SIGSTOP beyond the session, then SIGCONT: the worker wakes as a zombie whose partitions have another owner."""

    name = "pause"
    kind = "worker"
    needs = frozenset({"kafka"})

    def run(self, house: House, random: Random) -> None:
        """Pause a random worker for longer than its session."""
        slot = random.choice(running(house))
        house.workers.signal(signal.SIGSTOP, slot)
        time.sleep(SESSION_S + random.uniform(1.0, 3.0))
        house.workers.signal(signal.SIGCONT, slot)


def running(house: House) -> list[int]:
    """Slots in which a worker runs; waits for one where all are being restarted."""
    house.until(house.workers.pids, 60.0, "a running worker")
    return [slot.number for slot in house.workers.slots if slot.pid]


HEALING: tuple[type[Fault], ...] = (Kill, Pause)
"""Faults after which the job must end exact."""
REFUSED: tuple[type[Fault], ...] = ()
"""Faults after which the worker must stop, say why, and lose nothing."""

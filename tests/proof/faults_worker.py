"""Faults of the workers: signals, and workers that come and go."""

from __future__ import annotations

import signal
import time
from random import Random

from tests.proof.fault import running
from tests.proof.house import SESSION_S, House

NOTHING = frozenset[str]()


class Kill:
    """SIGKILL of one worker: nothing is written, committed or said any more; the supervisor starts it again."""

    name, kind, needs = "kill", "worker", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Kill a random worker."""
        house.workers.kill(random.choice(running(house)))


class KillAll:
    """SIGKILL of every worker at once: no survivor takes over, and the group has to find that out."""

    name, kind, needs = "kill_all", "worker", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Kill them all, twice: the second time amid the take-over."""
        running(house)
        house.workers.kill()
        time.sleep(random.uniform(1.0, 6.0))
        house.workers.kill()


class Pause:
    """SIGSTOP beyond the session, then SIGCONT: the worker wakes as a zombie whose partitions have another owner."""

    name, kind, needs = "pause", "worker", frozenset({"kafka"})

    def run(self, house: House, random: Random) -> None:
        """Pause a random worker for longer than its session."""
        slot = random.choice(running(house))
        house.workers.signal(signal.SIGSTOP, slot)
        try:
            time.sleep(SESSION_S + random.uniform(1.0, 3.0))
        finally:
            house.workers.signal(signal.SIGCONT, slot)


class Stall:
    """SIGSTOP within the session, then SIGCONT: late, but still the owner."""

    name, kind, needs = "stall", "worker", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Pause a random worker for less than its session."""
        slot = random.choice(running(house))
        house.workers.signal(signal.SIGSTOP, slot)
        try:
            time.sleep(random.uniform(0.2, 0.5) * SESSION_S)
        finally:
            house.workers.signal(signal.SIGCONT, slot)


class Term:
    """SIGTERM of one worker after the other, as a rolling deployment does it."""

    name, kind, needs = "term", "worker", NOTHING

    def run(self, house: House, random: Random) -> None:
        """End every worker in turn; the supervisor starts each again."""
        for slot in running(house):
            house.workers.signal(signal.SIGTERM, slot)
            time.sleep(random.uniform(0.5, 2.0))


class Storm:
    """A rebalance storm: workers join and leave faster than the group comes to rest."""

    name, kind, needs = "storm", "worker", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Go to and fro between one worker and three."""
        before = sum(slot.wanted for slot in house.workers.slots)
        try:
            for _ in range(2):
                house.workers.resize(before + 2)
                # Long enough to join, too short to come to rest.
                time.sleep(random.uniform(2.0, 4.0))
                house.workers.resize(max(1, before - 1))
                time.sleep(random.uniform(0.5, 2.0))
        finally:
            house.workers.resize(before)


WORKER = (Kill, KillAll, Pause, Stall, Term, Storm)

"""What breaks when: a deck of faults shuffled by the seed, and SIGKILL at every failpoint."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from stream.failpoints import POINTS
from stream.replay.applied import wait_until_applied
from tests.proof.fault import Fault
from tests.proof.house import House
from tests.proof.workers import Exit

HEAL_S = 120.0
"""How long everything sent until a fault's end may take to be applied."""
OVERLAP = 0.25
"""Share of faults during which another one begins."""
APART = frozenset({"worker", "network", "redis", "model", "input"})
"""Kinds that may overlap with one of another kind; a broker that is down lets nothing else be done."""
STUCK_S = 30.0
"""A worker that has not met its failpoint by then is killed."""
TAKEOVER = ("init_producer", "marker", "changelog_read", "redis_claimed", "resent", "model_swapped")

Note = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What became of one kind of fault."""

    kind: str
    times: int = 0
    slowest_s: float = 0.0
    """From a fault's end until everything sent by then was applied; 0 where nobody waited for it."""
    failed: str = ""
    """Why the fault could not be made, or the job did not heal."""


def deck(faults: Sequence[type[Fault]], random: Random) -> Iterator[type[Fault]]:
    """Every kind once in random order, again and again."""
    while True:
        shuffled = list(faults)
        random.shuffle(shuffled)
        yield from shuffled


class Schedule:
    """Runs faults against a house and keeps count."""

    def __init__(self, house: House, random: Random, note: Note) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.points: Counter[str] = Counter()
        """SIGKILLs by failpoint."""
        self._house = house
        self._random = random
        self._note = note
        # One thread for the whole run: a server that a fault starts again lives as long as the thread that did it.
        self._beside = ThreadPoolExecutor(1, "beside")

    @property
    def faults(self) -> int:
        """Faults made so far, failpoints included."""
        return sum(outcome.times for outcome in self.outcomes.values()) + self.points.total()

    def run(self, faults: Sequence[type[Fault]], *, until: float, least: int, calm: bool) -> None:
        """Make faults until the monotonic time `until`, but at least the first `least` of the deck.

        `calm` waits for the job to heal after each; else only sometimes, so that faults meet a job that is recovering.
        """
        for made, fault in enumerate(deck(faults, self._random)):
            if made >= least and time.monotonic() > until:
                return
            others = [other for other in faults if {other.kind, fault.kind} <= APART and other.kind != fault.kind]
            beside = self._random.choice(others) if others and self._random.random() < OVERLAP else None
            self.make(fault, beside, calm=calm or self._random.random() < 1 / 3)
            time.sleep(self._random.uniform(0.0, 1.5))

    def make(self, fault: type[Fault], beside: type[Fault] | None = None, *, calm: bool = True) -> None:
        """Make a fault, with another beside it; where `calm`, return only once the job has healed."""
        seed = self._random.random()
        other = self._beside.submit(self._make_one, beside, Random(seed)) if beside else None
        self._make_one(fault, self._random)
        if other is not None:
            other.result()
        outcome = self.outcomes[fault.name]
        healed_s = self._heal(outcome) if calm else 0.0
        outcome.slowest_s = max(outcome.slowest_s, healed_s)
        names = fault.name + (f" and {beside.name}" if beside else "")
        self._note(f"{names}: " + (f"healed in {healed_s:.1f} s" if calm else "left to heal"))

    def _make_one(self, fault: type[Fault], random: Random) -> None:
        outcome = self.outcomes.setdefault(fault.name, Outcome(fault.kind))
        outcome.times += 1
        try:
            fault().run(self._house, random)
        except Exception as error:  # noqa: BLE001 (a fault that cannot be made is a result, and the run goes on)
            outcome.failed = f"could not be made: {type(error).__name__}: {error}"
            self._note(f"{fault.name} {outcome.failed}")

    def _heal(self, outcome: Outcome) -> float:
        began = time.monotonic()

        def look(left: int) -> None:
            if time.monotonic() - began > HEAL_S:
                raise AssertionError(
                    f"{left} records still to be applied {HEAL_S:g} s later; {self._house.workers.ends()}"
                )

        try:
            self._house.workers.until_ready(HEAL_S)
            wait_until_applied(self._house.settings, self._house.ends(), look)
        except Exception as error:  # noqa: BLE001 (as above)
            outcome.failed = f"not healed: {error}"
            self._note(outcome.failed)
        return time.monotonic() - began

    def kill_at_points(self, rounds: int, *, until: float) -> None:
        """SIGKILL workers at every failpoint `rounds` times: each start carries a plan, and meets it while events flow.

        A worker that never comes to its point is killed as well, and its plan is given out anew, for the first hit.
        """
        house, workers = self._house, self._house.workers
        plans = [plan(point, self._random) for point in POINTS for _ in range(rounds)]
        self._random.shuffle(plans)
        counted, given_up = len(workers.exits), set[Path]()
        workers.plans.extend(plans)
        workers.kill()
        while time.monotonic() < until:
            carried = [(slot, plan_of(slot.log)) for slot in workers.slots if slot.pid]
            for slot, own in carried:
                if own and slot.child is not None and time.monotonic() - slot.child.started_at > STUCK_S:
                    self._note(f"{own} was not met within {STUCK_S:g} s; again, at its first hit")
                    workers.plans.append(f"{own.partition('=')[0]}=kill:1")
                    given_up.add(slot.log)
                    workers.kill(slot.number)
            ended = workers.exits[counted:]
            counted += len(ended)
            workers.plans.extend(self._count(end for end in ended if end.log not in given_up))
            if not workers.plans and not any(own for _, own in carried) and carried:
                break
            time.sleep(0.1)
        workers.plans.clear()
        house.until(workers.pids, HEAL_S, "a worker")
        self._note(f"failpoints: {self.points.total()} kills, each point at least {self.least} times")

    @property
    def least(self) -> int:
        """How often the rarest failpoint was met."""
        return min((self.points[point] for point in POINTS), default=0)

    def _count(self, exits: Iterable[Exit]) -> list[str]:
        """Count kills at failpoints; return the plans of workers that ended before theirs, by another fault's doing."""
        unmet = []
        for end in exits:
            own = plan_of(end.log)
            if own and end.code == -signal.SIGKILL:
                self.points[own.partition("=")[0]] += 1
            elif own:
                unmet.append(own)
        return unmet


def plan(point: str, random: Random) -> str:
    """A kill at one of a point's first hits, now and then a moment later."""
    hit = random.choice((1, 1, 2)) if point in TAKEOVER else random.randint(1, 6)
    later = f":{random.randint(1, 20)}" if random.random() < 0.2 else ""
    return f"{point}=kill:{hit}{later}"


def plan_of(log: Path) -> str:
    """The failpoints that a worker's log says it was started with, "" without any."""
    if log.exists():
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[:20]:
            if '"failpoints_armed"' in line:
                return str(json.loads(line)["plan"])
    return ""

"""A consumer group as its coordinator sees it: members, generations, assignments, committed offsets.

A member that does not come back in time is left out, and learns of it later or never: until then it goes on as before.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol

from tests.simulation.loop import Loop

Place = tuple[str, int]
"""Topic and partition."""


class Refused(Exception):  # noqa: N818 (says what happened)
    """A commit of an older generation."""


class Member(Protocol):
    """A worker as its group knows it."""

    name: str

    def rebalance(self, delay_s: float) -> None:
        """Be told, after a while, to let go of everything and join again."""


class Group:
    """The coordinator."""

    def __init__(self, loop: Loop, rng: random.Random, partitions: int, note: Callable[..., None]) -> None:
        self._loop = loop
        self._rng = rng
        self._partitions = partitions
        self._note = note
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.assignment: dict[str, list[int]] = {}
        self.committed: dict[Place, int] = {}
        self.reached: dict[Place, int] = {}
        """The farthest that was ever committed: a commit whose answer was given up may come after the next one."""
        self._joining: dict[str, tuple[Member, Callable[[int, list[int]], None]]] = {}
        self._round = 0
        self._preparing = False

    def owner(self, partition: int) -> str | None:
        """Name of the member that a partition is assigned to."""
        for name, numbers in self.assignment.items():
            if partition in numbers:
                return name
        return None

    @property
    def stable(self) -> bool:
        """Whether no rebalance is under way."""
        return not self._preparing

    def join(self, member: Member, joined: Callable[[int, list[int]], None]) -> None:
        """Ask to be in the next generation; `joined(generation, partitions)` is called with it."""
        self._joining[member.name] = member, joined
        self.rebalance(but=member.name)
        if not set(self.members) - set(self._joining):
            self._loop.post(self._loop.wire, 0.05, self._complete, self._round)

    def leave(self, name: str) -> None:
        """Take a member out at once: it ended, or nothing was heard of it for too long."""
        self._joining.pop(name, None)
        self.assignment.pop(name, None)
        if self.members.pop(name, None) is not None:
            self.rebalance(but=name)

    def evict(self, name: str, learns_after_s: float) -> None:
        """End a member's session; it goes on as if nothing had happened until it learns of it."""
        member = self.members.get(name)
        if member is not None:
            self.leave(name)
            member.rebalance(learns_after_s)

    def rebalance(self, but: str = "") -> None:
        """Ask all members to join again; those that take too long are left out."""
        if self._preparing:
            return
        self._preparing = True
        self._round += 1
        for name, member in self.members.items():
            if name != but and name not in self._joining:
                member.rebalance(self._rng.random())
        self._loop.post(self._loop.wire, self._rng.choice((0.5, 2.0, 6.0)), self._complete, self._round)

    def commit(self, name: str, generation: int, offsets: dict[Place, int]) -> None:
        """Store offsets. Raises Refused for whoever is not a member of this generation."""
        if name not in self.members or generation != self.generation:
            raise Refused
        self.committed.update(offsets)
        for place, offset in offsets.items():
            self.reached[place] = max(offset, self.reached.get(place, 0))
        self._note("committed", name, generation, sorted(offsets.items()))

    def _complete(self, number: int) -> None:
        if not self._preparing or number != self._round:
            return
        for name, member in self.members.items():
            if name not in self._joining:
                member.rebalance(self._rng.choice((0.1, 3.0, 20.0)))
        joined, self._joining = self._joining, {}
        self._preparing = False
        self.members = {name: member for name, (member, _) in joined.items()}
        self.generation += 1
        names = sorted(joined)
        self.assignment = {name: [] for name in names}
        for partition in range(self._partitions):
            if names:
                self.assignment[self._rng.choice(names)].append(partition)
        self._note("generation", self.generation, sorted(self.assignment.items()))
        for name, (_, tell) in joined.items():
            tell(self.generation, self.assignment[name])


def when(loop: Loop, process: Any, future: asyncio.Future[Any]) -> Callable[[int, list[int]], None]:
    """Return a callback that answers `future` in its process."""

    def answer(generation: int, partitions: list[int]) -> None:
        loop.post(process, 0.01, _set, future, (generation, partitions))

    return answer


def _set(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)

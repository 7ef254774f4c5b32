"""What time alone does to the customers of one partition: no event comes, and still a record changes.

Once a period, on the partition's clock, whoever is due is judged anew with reason `time`, and takes the same steps as
after an event. Slices are small and give the loop a turn. On event time, time also passes within a group of events.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models import pacing
from models.batch import EventBatch
from models.due import NEVER
from stream.failpoints import hit

if TYPE_CHECKING:
    from stream.partition.partition import Partition

SLICE = 500
"""Customers judged between two turns of the loop: well under 50 ms, though each of them may be published."""


def next_turn(now_s: float, period_s: float, share: float) -> float:
    """Return when a worker's partition sweeps next, after now: each has its own share (0 to 1) of the period.

    All at once they would hold up events for as long as all of them take.

    >>> next_turn(10.0, 1.0, 0.25), next_turn(10.25, 1.0, 0.25), next_turn(10.5, 1.0, 0.25)
    (10.25, 11.25, 11.25)
    """
    return now_s + period_s - (now_s - share * period_s) % period_s


class Sweep:
    """Lets time pass for one partition."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._settings = partition.shared.settings
        self._taken = np.empty(0, np.int64)
        """Who is still to be looked at of those that were due; the lock is let go between two slices of them."""

    async def run(self) -> None:
        """Sweep once a period, for ever; a sweep that takes longer delays the next one."""
        period_s, number = self._settings.sweep_s, self._partition.number
        share = number % self._settings.partitions / self._settings.partitions
        while True:
            due = next_turn(time.monotonic(), period_s, share)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self.once(due)

    async def once(self, due_s: float) -> None:
        """Let time pass up to now, for a sweep that was due at `due_s` (monotonic)."""
        partition = self._partition
        if partition.clock.mode == "event":
            # A group may move the clock by months: meanwhile nobody who is due may be missing in the agenda.
            async with partition.lock:
                self._count(await self._pass_due(), due_s)
            return
        now_ms = partition.now_ms
        while (due := len(self._take(now_ms))) > 0:
            while self._taken.size:
                async with partition.lock:
                    slots, self._taken = self._taken[:SLICE], self._taken[SLICE:]
                    await self._pass(slots, now_ms)
                await asyncio.sleep(0)
            self._count(due, due_s)
            # Meanwhile reminders fell due, and many more segments may be waiting to be looked at.
            now_ms = partition.now_ms

    def forget(self, slot: int, last: int) -> None:
        """Follow `CustomerTable.forget`: whoever took the slot over keeps their place in the order."""
        self._taken = self._taken[self._taken != slot]
        self._taken[self._taken == last] = slot

    def _take(self, now_ms: int) -> NDArray[np.int64]:
        self._taken = self._partition.agenda.take(now_ms)
        return self._taken

    def _count(self, swept: int, due_s: float) -> None:
        if swept:
            self._partition.shared.metrics.swept(swept, (time.monotonic() - due_s) * 1000)

    async def parts(self, batch: EventBatch) -> AsyncIterator[EventBatch]:
        """Yield a group's events in parts between which time is let pass; in wall mode in one. The lock is held."""
        order, cuts = self._cuts(batch)
        if not cuts:
            yield batch
            return
        for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True):
            if start in cuts:
                await self._pass_until(batch, int(order[start]))
            if end > start:
                yield batch.pick(order[start:end])

    def _cuts(self, batch: EventBatch) -> tuple[NDArray[np.int64], list[int]]:
        """Return the order of events on the clock, and the places in it before which time is to pass."""
        partition, none = self._partition, np.empty(0, np.int64)
        if partition.clock.mode == "wall" or not len(batch):
            return none, []
        timers = partition.agenda.timers
        step_ms = self._settings.replay_step_s * 1000
        newest, oldest = int(batch.time_ms.max()), int(batch.time_ms.min())
        # Before its first event a partition has no time of its own.
        now_ms = partition.clock.now(oldest)
        soonest = int(timers.delays_ms[0] + timers.grace_ms)
        same_step = newest // step_ms == min(now_ms, oldest) // step_ms
        if same_step and newest - oldest < soonest and not partition.agenda.carts.any_by(newest):
            return none, []
        order, met = pacing.meetings(batch)
        slots = partition.table.index.find(batch.customer)
        due_ms = np.where(slots < 0, NEVER, partition.agenda.carts.times(slots))
        return order, pacing.cuts(batch, order, np.maximum(met, now_ms), due_ms, timers, now_ms, step_ms=step_ms)

    async def _pass_until(self, batch: EventBatch, place: int) -> None:
        """Let the clock meet an event that is not applied yet, and time pass until then."""
        partition = self._partition
        customer = batch.customer[place]
        if partition.shared.belongs(customer, batch.key[place], partition.number):
            partition.clock.observe(batch.time_ms[place : place + 1], [customer])
        await self._pass_due()

    async def _pass_due(self) -> int:
        """Let time pass for all who are due by now, and return how many looks it took. The lock is held."""
        partition, looks = self._partition, 0
        now_ms = partition.now_ms
        while (slots := partition.agenda.take(now_ms)).size:
            for start in range(0, len(slots), SLICE):
                await self._pass(slots[start : start + SLICE], now_ms)
                await asyncio.sleep(0)
            looks += len(slots)
        return looks

    async def _pass(self, slots: NDArray[np.int64], now_ms: int) -> None:
        """Judge some customers because time passed, and publish what changed.

        `now_ms`: when they were taken from the agenda. A reminder that fell due since then waits behind those that were
        due before it; so does one whose customer has an event, or a new model, first.
        """
        partition, slots = self._partition, np.sort(slots)
        judged = partition.judge(slots, "time", until_ms=now_ms)
        await partition.publish(slots, judged)
        partition.shared.metrics.published(judged)
        hit("swept")

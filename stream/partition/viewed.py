"""The Redis side of a partition: writing records, waiting for a Redis that is away, filling one that was wiped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from models.columns import COL, CustomerTable
from stream.failpoints import hit
from stream.partition import publish
from stream.partition.log import PartitionLog
from stream.partition.meta import META_KEY, Meta
from stream.partition.shared import Shared
from stream.redis_view.view import RETRYABLE, Record, RedisView, Wiped

T = TypeVar("T")
log = structlog.get_logger(__name__)

SLICE = 2_000
"""Customers handled between two turns of the loop where many are handled: a few milliseconds."""
BACKOFF_MAX_S = 2.0


class Viewed:
    """A partition's customers, its log and its part of Redis.

    `lock` is held around everything that writes rows, so that a group, a flush and a slice never interleave.
    """

    def __init__(self, number: int, shared: Shared, writer: PartitionLog, view: RedisView) -> None:
        self.number = number
        self.shared = shared
        self.writer = writer
        self.view = view
        self.table = CustomerTable()
        self.meta = Meta()
        self.epoch = -1
        self.lock = asyncio.Lock()
        self.rebuilding: asyncio.Task[None] | None = None

    async def write_meta(self) -> None:
        """Write the partition's own row; an acked write also proves that this worker still owns the partition."""
        await self.writer.write([(META_KEY, self.meta.encode())])

    async def write_view(self, records: list[Record]) -> int:
        """Write Redis records; a Redis that does not answer is waited for, a wiped one is rebuilt from state.

        Returns how many were newer than what Redis had.
        """
        written = await self._kept(lambda: self.view.write(records))
        hit("redis_written")
        return written

    async def forget_view(self, keys: list[str]) -> None:
        """Remove Redis records, with the patience of `write_view`; the lock is held."""
        await self._kept(lambda: self.view.forget(keys))

    async def _kept(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Do what a Redis that we own can do; a Redis that was wiped is claimed anew first."""
        while True:
            try:
                return await self.patiently(attempt)
            except Wiped:
                # Also between a claim and the write that follows it.
                await self._reclaim()

    async def rewrite(self, slots: NDArray[np.int64]) -> None:
        """Write the records of customers again, where Redis has lost them; what it had lost is counted."""
        if self.rebuilding is not None:
            return
        async with self.lock:
            slots = slots[slots < len(self.table)]
            said = self.table.gather(slots)
            known = said[:, COL.rev] > 0
            ids = [self.table.ids[slot] for slot in slots[known].tolist()]
            rebuilds = self.shared.metrics.counters["redis_rebuilds"]
            repaired = await self.write_view(publish.records(ids, said[known], self.meta.names))
        self.shared.metrics.count("records_rechecked", len(ids))
        if repaired and rebuilds == self.shared.metrics.counters["redis_rebuilds"]:
            log.warning("redis_lost_writes", partition=self.number, records=repaired)
            self.shared.metrics.count("records_repaired", repaired)

    async def check_view(self) -> None:
        """Look whether Redis lost its data; if so claim it anew and write every record again."""
        if self.rebuilding is None and not await self.view.intact():
            async with self.lock:
                await self._reclaim()

    async def _reclaim(self) -> None:
        """Take the protocol's W: the boot id is read *before* ownership is proved, or a zombie could claim Redis."""
        log.warning("redis_rebuilding", partition=self.number, customers=len(self.table))
        self.shared.metrics.count("redis_rebuilds", 1)
        boot = await self.patiently(self.view.read_boot)
        await self.write_meta()
        if await self.patiently(lambda: self.view.claim(boot, self.epoch)) < 0:
            return await self._reclaim()
        hit("redis_claimed")
        if self.rebuilding is None:
            self.rebuilding = asyncio.create_task(self.shared.guarded(self._rebuild_later()))
        return None

    async def _rebuild_later(self) -> None:
        try:
            await self.rebuild()
        except Wiped:
            log.warning("redis_wiped_while_rebuilding", partition=self.number)
        finally:
            self.rebuilding = None

    async def rebuild(self) -> None:
        """Write every customer's record to Redis, in slices, then say that it is complete. Raises Wiped."""
        boot = self.view.boot
        for start in range(0, len(self.table), SLICE):
            async with self.lock:
                if self.view.boot != boot:
                    # Wiped and claimed anew meanwhile, by a group: the slices before are gone.
                    raise Wiped
                slots = np.arange(start, min(start + SLICE, len(self.table)))
                said = self.table.gather(slots)
                known = said[:, COL.rev] > 0
                ids = [self.table.ids[slot] for slot in slots[known]]
                records = publish.records(ids, said[known], self.meta.names)
                await self.patiently(partial(self.view.write, records))
            await asyncio.sleep(0)
        async with self.lock:
            if self.view.boot != boot:
                raise Wiped
            await self.patiently(self.view.finish)

    async def patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat `attempt` with backoff while Redis does not answer; the partition waits, bounded by its inbox."""
        delay_s = 0.05
        while True:
            try:
                return await attempt()
            except RETRYABLE as error:
                self.shared.metrics.count("redis_retries", 1)
                log.warning("redis_unreachable", partition=self.number, error=str(error), retry_s=delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, BACKOFF_MAX_S)

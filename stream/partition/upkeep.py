"""What keeps a partition's records in Redis fresh and right while nothing happens to their customers.

**Refresh**: customers seen within a day take turns to be judged and published anew, so that `confidence` and `as_of` do
not stay those of their last event. On event time, where days pass in seconds, nothing is refreshed.
**Recheck**: the records of a share of all customers are offered to Redis again each minute. It takes those whose `rev`
it has not, which are writes that it lost; they are counted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from stream.partition.partition import Partition

TICK_S = 1.0
SEEN_MS = 86_400_000
SCAN = 5_000
"""Customers looked at in a tick for some who were seen lately."""
SLICE = 500
"""Records offered to Redis at once."""

Slots = NDArray[np.int64]


class Upkeep:
    """Looks after one partition's records."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        settings = partition.shared.settings
        self._refresh_per_tick = settings.refresh_per_s * TICK_S / settings.partitions
        self._share_per_tick = settings.recheck_share * TICK_S / 60.0
        self._refresh_due = self._recheck_due = 0.0
        self._refresh_at = self._recheck_at = 0

    async def run(self) -> None:
        """Refresh and recheck a little each second, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            await self.refresh()
            await self.recheck()

    async def refresh(self) -> None:
        """Publish the next few who were seen lately, whatever their record says."""
        partition = self._partition
        if partition.clock.mode == "event" or partition.model is None:
            return
        self._refresh_due = min(self._refresh_due + self._refresh_per_tick, max(1.0, self._refresh_per_tick))
        async with partition.lock:
            slots = self._seen_lately(int(self._refresh_due))
            if not slots.size:
                return
            self._refresh_due -= slots.size
            judged = partition.judge(slots, "time", forced=np.ones(len(slots), np.bool_))
            await partition.publish(slots, judged)
        partition.shared.metrics.published(judged)
        partition.shared.metrics.count("records_refreshed", len(slots))

    async def recheck(self) -> None:
        """Offer the next few records to Redis again."""
        partition = self._partition
        customers = len(partition.table)
        self._recheck_due = min(self._recheck_due + self._share_per_tick * customers, float(customers))
        while self._recheck_due >= 1.0:
            start = self._recheck_at if self._recheck_at < customers else 0
            self._recheck_at = min(start + min(SLICE, int(self._recheck_due)), customers)
            self._recheck_due -= self._recheck_at - start
            await partition.rewrite(np.arange(start, self._recheck_at))

    def _seen_lately(self, most: int) -> Slots:
        """Return up to `most` slots, sorted, from where the last call stopped; not more than one round."""
        partition = self._partition
        customers = len(partition.table)
        if not most or not customers:
            return np.empty(0, np.int64)
        start = self._refresh_at % customers
        end = min(start + SCAN, customers)
        seen = partition.table.span("last_seen", start, end)
        found = start + np.flatnonzero(seen > partition.now_ms - SEEN_MS)[:most]
        self._refresh_at = int(found[-1]) + 1 if len(found) == most else end
        return found

"""Where taking over partitions hooks into Faust: in Recovery's own task, while partitions are paused.

Order of a rebalance (faust-streaming 0.15.3): Consumer.on_partitions_revoked, join, on_partitions_assigned,
TableManager.on_rebalance, Recovery._resume_streams (here), then seek to the committed offsets and open the flow. Doing it
in the callbacks instead starves heartbeats and opens the flow before there is any state.
"""

from __future__ import annotations

import asyncio
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery


class OwnRecovery(Recovery):
    """Takes over partitions before the flow opens."""

    async def _resume_streams(self, generation_id: int = 0) -> None:
        app = self.app
        if app.consumer_generation_id == generation_id:
            assigned = set(app.consumer.assignment())
            # A task of its own: cancelling one that is given to _wait directly would end Recovery's loop.
            taking = asyncio.ensure_future(app.livesegment_owner.take(assigned))
            await self._wait(asyncio.wait([taking]))
            if not taking.result():
                self.log.info("A rebalance began while partitions were taken over.")
                return
        await super()._resume_streams(generation_id)
        await app.livesegment_ready()


class OwnTableManager(TableManager):
    """A table manager without tables whose recovery is ours."""

    @property
    def recovery(self) -> Any:
        """Recovery service of the app."""
        if self._recovery is None:
            self._recovery = OwnRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Start at once: there are no tables to wait for (stock sleeps a second)."""
        await self._update_channels()
        await self.recovery.start()

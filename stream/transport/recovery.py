"""Where taking over partitions hooks into Faust: in Recovery's own task, while partitions are paused.

Order of a rebalance (faust-streaming 0.15.3): Consumer.on_partitions_revoked, join, on_partitions_assigned,
TableManager.on_rebalance, Recovery._resume_streams (here), then seek to the committed offsets and open the flow. Doing
it in the callbacks instead starves heartbeats and opens the flow before there is any state.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped

from stream.partition.shared import fail_stop


class OwnRecovery(Recovery):
    """Takes over partitions before the flow opens."""

    async def _resume_streams(self, generation_id: int = 0) -> None:
        try:
            if await self._take(generation_id):
                await super()._resume_streams(generation_id)
                if self.app.consumer_generation_id == generation_id:
                    await self.app.livesegment_ready()
        except (RebalanceAgain, IllegalStateError):
            # Another rebalance is under way; it ends here again.
            raise
        except ServiceStopped as error:
            # Faust raises this for a timeout as well, and would wait for ever then.
            if not (self.should_stop or self.app.should_stop):
                fail_stop(error)
            raise
        except Exception as error:  # noqa: BLE001 (fail stop: a worker without its flow would wait for ever)
            fail_stop(error)

    async def _take(self, generation_id: int) -> bool:
        """Take over what is assigned; False where a rebalance voided it, which then comes here again."""
        if self.app.consumer_generation_id != generation_id:
            return False
        # A task of its own: cancelling one that is given to _wait directly would end Recovery's loop.
        taking = asyncio.ensure_future(self.app.livesegment_owner.take(set(self.app.consumer.assignment())))
        try:
            await self._wait(asyncio.wait([taking]))
        finally:
            if not taking.done():
                taking.cancel()
                await asyncio.wait([taking])
        if not taking.result():
            self.log.info("A rebalance began while partitions were taken over.")
        return bool(taking.result())


class OwnTableManager(TableManager):
    """A table manager without tables whose recovery is ours."""

    _own_recovery: OwnRecovery | None = None

    @property
    def recovery(self) -> Any:
        """Recovery service of the app."""
        if self._own_recovery is None:
            self._own_recovery = OwnRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._own_recovery

    async def on_start(self) -> None:
        """Start at once: there are no tables to wait for (stock sleeps a second)."""
        await self._update_channels()
        await self.recovery.start()

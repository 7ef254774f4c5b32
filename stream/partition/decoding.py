"""Decoding for all partitions of a worker at once, and with it their common beat.

One fetch brings records of every partition. At live rates that is some dozens each, and a pass costs about as much for
fifty records as for two hundred. So a pass waits a little for partitions that are still at work on their last group:
from then on all of them take the records of the same fetch, and their writes leave together. A partition that is stuck
holds up the others for `GATHER_S` a group at most.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from models.batch import SOURCES
from stream.decode import Decoded, Decoder, Portion
from stream.partition.inbox import Arrived

LONG = 1_000
"""Events after whose decoding the loop gets a turn."""
GATHER_S = 0.02
"""How long a pass waits for partitions at work."""
TURNS = 3
"""Turns of the loop in which nobody else asks before a pass begins; the groups of one fetch arrive turn by turn."""


class Decoding:
    """One per worker. Each partition asks for one group at a time."""

    def __init__(self, decoder: Decoder, now_ms: Callable[[], int]) -> None:
        self._decoder = decoder
        self._now_ms = now_ms
        self._asked: dict[int, tuple[Sequence[Arrived], asyncio.Future[Decoded]]] = {}
        self._passing: asyncio.Task[None] | None = None
        self._at_work: set[int] = set()
        self._idle = asyncio.Event()

    @contextlib.asynccontextmanager
    async def decoded(self, partition: int, group: Sequence[Arrived]) -> AsyncIterator[Decoded]:
        """Decode the batches of a group: its events per source topic, in order of arrival.

        For as long as the block lasts the partition is at work on it.
        """
        answer: asyncio.Future[Decoded] = asyncio.get_running_loop().create_future()
        self._asked[partition] = group, answer
        if self._passing is None:
            self._passing = asyncio.create_task(self._pass())
        try:
            yield await answer
        finally:
            self._at_work.discard(partition)
            if not self._at_work:
                self._idle.set()

    async def _gathered(self) -> None:
        """Return once everybody asks, or enough time has passed."""
        if self._at_work:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), GATHER_S)
        asked = 0
        while asked < len(self._asked):
            asked = len(self._asked)
            for _ in range(TURNS):
                await asyncio.sleep(0)

    async def _pass(self) -> None:
        await self._gathered()
        waiting, self._asked, self._passing = self._asked, {}, None
        self._at_work.update(waiting)
        try:
            portions = [
                portion for partition, (group, _) in waiting.items() for portion in portions_of(partition, group)
            ]
            decoded = self._decoder.decode(portions, self._now_ms())
        except Exception as error:  # noqa: BLE001 (raised again where each of them waits)
            for _, answer in waiting.values():
                if not answer.done():
                    answer.set_exception(error)
            return
        if sum(len(portion.records) for portion in portions) > LONG:
            await asyncio.sleep(0)
        for partition, (_, answer) in waiting.items():
            if not answer.done():
                answer.set_result(decoded[partition])


def portions_of(partition: int, group: Sequence[Arrived]) -> list[Portion]:
    """Return the records of a group, joined per source topic in order of arrival."""
    portions = []
    for source in range(len(SOURCES)):
        batches = [arrived.records for arrived in group if arrived.source == source]
        if batches:
            records = batches[0] if len(batches) == 1 else [record for batch in batches for record in batch]
            portions.append(Portion(partition, source, records))
    return portions

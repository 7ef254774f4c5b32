"""What waits for one partition: batches of both source topics, taken as one group."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from models.batch import SOURCES
from stream.records import Record


@dataclass(frozen=True, slots=True)
class Arrived:
    """One batch and the Faust event by which it is acknowledged."""

    source: int
    records: list[Record]
    event: Any

    def ack(self) -> None:
        """Tell Faust that everything about this batch is durable."""
        self.event.ack()


class Inbox:
    """Batches in order of arrival, bounded by records; whoever puts waits while it is full."""

    def __init__(self, group_max_records: int) -> None:
        self._waiting: deque[Arrived] = deque()
        self._records = 0
        self._group_max = group_max_records
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return self._records

    async def put(self, event: Any) -> None:
        """Add the batch of a Faust event; wait first while the inbox holds a whole group."""
        while self._records >= self._group_max:
            self._room.clear()
            await self._room.wait()
        arrived = Arrived(SOURCES.index(event.message.topic), event.value, event)
        self._waiting.append(arrived)
        self._records += len(arrived.records)
        self._changed.set()

    async def take(self) -> list[Arrived]:
        """Wait for batches and return as many as fit a group; a batch larger than a group comes alone."""
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
            # The other topic's batch of the same fetch is delivered in the next turns of the loop.
            await asyncio.sleep(0)
        group = [self._waiting.popleft()]
        size = len(group[0].records)
        while self._waiting and size + len(self._waiting[0].records) <= self._group_max:
            group.append(self._waiting.popleft())
            size += len(group[-1].records)
        self._records -= size
        self._room.set()
        return group

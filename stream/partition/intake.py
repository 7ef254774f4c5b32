"""What came in: counting positions, and the limit on records that cannot be decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from models.batch import SOURCES
from stream.errors import TooManyDeadLetters
from stream.partition.inbox import Arrived
from stream.partition.meta import TopicPosition


class StopLimit:
    """Ends the worker where most of a partition's latest records cannot be decoded (a wrong topic, a broken sender).

    >>> limit = StopLimit(partition=0, window=10, ratio=0.5)
    >>> limit.observe(8, 4)
    >>> limit.observe(4, 3)
    Traceback (most recent call last):
        ...
    stream.errors.TooManyDeadLetters: ...
    """

    def __init__(self, *, partition: int, window: int, ratio: float) -> None:
        self._partition, self._window, self._ratio = partition, window, ratio
        self._groups: deque[tuple[int, int]] = deque()
        self._records = self._bad = 0

    def observe(self, records: int, undecodable: int, where: str = "") -> None:
        """Count a group. Raises TooManyDeadLetters once a full window holds too many."""
        self._groups.append((records, undecodable))
        self._records += records
        self._bad += undecodable
        while self._groups and self._records - self._groups[0][0] >= self._window:
            gone, bad = self._groups.popleft()
            self._records -= gone
            self._bad -= bad
        if self._records >= self._window and self._bad > self._ratio * self._records:
            raise TooManyDeadLetters(
                f"partition {self._partition}: {self._bad} of the last {self._records} records cannot be decoded{where}"
            )


def count_positions(positions: dict[str, TopicPosition], group: Sequence[Arrived]) -> None:
    """Move the positions over a group; what was counted before (a replay) is not counted again."""
    for arrived in group:
        position = positions.setdefault(SOURCES[arrived.source], TopicPosition())
        records = arrived.records
        if records[0].offset >= position.next:
            position.read += len(records)
        else:
            position.read += sum(record.offset >= position.next for record in records)
        position.next = max(position.next, records[-1].offset + 1)

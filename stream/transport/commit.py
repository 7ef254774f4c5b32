"""Which offset of a partition may be committed: the end of the acknowledged head of what was delivered.

Stock Faust reasons about single offsets and gaps between them, and commits past an event in flight at the head
(upstream #606). Batches need no arithmetic: they are acknowledged whole, so their order of delivery says it all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set as AbstractSet


class DeliveryOrder:
    """Last offsets of the batches of one partition, in the order in which they were delivered.

    >>> order = DeliveryOrder()
    >>> for last in (9, 19, 29):
    ...     order.delivered(last)
    >>> order.committable({19, 29}) is None
    True
    >>> order.committable({9, 19})
    20
    >>> order.committable({29})
    30
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[int] = deque()

    def delivered(self, last_offset: int) -> None:
        """Note a batch just before it is handed to its stream."""
        self._waiting.append(last_offset)

    def committable(self, acked: AbstractSet[int]) -> int | None:
        """Forget the acknowledged head and return the offset after it, None where the head is still in flight."""
        waiting = self._waiting
        last: int | None = None
        while waiting and waiting[0] in acked:
            last = waiting.popleft()
        return None if last is None else last + 1

    def __len__(self) -> int:
        return len(self._waiting)

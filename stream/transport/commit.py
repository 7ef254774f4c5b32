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
    >>> order.committable({29}), order.committable(set())
    (30, 30)
    """

    __slots__ = ("_done", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[int] = deque()
        self._done: int | None = None

    def delivered(self, last_offset: int) -> None:
        """Note a batch just before it is handed to its stream."""
        self._waiting.append(last_offset)

    def committable(self, acked: AbstractSet[int]) -> int | None:
        """Forget the acknowledged head and return the offset after it; None until there was one.

        The same again while nothing more is acknowledged: a commit that was refused is tried again, though it be the
        last for days.
        """
        waiting = self._waiting
        while waiting and waiting[0] in acked:
            self._done = waiting.popleft() + 1
        return self._done

    def __len__(self) -> int:
        return len(self._waiting)

"""Rows as they are kept: some cells for everybody, the others only for those who have anything in them.

Who only looks around has neither cart nor order nor reminder, and most customers of a shop are of that kind. So the
`sparse` columns lie in a pool of their own, to which a customer's dense cells point. Seen from outside a row has all
columns, and nothing tells where they lie.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled
from models.slots import grown

_BLOCK_BITS = 17
BLOCK = 1 << _BLOCK_BITS
"""Rows of one block. Growth never copies one; its memory is only taken as rows are made, `_FILL` at a time; few blocks
are quick to gather from."""
_FILL = 1024
_POOL_FIRST = 1024

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


class RowStore:
    """Rows numbered from 0, each as `empty` when made; the `sparse` columns of `empty` are 0.

    >>> store = RowStore(np.array([7.0, 0.0, -1.0]), sparse=[1])
    >>> store.make(2)
    >>> store.write(np.array([1]), np.array([[1.0, 2.0, 3.0]]))
    >>> store.read(np.array([1, 0])).tolist(), store.span(1, 0, 2).tolist(), store.held
    ([[1.0, 2.0, 3.0], [7.0, 0.0, -1.0]], [0.0, 2.0], 1)
    """

    def __init__(self, empty: Floats, sparse: Sequence[int]) -> None:
        self.blocks: list[Floats] = []
        self._width = len(empty)
        self._sparse = np.array(sparse)
        self._dense = np.delete(np.arange(self._width), self._sparse)
        # The last cell is the place in the pool. Place 0 is nobody's and stays empty: who has nothing points there.
        self._new = np.append(empty[self._dense], 0.0)
        self._made = 0
        self._pool: Floats = np.zeros((_POOL_FIRST, len(self._sparse)))
        self._free: NDArray[np.int32] = np.empty(_POOL_FIRST, np.int32)
        self._counts = np.array([1, 0])
        """Places of the pool that were ever given, and how many of them are free again."""

    @property
    def held(self) -> int:
        """How many rows have sparse cells."""
        return int(self._counts[0] - self._counts[1]) - 1

    @property
    def places(self) -> int:
        """How many rows the pool has had room for at once."""
        return int(self._counts[0]) - 1

    def make(self, size: int) -> None:
        """Make rows until there are at least `size`."""
        while self._made < size:
            inside = self._made % BLOCK
            if inside == 0:
                self.blocks.append(np.empty((BLOCK, len(self._new))))
            self.blocks[-1][inside : inside + _FILL] = self._new
            self._made += _FILL

    def read(self, slots: Places) -> Floats:
        """(T, columns) copy of T rows."""
        rows = np.empty((len(slots), self._width))
        for number, block in enumerate(self.blocks):
            _read(block, number << _BLOCK_BITS, slots, self._pool, self._dense, self._sparse, rows)
        return rows

    def write(self, slots: Places, rows: Floats) -> None:
        """Set T distinct rows to `rows` (T, columns)."""
        needed = int(self._counts[0]) + len(slots)
        if needed > len(self._pool):
            self._pool = grown(self._pool, max(needed, 2 * len(self._pool)))
            self._free = grown(self._free, len(self._pool))
        for number, block in enumerate(self.blocks):
            first = number << _BLOCK_BITS
            _write(block, first, slots, self._pool, self._free, self._counts, self._dense, self._sparse, rows)

    def span(self, column: int, start: int, end: int) -> Floats:
        """(end - start,) copy of one column of the rows from `start` to before `end`."""
        found = np.empty(end - start)
        is_sparse = bool((self._sparse == column).any())
        cell = int(np.searchsorted(self._sparse if is_sparse else self._dense, column))
        for number in range(start >> _BLOCK_BITS, (end + BLOCK - 1) >> _BLOCK_BITS):
            first = number << _BLOCK_BITS
            low, high = max(start, first), min(end, first + BLOCK)
            rows = self.blocks[number][low - first : high - first]
            said = self._pool[rows[:, -1].astype(np.int64), cell] if is_sparse else rows[:, cell]
            found[low - start : high - start] = said
        return found


@compiled
def _read(  # noqa: PLR0917 (compiled code takes arrays one by one)
    block: Floats, first: int, slots: Places, pool: Floats, dense: Places, sparse: Places, rows: Floats
) -> None:
    for at in range(len(slots)):
        inside = slots[at] - first
        if 0 <= inside < len(block):
            kept, row = block[inside], rows[at]
            for cell in range(len(dense)):
                row[dense[cell]] = kept[cell]
            few = pool[int(kept[-1])]
            for cell in range(len(sparse)):
                row[sparse[cell]] = few[cell]


@compiled
def _write(  # noqa: PLR0917 (as above)
    block: Floats,
    first: int,
    slots: Places,
    pool: Floats,
    free: NDArray[np.int32],
    counts: Places,
    dense: Places,
    sparse: Places,
    rows: Floats,
) -> None:
    for at in range(len(slots)):
        inside = slots[at] - first
        if 0 <= inside < len(block):
            kept, row = block[inside], rows[at]
            for cell in range(len(dense)):
                kept[cell] = row[dense[cell]]
            place = _place(int(kept[-1]), row, sparse, free, counts)
            kept[-1] = place
            if place:
                few = pool[place]
                for cell in range(len(sparse)):
                    few[cell] = row[sparse[cell]]


@compiled
def _place(before: int, row: Floats, sparse: Places, free: NDArray[np.int32], counts: Places) -> int:
    """Where a row's sparse cells are to be, 0 where it has none: a place is given or set free."""
    has = False
    for cell in range(len(sparse)):
        if row[sparse[cell]] != 0.0:
            has = True
            break
    if has == (before > 0):
        return before
    if before > 0:
        free[counts[1]] = before
        counts[1] += 1
        return 0
    if counts[1] > 0:
        counts[1] -= 1
        return int(free[counts[1]])
    counts[0] += 1
    return int(counts[0] - 1)

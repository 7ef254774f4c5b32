"""Arrays with one cell or row per slot, and rows in blocks."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

Cell = TypeVar("Cell", bound=np.generic)


def grown(cells: NDArray[Cell], capacity: int, *, fill: bool | int) -> NDArray[Cell]:
    """Copy `cells` into `capacity` of them, the new ones holding `fill`.

    >>> grown(np.array([3, 4]), 4, fill=-1).tolist()
    [3, 4, -1, -1]
    """
    larger = np.full(capacity, fill, dtype=cells.dtype)
    larger[: len(cells)] = cells
    return larger


@compiled
def read(block: NDArray[Cell], first: int, places: NDArray[np.integer[Any]], rows: NDArray[Cell]) -> None:
    """Copy rows of a block, whose first is numbered `first`, to those of `rows` (T, ...) whose place (T,) is in it."""
    for at in range(len(places)):
        inside = places[at] - first
        if 0 <= inside < len(block):
            rows[at] = block[inside]


@compiled
def write(block: NDArray[Cell], first: int, places: NDArray[np.integer[Any]], rows: NDArray[Cell]) -> None:
    """Copy rows the other way, to those of the block."""
    for at in range(len(places)):
        inside = places[at] - first
        if 0 <= inside < len(block):
            block[inside] = rows[at]

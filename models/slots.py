"""Arrays with one cell or row per slot, and rows in blocks."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

Cell = TypeVar("Cell", bound=np.generic)


def grown(cells: NDArray[Cell], capacity: int) -> NDArray[Cell]:
    """Copy `cells` (n, ...) into `capacity` of them, the new ones 0.

    >>> grown(np.array([3, 4]), 4).tolist()
    [3, 4, 0, 0]
    """
    # Zeroed memory is given by the system when first written: what is not used yet costs nothing.
    larger = np.zeros((capacity, *cells.shape[1:]), dtype=cells.dtype)
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

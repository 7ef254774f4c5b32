"""Arrays with one cell per slot."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Cell = TypeVar("Cell", bound=np.generic)


def grown(cells: NDArray[Cell], capacity: int, *, fill: bool | int) -> NDArray[Cell]:
    """Copy `cells` into `capacity` of them, the new ones holding `fill`.

    >>> grown(np.array([3, 4]), 4, fill=-1).tolist()
    [3, 4, -1, -1]
    """
    larger = np.full(capacity, fill, dtype=cells.dtype)
    larger[: len(cells)] = cells
    return larger

"""Rounding of many amounts at once, as `schemas.money.minor_units` rounds one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled
from schemas.money import CLEAR_FRACTION, CLEAR_MINOR


@compiled
def rounded(amounts: NDArray[np.float64], scale: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) amounts x `scale` without their signs, half to even, and the positions of those that only decimals decide.

    >>> minor, unclear = rounded(np.array([19.99, -8.665, 1e8]), 100.0)
    >>> minor.tolist(), unclear.tolist()
    ([1999, 0, 0], [1, 2])
    """
    minor, unclear = np.zeros(len(amounts), np.int64), np.empty(len(amounts), np.int64)
    count = 0
    for at in range(len(amounts)):
        near = abs(amounts[at]) * scale
        whole = np.rint(near)
        if near < CLEAR_MINOR and abs(near - whole) < CLEAR_FRACTION:
            minor[at] = np.int64(whole)
        else:
            unclear[count] = at
            count += 1
    return minor, unclear[:count]

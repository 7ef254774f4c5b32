"""Sums that forget, exactly and in any order: forward decay in base 2.

Source: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay: A Practical Time Decay Model for Streaming Systems" (ICDE
2009). An event at t adds 2^((t-L)/h) to a plain sum; read at T, the sum is divided by 2^((T-L)/h). The landmark L is
no state: it is the multiple of 1260 days nearest to the customer's latest event, and 1260 = lcm(1, 7, 30, 180), so that
moving it scales every sum by an exact power of two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DAY_MS = 86_400_000
CELL_DAYS = 1260
CELL_MS = CELL_DAYS * DAY_MS


def cell(last_seen_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the number of the landmark's cell for each customer's latest event.

    >>> cell(np.array([0.0, 700.0 * DAY_MS])).tolist()
    [0.0, 1.0]
    """
    return np.rint(last_seen_ms / CELL_MS)


def days_from_landmark(
    time_ms: NDArray[np.int64] | NDArray[np.float64], cells: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(t - L) in days; at most 630 for a customer's own events, so 2^(days/h) never overflows, and old ones go to 0."""
    days: NDArray[np.float64] = (time_ms - cells * CELL_MS) / DAY_MS
    return days


def weight(days: NDArray[np.float64], half_life_days: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """Say what an event `days` after its landmark adds to a sum.

    >>> weight(np.array([0.0, 7.0, -14.0]), 7).tolist()
    [1.0, 2.0, 0.25]
    """
    return np.exp2(days / half_life_days)


def rebase(sums: NDArray[np.float64], cells_moved: NDArray[np.float64], half_life_days: int) -> NDArray[np.float64]:
    """Scale sums (T, n) whose landmark moved by (T,) cells: an exact scaling by 2^(-1260/h * cells)."""
    exponent = (-cells_moved * (CELL_DAYS // half_life_days)).astype(np.int32)
    return np.ldexp(sums, exponent[:, None])


def faded(days: NDArray[np.float64], half_life_days: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """Find the factor that turns a stored sum into its value `days` after the landmark.

    >>> faded(np.array([7.0]), 7).tolist()
    [0.5]
    """
    return np.exp2(-days / half_life_days)

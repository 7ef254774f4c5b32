"""Sums that forget, exactly and in any order: forward decay in base 2.

Source: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay: A Practical Time Decay Model for Streaming Systems" (ICDE
2009). An event at t adds 2^((t-L)/h) to a plain sum; read at T, the sum is divided by 2^((T-L)/h). The landmark L is
no state: it is the multiple of 1260 days nearest to the customer's latest event, and 1260 = lcm(1, 7, 30, 180), so that
moving it scales every sum by an exact power of two.
"""

from __future__ import annotations

import math

import numpy as np

from models.compiled import compiled

DAY_MS = 86_400_000
CELL_DAYS = 1260
CELL_MS = CELL_DAYS * DAY_MS


@compiled
def cell(last_seen_ms: float) -> float:
    """Find the number of the landmark's cell for a customer's latest event.

    >>> cell(0.0), cell(700.0 * DAY_MS)
    (0.0, 1.0)
    """
    return float(np.rint(last_seen_ms / CELL_MS))


@compiled
def days_from_landmark(time_ms: float, landmark_cell: float) -> float:
    """(t - L) in days; at most 630 for a customer's own events, so 2^(days/h) never overflows, and old ones go to 0."""
    return (time_ms - landmark_cell * CELL_MS) / DAY_MS


@compiled
def weight(days: float, half_life_days: int) -> float:
    """Say what an event `days` after its landmark adds to a sum.

    >>> weight(0.0, 7), weight(7.0, 7), weight(-14.0, 7)
    (1.0, 2.0, 0.25)
    """
    return float(np.exp2(days / half_life_days))


@compiled
def rebase(total: float, cells_moved: float, half_life_days: int) -> float:
    """Scale a sum whose landmark moved: an exact scaling by 2^(-1260/h * cells)."""
    return math.ldexp(total, -int(cells_moved) * (CELL_DAYS // half_life_days))


@compiled
def faded(days: float, half_life_days: int) -> float:
    """Find the factor that turns a stored sum into its value `days` after the landmark.

    >>> faded(7.0, 7)
    0.5
    """
    return float(np.exp2(-days / half_life_days))

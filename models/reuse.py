"""Which reminders an event that arrived late shows to be wrong: the cart was in use when they were due."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.carts import Carts
from models.columns import COL
from models.reminders import WITHDRAWN, Told
from models.timers import Timers

Floats = NDArray[np.float64]


def withdraw(
    rows: Floats,
    slots: NDArray[np.int64],
    touched: NDArray[np.int64],
    carts: Carts,
    *,
    now_ms: float,
    timers: Timers,
    noted: NDArray[np.bool_],
) -> list[Told]:
    """Note in `rows`, those of sorted `slots`, what is withdrawn as the carts of `touched` slots were; say it.

    A reminder stands if the cart was silent for its delay when it was due, or has been for as long afterwards. `noted`
    (T,): set where a row changed.
    """
    told: list[Told] = []
    if not touched.size:
        return told
    places = np.searchsorted(slots, touched)
    for at in places[(rows[places, COL.told_passed] > 0) & (rows[places, COL.cart_items] > 0)].tolist():
        row, times = rows[at], carts.times(int(slots[at]))
        for number in range(len(timers.delays_ms), 0, -1):
            due_ms = float(row[COL.told_due1 + number - 1])
            if due_ms > 0 and not _silent(times, due_ms, timers.delays_ms[number - 1], timers.grace_ms, now_ms):
                told.append(Told(at, WITHDRAWN, float(row[COL.told_cart]), number, due_ms, 0.0))
                row[COL.told_due1 + number - 1] = -due_ms
                row[COL.told_passed], noted[at] = number - 1, True
    return told


def _silent(times: Sequence[int], due_ms: float, delay_ms: float, grace_ms: float, now_ms: float) -> bool:
    """Whether a cart touched at `times` (rising) was silent when a reminder was due, or long enough since.

    >>> [_silent([0, 10], 30, 30, 1, now) for now in (40, 41)], _silent([0, 10, 35], 30, 30, 1, 99)
    ([False, True], False)
    """
    place = bisect_right(times, due_ms)
    if place == 0 or times[place - 1] <= due_ms - delay_ms:
        return True
    following = times[place] if place < len(times) else now_ms
    return following >= times[place - 1] + delay_ms + grace_ms

"""Night and weekend by the shop's own clock: what a share of events is taken of.

The shop's clock is a table of its offsets from UTC; reading a time zone from disk is `stream.local_time`'s.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NIGHT, WEEKEND = 1, 2
"""Bits of a part of the day."""
NIGHT_FROM, NIGHT_TO = 22, 6
"""Hours: night is from ten in the evening to six in the morning."""
NIGHT_PRIOR, WEEKEND_PRIOR = 8 / 24, 2 / 7
"""Shares of somebody whose hours say nothing: those of the week itself."""
COUNTED_MAX = 2**26
"""Events of a customer whose parts of the day are counted; of later ones the shares stay as they are."""


class LocalClock(NamedTuple):
    """Offsets of a time zone: `offset_ms[i]` holds from `since_ms[i]` on."""

    since_ms: NDArray[np.int64]
    """Rising; the first is before every event."""
    offset_ms: NDArray[np.int64]
    """What local time is ahead of UTC."""


UTC = LocalClock(np.array([0]), np.array([0]))


def parts(time_ms: NDArray[np.int64], clock: LocalClock) -> NDArray[np.int8]:
    """(E,) `NIGHT` and `WEEKEND` (Saturday and Sunday) of each event by the shop's clock.

    >>> saturday_evening = 1_700_000_000_000 + 4 * DAY_MS
    >>> parts(np.array([saturday_evening, saturday_evening + DAY_MS * 2]), UTC).tolist()
    [3, 1]
    """
    return _parts(time_ms, clock.since_ms, clock.offset_ms)


@compiled
def _parts(time_ms: NDArray[np.int64], since_ms: NDArray[np.int64], offset_ms: NDArray[np.int64]) -> NDArray[np.int8]:
    found = np.empty(len(time_ms), dtype=np.int8)
    place = 0
    for at in range(len(time_ms)):
        # Events come nearly in order, so the right offset is nearly always the last one's.
        while place > 0 and time_ms[at] < since_ms[place]:
            place -= 1
        while place + 1 < len(since_ms) and time_ms[at] >= since_ms[place + 1]:
            place += 1
        local = time_ms[at] + offset_ms[place]
        hour = local // HOUR_MS % 24
        # The first of January 1970 was a Thursday.
        day = (local // DAY_MS + 3) % 7
        part = NIGHT if hour >= NIGHT_FROM or hour < NIGHT_TO else 0
        found[at] = part | WEEKEND if day >= 5 else part
    return found


@compiled
def counted(part: int) -> float:
    """Say what an event's part of the day adds to `night_weekend`: nights in the low 26 bits, weekends above.

    >>> counted(NIGHT | WEEKEND) == 1 + 2**26
    True
    """
    return float(part & NIGHT) + float(part >> 1) * COUNTED_MAX


def usual(events: NDArray[np.float64]) -> NDArray[np.float64]:
    """`night_weekend` of so many events whose times are not known any more: as the hours of a week are."""
    known = np.minimum(events, COUNTED_MAX - 1)
    said: NDArray[np.float64] = np.rint(known * NIGHT_PRIOR) + COUNTED_MAX * np.rint(known * WEEKEND_PRIOR)
    return said


@compiled
def nights(night_weekend: float) -> float:
    """Events of the night among those counted."""
    return float(night_weekend % COUNTED_MAX)


@compiled
def weekends(night_weekend: float) -> float:
    """Events of the weekend among those counted."""
    return float(night_weekend // COUNTED_MAX)

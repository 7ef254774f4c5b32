"""The shop's time zone as a table of offsets, read from the system's zones once."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta

import numpy as np

from models import day_parts
from models.day_parts import LocalClock
from schemas.fields import EVENT_TIME_MIN_MS
from stream.zones import find

LAST_YEAR = 2100
"""Later events are read by the last offset known."""


@functools.cache
def local_clock(zone: str) -> LocalClock:
    """Return the offsets of a zone of the IANA (`Europe/Berlin`). Raises ValueError for one that is not known here.

    >>> (local_clock("Europe/Berlin").offset_ms[:2] / 3_600_000).tolist()
    [1.0, 2.0]
    """
    if zone == "UTC":
        return day_parts.UTC
    known = find(zone)
    hour = datetime.fromtimestamp(EVENT_TIME_MIN_MS / 1000, UTC)
    offset = known.utcoffset(hour.astimezone(known))
    since, offsets = [0], [offset]
    while hour.year < LAST_YEAR:
        following = hour + timedelta(days=1)
        if (later := known.utcoffset(following.astimezone(known))) != offset:
            # Zones change on the hour or its quarters.
            while known.utcoffset(hour.astimezone(known)) == offset:
                hour += timedelta(minutes=15)
            since.append(int(hour.timestamp()) * 1000)
            offsets.append(later)
            offset = later
        hour = following
    in_ms = [int((each or timedelta()).total_seconds()) * 1000 for each in offsets]
    return LocalClock(np.array(since, np.int64), np.array(in_ms, np.int64))

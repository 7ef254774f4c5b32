"""Event time from the ways its senders write it. Nothing is guessed from the size of a number or a missing zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from schemas.dead_letter import Refusal

_TEXT_CHARS_MAX = 40
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):(\d\d))?", re.ASCII
)


def from_micros(value: object) -> int | Refusal:
    """Milliseconds from GA4's integer microseconds, rounded down.

    >>> from_micros(1_760_000_000_123_999)
    1760000000123
    """
    if type(value) is not int:
        return Refusal("invalid_time", "timestamp_micros is not an integer")
    return value // 1000


def from_text(value: object) -> int | Refusal:
    """Milliseconds from RFC 3339 text; fractions below a millisecond are cut, a leap second is the next second.

    >>> from_text("2025-10-09T10:53:20.5+02:00")
    1760000000500
    >>> from_text("2025-10-09T08:53:20").reason
    'time_without_zone'
    """
    if not isinstance(value, str) or len(value) > _TEXT_CHARS_MAX:
        return Refusal("invalid_time", "timestamp is not RFC 3339 text")
    found = _RFC3339.fullmatch(value)
    if found is None:
        return Refusal("invalid_time", "timestamp is not RFC 3339 text")
    year, month, day, hour, minute, second, fraction, zulu, sign, zone_hour, zone_minute = found.groups()
    if not zulu and not sign:
        return Refusal("time_without_zone", "timestamp has no offset")
    if int(second) > 60 or (sign and (int(zone_hour) > 23 or int(zone_minute) > 59)):
        return Refusal("invalid_time", "timestamp is no time of a day")
    try:
        start = datetime(int(year), int(month), int(day), int(hour), int(minute), tzinfo=UTC)
    except ValueError:
        return Refusal("invalid_time", "timestamp is no day of the calendar")
    offset_s = (int(zone_hour) * 3600 + int(zone_minute) * 60) * (-1 if sign == "-" else 1) if sign else 0
    seconds = int(start.timestamp()) + int(second) - offset_s
    return seconds * 1000 + int((fraction or "0").ljust(3, "0")[:3])

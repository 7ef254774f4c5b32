"""Time zones by their names; light, for the settings import it."""

from __future__ import annotations

from zoneinfo import ZoneInfo


def find(zone: str) -> ZoneInfo:
    """Return a zone of the IANA. Raises ValueError for one that is not known here."""
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError("must be a time zone that this system knows, like Europe/Berlin") from None

"""Replays files of events: reading Parquet, CSV and JSON Lines, mapping rows to canonical events, waiting for them.

Every row becomes exactly one record, in the file's order within each partition; a row that cannot be an event becomes
a record that a worker refuses with a reason, so that nothing is lost silently.
"""

from __future__ import annotations

from stream.replay.applied import wait_until_applied
from stream.replay.mapping import Columns, Outgoing, event, outgoing, verbatim
from stream.replay.read import Part, check, parts, span

__all__ = [
    "Columns",
    "Outgoing",
    "Part",
    "check",
    "event",
    "outgoing",
    "parts",
    "span",
    "verbatim",
    "wait_until_applied",
]

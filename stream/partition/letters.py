"""Dead letters on their way out: the original bytes, everything else in headers."""

from __future__ import annotations

from collections.abc import Sequence

from models.batch import SOURCES
from schemas import dead_letter
from schemas.topics import DEAD_LETTERS
from stream.decode import Letter
from stream.partition.inbox import Arrived
from stream.partition.log import OutRecord


def buried(
    letters: Sequence[Letter], group: Sequence[Arrived], partition: int, *, now_ms: int, limit_bytes: int
) -> tuple[str, list[OutRecord]]:
    """Return topic and records of the letters; a letter without its bytes (refused later) is looked up in the group."""
    wanted = {(letter.source, letter.offset) for letter in letters if letter.value is None}
    raw = {
        (arrived.source, record.offset): record.value
        for arrived in group
        if wanted
        for record in arrived.records
        if (arrived.source, record.offset) in wanted
    }
    out: list[OutRecord] = []
    for letter in letters:
        value = letter.value if letter.value is not None else raw.get((letter.source, letter.offset))
        body, headers = dead_letter.seal(
            value,
            reason=letter.reason,
            detail=letter.detail,
            topic=SOURCES[letter.source],
            partition=partition,
            offset=letter.offset,
            seen_at_ms=now_ms,
            limit_bytes=limit_bytes,
        )
        # A key near the broker's limit would exceed it together with the headers, again and again.
        out.append((letter.key and letter.key[:limit_bytes], body, headers))
    return DEAD_LETTERS, out

r"""The partition's own row in the changelog (key `\0sent`): what no customer's row can say.

It is written with the first request of a step (so that `sent` travels) and before every offset commit. Positions,
watermarks and dead-letter counts are those of the last flush, never newer: after a crash the events behind the
committed offset are read again, and what their customers' rows do not skip must find the counters as they were.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

FORMAT_VERSION = 1
OWNER_KEY = b"\0owner"
META_KEY = b"\0sent"
NAMES_MAX = 65_535
"""Names that changes may refer to; a partition that met more calls further ones by their segment's id alone."""


class UnknownMetaVersion(ValueError):  # noqa: N818 (says what was met)
    """A partition row of a format that this program does not know."""


@dataclass(slots=True)
class TopicPosition:
    """How far one source topic was counted."""

    next: int = 0
    """Next offset that has not been counted."""
    read: int = 0
    """Records counted so far."""
    watermark_ms: int = 0
    """Highest event time of the records before `next`; 0 before the first."""
    letters: int = 0
    """Dead letters among them."""


@dataclass(slots=True)
class Meta:
    """State of one partition that belongs to no customer."""

    sent: int = 0
    """Highest sequence number of a published record that is in segment-changes and in Redis."""
    topics: dict[str, TopicPosition] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    """Dead letters by reason code."""
    clock: dict[str, Any] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    """Names of segments and features that rows refer to by index."""
    partitions: int = 0
    """Partitions of the job that wrote it; 0 where that is not known."""
    judged: int = 0
    """Version of the model that every customer was judged by; 0 before the first."""
    epoch: int = 0
    """Of the owner who wrote it."""

    def name_index(self, name: str) -> int:
        """Index of `name` in `names`, added where there is room; the index of the empty name where there is none."""
        if not self.names:
            self.names.append("")
        try:
            return self.names.index(name)
        except ValueError:
            if len(self.names) >= NAMES_MAX:
                return 0
            self.names.append(name)
            return len(self.names) - 1

    def behind(self, other: Meta) -> bool:
        """Whether it was written before `other`, or by an older owner, whatever that one counted since."""
        if self.epoch != other.epoch:
            return self.epoch < other.epoch
        return (
            self.sent < other.sent
            or len(self.names) < len(other.names)
            or any(self.topics.get(name, TopicPosition()).next < there.next for name, there in other.topics.items())
        )

    def encode(self) -> bytes:
        """Return the row's value.

        >>> Meta.decode(Meta(sent=7).encode()).sent
        7
        """
        topics = {name: [t.next, t.read, t.watermark_ms, t.letters] for name, t in self.topics.items()}
        return orjson.dumps(
            {
                "version": FORMAT_VERSION,
                "sent": self.sent,
                "topics": topics,
                "reasons": self.reasons,
                "clock": self.clock,
                "names": self.names,
                "partitions": self.partitions,
                "judged": self.judged,
                "epoch": self.epoch,
            }
        )

    @classmethod
    def decode(cls, value: bytes) -> Meta:
        """Read a row's value. Raises UnknownMetaVersion."""
        said = orjson.loads(value)
        if said.get("version") != FORMAT_VERSION:
            raise UnknownMetaVersion(
                f"partition row of version {said.get('version')!r}; this program knows {FORMAT_VERSION}"
            )
        topics = {name: TopicPosition(*counted) for name, counted in said["topics"].items()}
        return cls(
            said["sent"],
            topics,
            said["reasons"],
            said["clock"],
            said["names"],
            said.get("partitions", 0),
            said.get("judged", 0),
            said.get("epoch", 0),
        )

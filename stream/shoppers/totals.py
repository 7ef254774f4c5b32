"""What was sent: exact counts and money, the yardstick for whatever reads the topics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Totals:
    """Counts of a stretch of simulated records; adding two gives the totals of both."""

    events: Counter[str] = field(default_factory=Counter)
    """Well-formed events by type, each counted once: duplicates and poison are not in here."""
    orders: int = 0
    revenue_minor: int = 0
    refunds_minor: int = 0
    duplicates: int = 0
    """Records that repeat an earlier one byte for byte."""
    poison: Counter[str] = field(default_factory=Counter)
    """Records that no worker may apply, by sort."""
    topics: Counter[str] = field(default_factory=Counter)
    """Records by topic, of every sort: events + duplicates + poison."""

    def add(self, other: Totals) -> None:
        """Add the other's counts to this one's."""
        self.events.update(other.events)
        self.orders += other.orders
        self.revenue_minor += other.revenue_minor
        self.refunds_minor += other.refunds_minor
        self.duplicates += other.duplicates
        self.poison.update(other.poison)
        self.topics.update(other.topics)

    @property
    def records(self) -> int:
        """All records: events, duplicates and poison."""
        return self.events.total() + self.duplicates + self.poison.total()

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; `sent` is the number of records of every sort."""
        return {
            "sent": self.records,
            "events": dict(self.events.most_common()),
            "orders": self.orders,
            "revenue_minor": self.revenue_minor,
            "refunds_minor": self.refunds_minor,
            "duplicates": self.duplicates,
            "poison": dict(sorted(self.poison.items())),
            "topics": dict(self.topics),
        }

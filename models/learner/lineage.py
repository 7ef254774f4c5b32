"""Who the segments are: every id with its name, and the births and ends of the last models."""

from __future__ import annotations

from collections import deque
from typing import Self

from models.learner.identity import Fate, Succession
from schemas.snapshot import HISTORY_MAX, LineageEvent, ModelSnapshot

NAMES_MAX = 200
"""Ids whose names are kept; the oldest are forgotten first, so that a snapshot stays under 64 kB."""


class Lineage:
    """Survives reseeds, restarts and fail-overs, because snapshots carry it."""

    def __init__(self) -> None:
        self.next_id = 0
        """The next id never used."""
        self.names: dict[int, str] = {}
        """Last name of every id."""
        self.history: deque[LineageEvent] = deque(maxlen=HISTORY_MAX)
        self._unpublished: list[Fate] = []

    @classmethod
    def of(cls, snapshot: ModelSnapshot) -> Self:
        """Go on from what a snapshot says."""
        lineage = cls()
        lineage.next_id = snapshot.next_id
        lineage.names = {int(segment): name for segment, name in snapshot.lineage.items()}
        lineage.history.extend(snapshot.history)
        return lineage

    def note(self, succession: Succession) -> None:
        """Remember births and ends until the next version tells of them."""
        self.next_id = succession.next_id
        self._unpublished += succession.fates

    def publish(self, version: int, at_ms: int, names: dict[int, str]) -> None:
        """Take the present segments' names, and date what happened since the last version."""
        self.names |= names
        self.names = dict(sorted(self.names.items())[-NAMES_MAX:])
        # Who began and ended between two versions was never seen by anybody.
        fates, self._unpublished = self._unpublished, []
        unseen = {one.segment for one in fates if one.kind in ("born", "split")} - names.keys()
        for fate in fates:
            if fate.segment not in unseen:
                self.history.append(
                    LineageEvent(
                        version=version,
                        at=at_ms,
                        kind=fate.kind,
                        segment=fate.segment,
                        other=fate.other,
                        overlap=round(fate.overlap, 4),
                    )
                )

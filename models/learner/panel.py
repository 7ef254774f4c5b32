"""Predictions and what came of them: vectors of a panel of customers, kept until their outcome is known.

A customer of the panel is looked at, and again as soon as the sweep meets them after the horizon; then the outcome is
known and they are looked at anew. So every customer of the panel counts about once a horizon, however busy they are.
What happened between two sightings is dated by the latest of its kind alone: an event after the horizon may hide one
within. Where a single order lies between, it hides none; otherwise the outcome is left out. That is rare, because a
round of the sweep is short beside a horizon.

Memory: at most PANEL_MAX customers, F floats each; lost with the process, so that after a restart labels begin a
horizon later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.transform import Floats
from schemas.head import HeadName
from schemas.sample import PROFILE

PANEL_MAX = 20_000
_LAST_ORDER, _ORDERS, _LAST_SEEN = map(PROFILE.index, ("last_order_at", "orders", "last_seen"))


@dataclass(frozen=True, slots=True)
class Question:
    """What is predicted of a customer."""

    name: HeadName
    horizon_ms: int
    absence: bool
    """Whether the outcome is that no event came; else that an order did."""


class Sightings(NamedTuple):
    """N customers as a sweep met them."""

    keys: NDArray[np.uint64]
    """(N,) hashes of their ids."""
    vectors: Floats
    """(N, F) raw."""
    profiles: Floats
    """(N, PROFILE)."""


class Look(NamedTuple):
    """A customer as they were looked at."""

    at_ms: int
    vector: Floats
    orders: float
    predicted: float
    outcome: bool | None
    """None while nothing came."""
    spoilt: bool


class Outcome(NamedTuple):
    """What became of a look."""

    vector: Floats
    predicted: float
    came: bool


class Panel:
    """The open looks of one question."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._looks: dict[int, Look] = {}
        self._parts = 1

    def __len__(self) -> int:
        return len(self._looks)

    def members(self, keys: NDArray[np.uint64], population: int) -> NDArray[np.bool_]:
        """(N,) which customers are of the panel, by their hashes; a part of all that shrinks as they become more."""
        while population > PANEL_MAX * self._parts:
            self._parts *= 2
            self._looks = {key: look for key, look in self._looks.items() if key % self._parts == 0}
        found: NDArray[np.bool_] = keys % np.uint64(self._parts) == 0
        return found

    def see(self, key: int, now_ms: int, vector: Floats, profile: Floats, predicted: float) -> Outcome | None:
        """Take a sighting of a member; return what became of the look before, where its horizon is over."""
        look, found = self._looks.get(key), None
        if look is not None:
            look = self._judged(look, profile)
            self._looks[key] = look
            if now_ms < look.at_ms + self.question.horizon_ms:
                return None
            if not look.spoilt:
                came = bool(look.outcome)
                found = Outcome(look.vector, look.predicted, came != self.question.absence)
        self._looks[key] = Look(now_ms, vector, float(profile[_ORDERS]), predicted, None, spoilt=False)
        return found

    def _judged(self, look: Look, profile: Floats) -> Look:
        """Say whether something came since the look, as far as can be told."""
        latest = profile[_LAST_SEEN] if self.question.absence else profile[_LAST_ORDER]
        if look.outcome is not None or look.spoilt or latest <= look.at_ms:
            return look
        if latest <= look.at_ms + self.question.horizon_ms:
            return look._replace(outcome=True)
        alone = not self.question.absence and profile[_ORDERS] - look.orders <= 1
        return look._replace(outcome=False) if alone else look._replace(spoilt=True)

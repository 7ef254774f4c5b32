"""When a learner has long work to do. Positions and lengths are in vectors seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from models.learner.config import LearnerConfig
from models.learner.work import Reason

CHALLENGE_MIN = 500
"""Vectors, and customers, without whom no challenger can be judged; after an alarm it is tried with so many."""

UNREST_LOOKS = 8
"""Looks after an alarm, each at the last warm-up's worth of vectors: what changes slowly is over long after it was
noticed, and vectors from the beginning of it describe customers who are no more."""

PATIENCE_MAX = 4
"""A model that wins is challenged again after 1, 2, 4 times the usual number of vectors."""

RETRY_GROWTH = 2
RETRY_WARM_UPS_MAX = 64
"""A seeding that finds too few distinct vectors is tried again after 1, 2, 4, ... and at most this many warm-ups."""


@dataclass(slots=True)
class Agenda:
    """Seedings after a warm-up, challenges now and then, and what an alarm calls for."""

    config: LearnerConfig
    works: int = 0
    """Works that are done: no two have the same randomness."""
    young: bool = False
    """Whether the model was never challenged."""
    seed_at: int = field(init=False)
    _retry_after: int = field(init=False)
    _challenge_at: int = field(init=False)
    _look_at: int = field(init=False)
    _patience: int = 1
    _changed_at: int = 0
    _drift_at: float = math.inf
    _looks_left: int = 0

    def __post_init__(self) -> None:
        self.seed_at = self._retry_after = self.config.warm_up
        self._challenge_at = self._look_at = self.config.challenge_every

    @property
    def _recent(self) -> int:
        return max(self.config.warm_up, CHALLENGE_MIN)

    def next(self, seen: int, population: int | None) -> tuple[Reason, int] | None:
        """Return what should challenge the serving model now, if anything, and on how many of the last vectors."""
        customers = self.config.window if population is None else population
        # Vectors from before a change describe customers who are no more.
        count = min(customers, self.config.window, seen - self._changed_at)
        if count < CHALLENGE_MIN:
            return None
        if self._looks_left:
            return ("drift", min(count, self._recent)) if seen >= self._drift_at else None
        return ("challenge", count) if seen >= self._challenge_at else None

    def looks_around(self, reason: Reason, seen: int) -> bool:
        """Whether other numbers of segments should be tried, too."""
        return reason == "challenge" and seen >= self._look_at

    def looked_around(self, seen: int) -> None:
        """Note that they were."""
        self._look_at = seen + self.config.look_every

    def notice(self, at: int) -> None:
        """Plan what a change that was noticed after `at` vectors calls for, unless one is planned already."""
        if not self._looks_left:
            self._changed_at, self._drift_at, self._looks_left = at, at + CHALLENGE_MIN, UNREST_LOOKS

    def done(self, reason: Reason, seen: int, *, adopted: bool) -> None:
        """Note how some work ended, and plan what comes after it."""
        self.works += 1
        if reason == "seed":
            self.seed_at = seen + self._retry_after
            self._retry_after = min(self._retry_after * RETRY_GROWTH, self.config.warm_up * RETRY_WARM_UPS_MAX)
        if reason == "drift":
            # The first look has but few vectors to go by: it is repeated soon.
            self._drift_at = seen + (CHALLENGE_MIN // 2 if self._looks_left == UNREST_LOOKS else self._recent)
            self._looks_left -= 1
            self._changed_at = max(self._changed_at, seen - self._recent)
        # What was challenged in vain need not be challenged so soon again.
        idle = reason == "challenge" and not adopted
        self._patience = min(self._patience * 2, PATIENCE_MAX) if idle else 1
        self._challenge_at = seen + self.config.challenge_every * self._patience
        self.young = adopted and reason != "challenge"

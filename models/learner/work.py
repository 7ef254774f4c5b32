"""The long work of a learner, cut out so that its owner can run it off the event loop: seeding and challenging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.learner.challenge import RESTARTS as CHALLENGE_RESTARTS
from models.learner.challenge import Mood, challenge
from models.learner.guard import KReading, look_around
from models.learner.seeding import RESTARTS, Seeding, seed
from models.transform import Floats, Transform

Reason = Literal["seed", "challenge", "drift"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What some work found."""

    reason: Reason
    seeding: Seeding | None
    """The model to adopt; None where the serving one stays."""
    refined: bool
    """Whether it is the serving centroids continued, row by row."""
    gain: float
    """Share of the squared error that the challenger saves, what flatters it left out; 0 for a seeding."""
    around: tuple[KReading, ...]
    """Other numbers of segments, where they were asked for."""


@dataclass(frozen=True, slots=True)
class Work:
    """Some 100 ms of arithmetic with everything it needs. `run` is pure and shares nothing with the learner."""

    reason: Reason
    vectors: Floats
    """(N, F) raw."""
    k: int
    rng_key: tuple[int, ...]
    incumbent: tuple[Transform, Floats] | None
    """The serving model, to be challenged; None for a seeding."""
    mood: Mood
    """Of that model."""
    look_around: bool
    """Whether to try other numbers of segments, too: takes a second."""

    def run(self) -> Outcome:
        """Do it. The same work always gives the same outcome."""
        rng = np.random.default_rng(self.rng_key)
        if self.incumbent is None:
            found = Outcome(self.reason, seed(self.vectors, self.k, rng), refined=False, gain=0.0, around=())
        else:
            # After an alarm the vectors are few and the old centroids misleading: worth the full search.
            restarts = RESTARTS if self.reason == "drift" else CHALLENGE_RESTARTS
            ended = challenge(self.vectors, *self.incumbent, rng, restarts=restarts, mood=self.mood)
            refined = ended.winner == "refined"
            found = Outcome(self.reason, ended.seeding, refined=refined, gain=ended.gain, around=())
        if not self.look_around:
            return found
        around = look_around(self.vectors, self.k, rng)
        return Outcome(found.reason, found.seeding, found.refined, found.gain, around)

"""Predictions learnt online: logistic regressions in a bag that ADWIN watches, from outcomes that come late.

A prediction is scored against its outcome before that is learnt from (prequential), over the last outcomes. Members are
linear in log1p of the features, so they are exported as weights; what a restart loses is how firmly each weight was
known (`Bag.trust` guesses it) and the open looks of the panel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from models.chances import probabilities
from models.learner.panel import Outcome, Panel, Question, Sightings
from models.learner.regression import Bag
from models.learner.trust import measure
from models.learner.window import Window
from models.transform import SMALLEST_DEVIATION, Floats
from schemas.head import Head, Trust

DAY_MS = 86_400_000
QUESTIONS = (
    Question("purchase_7d", 7 * DAY_MS, absence=False),
    Question("churn_30d", 30 * DAY_MS, absence=True),
)
LABELS_MIN = 500
"""Outcomes before anything is learnt: the scale is measured on them, and stays."""
POSITIVES_MIN = 30
"""Outcomes of either kind before anything is predicted."""
BLOCK = 256
"""Outcomes learnt at once, at most."""
TRUST_OUTCOMES = 20_000


class LearnedHead:
    """One question and its answer so far."""

    def __init__(self, question: Question, features: Sequence[str], seed: int) -> None:
        self.question = question
        self.panel = Panel(question)
        self.labels = self.positives = 0
        self._features = tuple(features)
        self._bag = Bag(len(self._features), seed)
        self._mean: Floats = np.zeros(len(self._features))
        self._deviation: Floats = np.zeros(len(self._features))
        """0 until the scale is measured."""
        self._waiting: list[Outcome] = []
        self._scored = Window(TRUST_OUTCOMES, 2)
        """What was predicted, and 1 where it came true."""

    @classmethod
    def restore(cls, question: Question, features: Sequence[str], seed: int, head: Head | None) -> Self:
        """Go on from what a snapshot of the same features says; from nothing where it says nothing."""
        learnt = cls(question, features, seed)
        if head is None or len(head.mean) != len(features):
            return learnt
        learnt.labels, learnt.positives = head.labels, head.positives
        learnt._mean, learnt._deviation = np.array(head.mean), _scale(np.sqrt(head.variance))
        members = np.array(head.members)
        slopes = members[:, :-1] * learnt._deviation
        intercepts = members[:, -1:] + members[:, :-1] @ learnt._mean[:, None]
        learnt._bag.trust(np.c_[slopes, intercepts], head.labels, head.positives / head.labels)
        return learnt

    @property
    def ready(self) -> bool:
        """Whether enough outcomes of both kinds came."""
        return self.labels >= LABELS_MIN and min(self.positives, self.labels - self.positives) >= POSITIVES_MIN

    def see(self, seen: Sightings, now_ms: int, population: int) -> None:
        """Take customers of a sweep; learn from what came of those whose horizon is over."""
        chosen = np.flatnonzero(self.panel.members(seen.keys, population))
        if not len(chosen):
            return
        logs = np.log1p(np.maximum(seen.vectors[chosen], 0.0))
        predicted = np.full(len(chosen), np.nan)
        if self.ready:
            predicted = probabilities(self.weights(), logs)
        for at, (place, key) in enumerate(zip(chosen.tolist(), seen.keys[chosen].tolist(), strict=True)):
            outcome = self.panel.see(key, now_ms, logs[at].copy(), seen.profiles[place], float(predicted[at]))
            if outcome is not None:
                self._waiting.append(outcome)
        self._learn()

    def weights(self) -> Floats:
        """(MEMBERS, F + 1) weights on log1p of the features, intercepts last."""
        slopes = self._bag.weights[:, :-1] / self._deviation
        intercepts = self._bag.weights[:, -1] - slopes @ self._mean
        return np.concatenate([slopes, intercepts[:, None]], axis=1)

    def trust(self) -> Trust | None:
        """Measure the predictions whose outcome is known; None before both outcomes came."""
        scored = self._scored.last(TRUST_OUTCOMES)
        return measure(scored[:, 0], scored[:, 1] > 0.0) if len(scored) else None

    def export(self) -> Head | None:
        """Make what workers score with; None while too little is known."""
        if not self.ready:
            return None
        return Head(
            name=self.question.name,
            labels=self.labels,
            positives=self.positives,
            mean=self._mean.tolist(),
            variance=np.square(self._deviation).tolist(),
            members=self.weights().tolist(),
            trust=self.trust(),
        )

    def _learn(self) -> None:
        """Learn from the outcomes that wait, once there are enough to measure the scale on."""
        if self.labels + len(self._waiting) < LABELS_MIN or not self._waiting:
            return
        logs = np.array([outcome.vector for outcome in self._waiting])
        came = np.array([outcome.came for outcome in self._waiting])
        if not self._deviation.any():
            self._mean, self._deviation = logs.mean(axis=0), _scale(logs.std(axis=0))
        predicted = np.array([outcome.predicted for outcome in self._waiting])
        told = ~np.isnan(predicted)
        self._scored.put(np.column_stack((predicted, came))[told])
        self._waiting = []
        self.labels += len(came)
        self.positives += int(came.sum())
        scaled = (logs - self._mean) / self._deviation
        for start in range(0, len(came), BLOCK):
            self._bag.learn(scaled[start : start + BLOCK], came[start : start + BLOCK])


def _scale(deviation: Floats) -> Floats:
    """Say what to divide by: a feature that was constant so far is left as it is."""
    return np.where(deviation < SMALLEST_DEVIATION, 1.0, deviation)

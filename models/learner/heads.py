"""Predictions learnt online: scaled logistic regressions in ADWIN bagging (River), from outcomes that come late.

A prediction is scored against its outcome before that is learnt from (prequential), over the last outcomes. Members are
linear in log1p of the features, so they are exported as weights; what a restart loses are the members' drift detectors
and the open looks of the panel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from river import ensemble, linear_model, optim, preprocessing, utils

from models.chances import probabilities
from models.learner.panel import Panel, Question, Sightings
from models.learner.trust import measure
from models.transform import Floats
from schemas.head import Head, Trust

DAY_MS = 86_400_000
QUESTIONS = (
    Question("purchase_7d", 7 * DAY_MS, absence=False),
    Question("churn_30d", 30 * DAY_MS, absence=True),
)
MEMBERS = 5
STEP = 0.01
LABELS_MIN = 500
POSITIVES_MIN = 30
"""Outcomes of either kind before anything is predicted."""
TRUST_OUTCOMES = 20_000


class LearnedHead:
    """One question and its answer so far."""

    def __init__(self, question: Question, features: Sequence[str], seed: int) -> None:
        self.question = question
        self.panel = Panel(question)
        self.labels = self.positives = 0
        self._features = tuple(features)
        self._scaler = preprocessing.StandardScaler()
        self._bag = ensemble.ADWINBaggingClassifier(
            linear_model.LogisticRegression(optimizer=optim.SGD(STEP)), n_models=MEMBERS, seed=seed
        )
        self._weights: Floats | None = None
        self._scored: deque[tuple[float, bool]] = deque(maxlen=TRUST_OUTCOMES)

    @classmethod
    def restore(cls, question: Question, features: Sequence[str], seed: int, head: Head | None) -> Self:
        """Go on from what a snapshot of the same features says; from nothing where it says nothing."""
        learnt = cls(question, features, seed)
        if head is None or len(head.mean) != len(features):
            return learnt
        learnt.labels, learnt.positives = head.labels, head.positives
        for name, mean, variance in zip(features, head.mean, head.variance, strict=True):
            learnt._scaler.counts[name], learnt._scaler.means[name] = head.labels, mean
            learnt._scaler.vars[name] = variance
        deviation = np.sqrt(head.variance)
        for member, weights in zip(learnt._bag, np.array(head.members), strict=True):
            member.intercept = float(weights[-1] + weights[:-1] @ np.array(head.mean))
            scaled = dict(zip(features, (weights[:-1] * deviation).tolist(), strict=True))
            # River gives copies of its weights, and takes none.
            member._weights = utils.VectorDict(scaled, member.initializer)  # noqa: SLF001
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
                self._learn(*outcome)

    def weights(self) -> Floats:
        """(MEMBERS, F + 1) weights on log1p of the features, intercepts last."""
        if self._weights is None:
            names = self._features
            mean = np.array([self._scaler.means[name] for name in names])
            deviation = np.sqrt([self._scaler.vars[name] for name in names])
            inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
            rows = []
            for member in self._bag:
                weight = np.array([member.weights.get(name, 0.0) for name in names]) * inverse
                rows.append([*weight, member.intercept - weight @ mean])
            self._weights = np.array(rows)
        return self._weights

    def trust(self) -> Trust | None:
        """Measure the predictions whose outcome is known; None before both outcomes came."""
        if not self._scored:
            return None
        predicted, came = map(np.array, zip(*self._scored, strict=True))
        return measure(predicted, came)

    def export(self) -> Head | None:
        """Make what workers score with; None while too little is known."""
        if not self.ready:
            return None
        return Head(
            name=self.question.name,  # type: ignore[arg-type] # QUESTIONS are the schema's names
            labels=self.labels,
            positives=self.positives,
            mean=[self._scaler.means[name] for name in self._features],
            variance=[self._scaler.vars[name] for name in self._features],
            members=self.weights().tolist(),
            trust=self.trust(),
        )

    def _learn(self, logs: Floats, predicted: float, came: bool) -> None:
        if not np.isnan(predicted):
            self._scored.append((predicted, came))
        self.labels += 1
        self.positives += came
        self._weights = None
        raw: dict[Any, float] = dict(zip(self._features, logs.tolist(), strict=True))
        self._scaler.learn_one(raw)
        self._bag.learn_one(self._scaler.transform_one(raw), came)

"""Logistic regressions in a bag, learnt block by block: each block moves them by Newton's steps from what they knew.

What was learnt before stands for itself as a normal prior, the Laplace approximation (Spiegelhalter & Lauritzen 1990),
whose precision fades. A single pass is then nearly as good as a fit to everything, at any scale of the features: on
CDNOW plain gradient steps stayed seven points of AUC behind. Bagging is Oza and Russell's: every member counts an
outcome Poisson(1) times. Where ADWIN finds that the errors grew, what was known counts half.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from river.drift import ADWIN

from models.transform import Floats

MEMBERS = 5
MEMORY = 200_000
"""Outcomes after which one counts 1/e."""
RIDGE = 1.0
STEPS = 3
CHANGE_DELTA = 1e-6
KEPT = 0.5
"""Share of what was known that counts after a change."""
_SCORE_MAX = 40.0


class Bag:
    """MEMBERS regressions of F scaled features and an intercept."""

    def __init__(self, features: int, seed: int) -> None:
        self.weights: Floats = np.zeros((MEMBERS, features + 1))
        """(MEMBERS, F + 1), the intercepts last."""
        self.changes = 0
        """How often the errors grew."""
        self._known: Floats = np.zeros((features + 1, features + 1))
        """Curvature of what was learnt: how firmly the weights are known, and in which directions."""
        self._rng = np.random.default_rng(seed)
        self._errors = ADWIN(delta=CHANGE_DELTA)

    def trust(self, weights: Floats, outcomes: int, rate: float) -> None:
        """Go on from weights that so many outcomes, of which `rate` came, had taught: about as firmly as then."""
        self.weights = weights
        self._known = min(outcomes, MEMORY) * rate * (1.0 - rate) * np.eye(len(self._known))

    def learn(self, scaled: Floats, came: NDArray[np.bool_]) -> None:
        """Learn from (N, F) scaled features and what became of them."""
        points = np.c_[scaled, np.ones(len(scaled))]
        self._watch(chances(self.weights, points).mean(axis=0), came)
        self._known *= np.exp(-len(points) / MEMORY)
        precision = self._known + RIDGE * np.eye(len(self._known))
        counted = self._rng.poisson(1.0, (len(self.weights), len(points)))
        before = self.weights.copy()
        for _ in range(STEPS):
            chance = chances(self.weights, points)
            slope = (counted * (came - chance)) @ points - (self.weights - before) @ precision
            curvature = (points.T * (chance * (1.0 - chance)).mean(axis=0)) @ points
            self.weights = self.weights + np.linalg.solve(precision + curvature, slope.T).T
        self._known += curvature

    def _watch(self, chance: Floats, came: NDArray[np.bool_]) -> None:
        for error in np.square(chance - came).tolist():
            before = self._errors.estimation
            self._errors.update(error)
            # Fewer errors than before are no reason to doubt what was learnt.
            if self._errors.drift_detected and self._errors.estimation > before:
                self.changes += 1
                self._known *= KEPT


def chances(weights: Floats, points: Floats) -> Floats:
    """(MEMBERS, N) probabilities of (N, F + 1) points."""
    score = np.clip(weights @ points.T, -_SCORE_MAX, _SCORE_MAX)
    found: Floats = 1.0 / (1.0 + np.exp(-score))
    return found

"""What customers will probably do: the published heads, scored for many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from models.transform import Floats
from schemas.head import Head, HeadName

NAMES: tuple[HeadName, ...] = ("purchase_7d", "churn_30d")
"""In the order of their places in a row."""
STEPS = 1_000
"""Probabilities are published in thousandths."""
_BASE = STEPS + 2
"""A place holds 0 where nothing is predicted, else 1 + the thousandths."""


@dataclass(frozen=True, slots=True)
class Heads:
    """Heads as matrices."""

    members: tuple[Floats | None, ...]
    """For each of NAMES its (M, F + 1) weights, the intercept last; None where there is none."""

    @classmethod
    def of(cls, heads: Sequence[Head]) -> Self:
        """Compile what a snapshot says."""
        by_name: dict[HeadName, Floats] = {head.name: np.array(head.members) for head in heads}
        return cls(tuple(by_name.get(name) for name in NAMES))

    def score(self, vectors: Floats) -> list[Floats | None]:
        """Return for each of NAMES the (T,) probabilities of customers with (T, F) raw vectors."""
        logs = np.log1p(np.maximum(vectors, 0.0))
        return [None if weights is None else probabilities(weights, logs) for weights in self.members]

    def packed(self, vectors: Floats) -> Floats:
        """(T,) all probabilities in one whole number each, at most about a million."""
        total = np.zeros(len(vectors))
        for chance in self.score(vectors):
            total = total * _BASE + (0 if chance is None else 1 + np.rint(chance * STEPS))
        return total


def probabilities(weights: Floats, logs: Floats) -> Floats:
    """(T,) mean probability by (M, F + 1) weights for (T, F) features as log1p."""
    score = np.clip(logs @ weights[:, :-1].T + weights[:, -1], -40.0, 40.0)
    mean: Floats = (1.0 / (1.0 + np.exp(-score))).mean(axis=1)
    return mean


def unpacked(packed: int) -> list[float | None]:
    """Read the probabilities of one number, in the order of NAMES.

    >>> unpacked(0), unpacked(24 * 1002 + 901)
    ([None, None], [0.023, 0.9])
    """
    places = [packed // _BASE ** (len(NAMES) - 1 - at) % _BASE for at in range(len(NAMES))]
    return [None if place == 0 else (place - 1) / STEPS for place in places]

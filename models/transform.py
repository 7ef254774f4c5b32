"""From raw features to the space clusters live in: log1p, standardise, weigh, clip.

Counts, money and recencies are heavy-tailed; without log1p and a common scale k-means finds groups of two whales and
one crowd. The scale is measured once, on the warm-up vectors, and frozen with the model: a scale that drifts moves
every unchanged customer. Clipping bounds what a bot or a corrupt amount can pull.

Features that say the same thing share one vote: where a shop knows nothing but orders, `days_since_seen` is
`days_since_order` again and decayed counts nearly so, and unweighed the segments would be bands of recency that
everybody wanders through (decision 0025).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

CLIP = 4.0
"""Standard deviations after which every value counts the same."""

SMALLEST_DEVIATION = 1e-4
"""A feature whose logarithm varies less than this over the warm-up is constant: its scale is 1, so it says nothing.
Well above the noise of a single-precision logarithm, which would otherwise be scaled up to a signal."""

ALIKE = 8
"""Power of a correlation: .99 makes .92 of a repetition, .9 makes .43, .7 makes .06. With 2 or 4 also features that
merely go together lost weight, and with 16 or none the segments of CDNOW moved more (measured)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Transform:
    """A frozen log1p scaler of F features.

    >>> transform = Transform.fit(np.array([[0.0, 5.0], [3.0, 5.0]]))
    >>> transform.apply(np.array([[0.0, 5.0], [3.0, 5.0], [1e9, 5.0]])).round(6).tolist()
    [[-1.0, 0.0], [1.0, 0.0], [4.0, 0.0]]
    """

    mean: Floats
    """(F,) means of log1p of the feature."""
    scale: Floats
    """(F,) standard deviations of the same, times the root of how many features say it; 1 where constant."""
    clip: float = CLIP

    @classmethod
    def fit(cls, vectors: Floats, clip: float = CLIP) -> Self:
        """Measure (N, F) raw finite vectors, N >= 1. Raises ValueError when there are none or a value is not finite."""
        if vectors.ndim != 2 or not len(vectors):
            raise ValueError(f"a scaler needs a table of at least one vector, got shape {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise ValueError("a scaler cannot be measured on values that are not finite")
        logs = np.log1p(np.maximum(vectors, 0.0))
        mean, deviation = logs.mean(axis=0), logs.std(axis=0)
        constant = deviation < SMALLEST_DEVIATION
        deviation[constant] = 1.0
        return cls(mean, deviation * np.sqrt(np.where(constant, 1.0, repetitions((logs - mean) / deviation))), clip)

    @classmethod
    def of(cls, mean: Sequence[float], scale: Sequence[float], clip: float) -> Self:
        """Restore one from the lists of a snapshot."""
        return cls(np.asarray(mean, np.float64), np.asarray(scale, np.float64), clip)

    def apply(self, vectors: Floats) -> Floats:
        """Turn (T, F) raw vectors into (T, F) scaled ones, as `scale_value` says."""
        return _scaled(np.ascontiguousarray(vectors, np.float64), self.mean, 1.0 / self.scale, self.clip)

    def invert(self, scaled: Floats) -> Floats:
        """Turn (..., F) scaled values back into raw ones; what was clipped stays clipped."""
        raw: Floats = np.expm1(scaled * self.scale + self.mean)
        return raw


def repetitions(standardised: Floats) -> Floats:
    """(F,) how many of the features of (N, F) standardised vectors say what each says, itself included.

    >>> repetitions(np.array([[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, -1.0]])).tolist()
    [2.0, 2.0, 1.0]
    """
    alike = np.abs(standardised.T @ standardised / len(standardised)) ** ALIKE
    repeated: Floats = alike.sum(axis=0)
    return repeated


@compiled
def scale_value(value: float, mean: float, inverse: float, clip: float) -> float:
    """Scale one raw value by its feature's mean and the inverse of its deviation: always finite and within +-clip.

    Total on purpose: a negative or undefined value counts as 0 and an infinite one as the clip, so one broken number
    can neither raise nor poison a batch. The logarithm is of single precision, the faster one; a scaled value is off by
    less than 1e-5 where the deviation is over 0.1.
    """
    logarithm = np.log(np.float32(value) + np.float32(1.0)) if value > 0.0 else np.float32(0.0)
    return float(min(max((logarithm - mean) * inverse, -clip), clip))


@compiled
def _scaled(vectors: Floats, mean: Floats, inverse: Floats, clip: float) -> Floats:
    scaled = np.empty_like(vectors)
    for at in range(len(vectors)):
        for feature in range(vectors.shape[1]):
            scaled[at, feature] = scale_value(vectors[at, feature], mean[feature], inverse[feature], clip)
    return scaled

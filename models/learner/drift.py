"""Noticing that the world changed, vector by vector: ADWIN (Bifet & Gavalda 2007) on three kinds of signal.

Only the distance to the nearest centroid may act: it was silent over 29,000 stationary vectors and saw an abrupt change
after 56 (measured). Features and segments' shares are reported: a daily rhythm moves them without any drift. Whoever
feeds them gives one vector of a visit only: the near-equal vectors of one visit are an alarm a thousand (measured).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from river.drift import ADWIN

from models.learner.kmeans import Labels
from models.transform import Floats

ACTING_DELTA = 1e-6
"""ADWIN's chance of a false alarm, for the signal that acts."""

REPORTED_DELTA = 1e-4
"""The same for the signals that are only reported."""


class DriftWatch:
    """ADWINs over one model's distances, features and shares; begun anew with each model that is adopted."""

    def __init__(self, features: Sequence[str], ids: Sequence[int]) -> None:
        self._distance = ADWIN(delta=ACTING_DELTA)
        self._features = {name: ADWIN(delta=REPORTED_DELTA) for name in features}
        self._shares = {segment: ADWIN(delta=REPORTED_DELTA) for segment in ids}
        self.feature_changes: Counter[str] = Counter()
        """Changes seen in each feature."""
        self.share_changes: Counter[int] = Counter()
        """Changes seen in each segment's share, by id."""

    def observe(self, scaled: Floats, labels: Labels, distances: Floats) -> int | None:
        """Take N vectors: (N, F) scaled, (N,) row of the nearest centroid, (N,) distance to it.

        Returns after how many of them a change in distance was first noticed; None where there was none.
        """
        noticed = None
        for count, distance in enumerate(distances.tolist(), 1):
            self._distance.update(distance)
            if self._distance.drift_detected and noticed is None:
                noticed = count
        for column, (name, detector) in enumerate(self._features.items()):
            self.feature_changes[name] += _changes(detector, scaled[:, column].tolist())
        for row, (segment, detector) in enumerate(self._shares.items()):
            self.share_changes[segment] += _changes(detector, (labels == row).astype(np.float64).tolist())
        return noticed


def _changes(detector: ADWIN, values: list[float]) -> int:
    changes = 0
    for value in values:
        detector.update(value)
        changes += detector.drift_detected
    return changes

"""The customer base that RFM scores and lifecycles are measured by, from the learner's sweep.

Kept are the last sightings: as many as there are customers, at most SIGHTINGS_MAX. A base of up to so many is therefore
seen whole, and its quintiles are exact, as of when each customer was seen last. Of a larger one this is a sample, and
by the inequality of Dvoretzky, Kiefer and Wolfowitz the chance that some edge is off by more than e in rank is at most
2 exp(-2 n e^2) for n buyers: with 20,000 of them once in 250 by 1.25 %. Two such windows merge by joining them.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from models.learner.window import Window
from models.transform import Floats
from schemas.sample import PROFILE
from schemas.standing import EDGES, CustomerBase

SIGHTINGS_MAX = 20_000
SIGHTINGS_MIN = 1_000
"""After a restart the base of before stands until so many customers were seen, or all."""
BUYERS_MIN = 20
"""Quintiles of fewer say nothing."""

_FIRST, _LAST, _ORDERS, _MONEY = map(PROFILE.index, ("first_order_at", "last_order_at", "orders", "money_minor"))


class BaseWatch:
    """The last sightings of customers; not thread-safe."""

    def __init__(self, before: CustomerBase | None = None) -> None:
        self._before = before
        self._window = Window(SIGHTINGS_MAX, len(PROFILE))
        self._population = 0

    @classmethod
    def of(cls, before: CustomerBase | None) -> Self:
        """Go on from what a snapshot says."""
        return cls(before)

    def add(self, profiles: Floats, population: int) -> None:
        """Take (N, PROFILE) customers as they were seen; `population` says how many customers there are."""
        self._population = population
        self._window.put(profiles[np.isfinite(profiles).all(axis=1)])

    def read(self) -> CustomerBase | None:
        """Measure the base; the one of before where too few were seen, None where that is none."""
        seen = min(len(self._window), self._population)
        if seen < min(self._population, SIGHTINGS_MIN):
            return self._before
        sightings = self._window.last(seen)
        buyers = sightings[sightings[:, _LAST] > 0]
        if len(buyers) < BUYERS_MIN:
            return self._before
        ranks = np.arange(1, EDGES + 1) / (EDGES + 1)
        edges = np.quantile(buyers, ranks, axis=0)
        again = buyers[buyers[:, _ORDERS] > 1]
        span, gaps = (again[:, _LAST] - again[:, _FIRST]).sum(), (again[:, _ORDERS] - 1).sum()
        self._before = CustomerBase(
            buyers=len(buyers),
            last_order_at=edges[:, _LAST].tolist(),
            orders=edges[:, _ORDERS].tolist(),
            money_minor=edges[:, _MONEY].tolist(),
            gap_ms=float(span / gaps) if len(again) else 0.0,
        )
        return self._before

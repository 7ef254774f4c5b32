"""The customers: who is which archetype, how often each comes, and how they change over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.shoppers.archetypes import ARCHETYPES, DRIFTED_SHARES, NAMES, SHARES, parameter
from stream.shoppers.config import DAY_MS, Config, Move

MOVES_PER_DAY = 0.004
"""P(a customer changes archetype within a day); with drift DRIFT_MOVES_PER_DAY."""
DRIFT_MOVES_PER_DAY = 0.05
DRIFT_DAYS = 20.0
"""So many simulated days until a drifting shop's newcomers follow the drifted shares alone."""
REFRESH_DAYS = 0.02
"""Visiting rates fade slowly: recomputing them more often than this changes nothing that one could see."""


class Population:
    """N customers with a true label each, and the weights by which they visit."""

    def __init__(self, config: Config, rng: np.random.Generator) -> None:
        """Draw labels by the archetypes' shares, and each customer's own liveliness around the archetype's."""
        n = config.customers
        self._config = config
        self.ids: list[str] = [f"{config.customer_prefix}{i:07d}" for i in range(n)]
        self.keys: list[bytes] = [customer.encode() for customer in self.ids]
        self.labels: NDArray[np.int64] = rng.choice(len(ARCHETYPES), n, p=SHARES / SHARES.sum())
        self._liveliness = rng.gamma(3.0, 1 / 3.0, n)
        self._since_ms = np.full(n, config.start_ms, dtype=np.int64)
        self._weights_at_day = -np.inf
        self._cumulative = np.empty(0)
        self._mean_events = 0.0

    def visits(self, now_ms: int) -> tuple[float, float]:
        """(sessions a day of all customers, mean browsing events of one) at this time."""
        day = (now_ms - self._config.start_ms) / DAY_MS
        if day - self._weights_at_day >= REFRESH_DAYS:
            self._weights_at_day = day
            self._weigh(now_ms)
        return float(self._cumulative[-1]), self._mean_events

    def _weigh(self, now_ms: int) -> None:
        fades_days = parameter("fades_days")[self.labels]
        age_days = (now_ms - self._since_ms) / DAY_MS
        fade = np.exp2(-np.divide(age_days, fades_days, out=np.zeros_like(age_days), where=fades_days > 0))
        weights = self._liveliness * parameter("sessions_per_day")[self.labels] * fade
        # A shop where everybody faded would stop the simulated clock: a last trickle of visits keeps it going.
        weights = np.maximum(weights, 1e-4)
        self._cumulative = np.cumsum(weights)
        length = parameter("events_per_session")[self.labels]
        self._mean_events = float(weights @ length / self._cumulative[-1])

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """(count,) customers, each by its visiting rate as of the last `visits`."""
        drawn = np.searchsorted(self._cumulative, rng.random(count) * self._cumulative[-1], side="right")
        inside: NDArray[np.int64] = np.minimum(drawn, len(self.ids) - 1)
        return inside

    def change(self, days: float, now_ms: int, rng: np.random.Generator) -> list[Move]:
        """Let some customers become another archetype during these days of simulated time."""
        config = self._config
        per_day = DRIFT_MOVES_PER_DAY if config.drift else MOVES_PER_DAY
        count = min(int(rng.poisson(config.customers * per_day * days)), config.customers)
        if not count:
            return []
        drifted = min(1.0, (now_ms - config.start_ms) / DAY_MS / DRIFT_DAYS) if config.drift else 0.0
        shares = (1 - drifted) * SHARES + drifted * DRIFTED_SHARES
        who = np.unique(rng.integers(0, config.customers, count))
        target = rng.choice(len(ARCHETYPES), len(who), p=shares / shares.sum())
        moved = self.labels[who] != target
        who, target = who[moved], target[moved]
        moves = [
            Move(self.ids[customer], now_ms, NAMES[old], NAMES[new])
            for customer, old, new in zip(who.tolist(), self.labels[who].tolist(), target.tolist(), strict=True)
        ]
        self.labels[who] = target
        self._since_ms[who] = now_ms
        return moves

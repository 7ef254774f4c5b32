"""What a worker counts about itself between two rounds of segment-metrics."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from models.apply import Applied
    from models.judge import Judged
    from stream.decode import Decoded
    from stream.partition.inbox import Arrived

LATENCY_SAMPLES = 10_000
"""Latencies kept for the percentiles of one round; older ones give way."""
PER_BATCH = 64
"""Latencies taken of one batch at most."""
CUSTOM_NAMES = 100
"""Names of custom events that are counted; further ones count as `(other)`."""


class Metrics:
    """Counters since the start and latencies since the last round; one per worker, used on its event loop only."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.custom: Counter[str] = Counter()
        self._sweep_delay_ms = 0.0
        self._latencies_ms: deque[float] = deque(maxlen=LATENCY_SAMPLES)

    def count(self, name: str, by: int) -> None:
        """Add to a counter."""
        self.counters[name] += by

    def published(self, judged: Judged) -> None:
        """Note records and changes that are published."""
        self.counters["records_published"] += len(judged.published)
        self.counters["changes"] += len(judged.moved)

    def swept(self, customers: int, delay_ms: float) -> None:
        """Note customers who were judged because time passed, and how long after their sweep was due."""
        self.counters["swept_customers"] += customers
        self._sweep_delay_ms = max(self._sweep_delay_ms, delay_ms)

    def taken_sweep_delay_ms(self) -> float:
        """Return the longest from when a sweep was due to its end, since the last call."""
        delay_ms, self._sweep_delay_ms = self._sweep_delay_ms, 0.0
        return delay_ms

    def observe(self, group: Sequence[Arrived], decoded: Decoded, done: Sequence[tuple[Applied, Judged]]) -> None:
        """Note a group that is durable: its size, what became of its events, how old its records are by now."""
        counters = self.counters
        counters["groups"] += 1
        counters["dead_letters"] += len(decoded.letters)
        counters["without_id"] += decoded.without_id
        for applied, judged in done:
            counters["events_applied"] += applied.applied
            counters["duplicates"] += applied.duplicates
            counters["late"] += applied.late
            counters["replayed"] += applied.replayed
            counters["dead_letters"] += len(applied.refused)
            self.published(judged)
        for name, times in decoded.custom.items():
            self.custom[name if name in self.custom or len(self.custom) < CUSTOM_NAMES else "(other)"] += times
        now_ms = time.time_ns() / 1e6
        for arrived in group:
            records = arrived.records
            step = max(1, len(records) // PER_BATCH)
            self._latencies_ms.extend(now_ms - record.timestamp for record in records[::step])

    def latencies_ms(self) -> tuple[float, float] | None:
        """Return p50 and p99 from produce to Redis since the last call, None where nothing came."""
        if not self._latencies_ms:
            return None
        p50, p99 = np.percentile(np.fromiter(self._latencies_ms, np.float64), (50, 99))
        self._latencies_ms.clear()
        return float(p50), float(p99)

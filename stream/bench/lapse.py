"""A million customers who lapse within the same second: how long until all are published, and whether the loop stands.

The partition, its log and its Redis are the real ones, and nobody shops; time goes on while they are published.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from models.columns import COL
from models.standing import LAPSED_GAPS, Yardsticks
from stream.bench.crowd import Rows, crowd, watched
from stream.bench.lab import Lab, lab

CUSTOMERS = 1_000_000
SECOND_MS = 1_000
WATCH_S = 0.001
LIMIT_S = 600.0


def measure(broker: str) -> Iterator[dict[str, Any]]:
    """One line: the sweep in which all of them lapse."""
    with lab(broker) as here:
        yield asyncio.run(_measure(here))


async def _measure(here: Lab) -> dict[str, Any]:
    async with crowd(here, CUSTOMERS, _about_to_lapse) as many:
        # The first look finds nothing to publish, and plans the next one within the second.
        await many.sweep()
        metrics, before_ms = many.partition.shared.metrics, many.partition.now_ms
        metrics.taken_sweep_delay_ms()
        published = metrics.counters["records_published"]
        began, cpu_s = time.monotonic(), time.process_time()
        many.keep_time(lambda: before_ms + SECOND_MS + int((time.monotonic() - began) * 1000))
        async with watched(WATCH_S) as lag, asyncio.timeout(LIMIT_S):
            await many.sweep()
        seconds, cpu_s = time.monotonic() - began, time.process_time() - cpu_s
        return {
            "stage": "lapse",
            "events": 0,
            "customers": CUSTOMERS,
            "customers_published": metrics.counters["records_published"] - published,
            "seconds": round(seconds, 1),
            "cpu_s": round(cpu_s, 1),
            "cpu_us_per_customer": round(cpu_s / CUSTOMERS * 1e6, 1),
            "loop_lag_ms_max": round(lag.longest_ms, 1),
            "sweep_delay_ms": round(metrics.taken_sweep_delay_ms()),
        }


def _about_to_lapse(rows: Rows, yardsticks: Yardsticks, now_ms: int) -> None:
    """Move the past of customers so that each lapses within the second from `now_ms` on, by their own rhythm."""
    bought = rows[:, COL.last_order_at] > 0
    buying_ms = rows[:, COL.last_order_at] - rows[:, COL.first_order_at]
    gap_ms = (buying_ms + yardsticks.gap_ms) / np.maximum(rows[:, COL.orders], 1.0)
    lapses_ms = now_ms + np.linspace(1, SECOND_MS - 1, len(rows))
    silent_since_ms = np.floor(lapses_ms - LAPSED_GAPS * gap_ms)
    known_ms = rows[:, COL.last_seen] - rows[:, COL.first_seen]
    rows[:, COL.last_order_at] = np.where(bought, silent_since_ms, 0.0)
    rows[:, COL.first_order_at] = np.where(bought, silent_since_ms - buying_ms, 0.0)
    rows[:, COL.last_seen] = silent_since_ms
    rows[:, COL.first_seen] = silent_since_ms - known_ms

"""Time passing for a million customers: CPU of a sweep, how long the loop waits for it, and what a whole pass costs.

The partition, its log and its Redis are the real ones; the clock is moved on by one period a sweep, as fast as it goes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from models import features, reminders
from models.standing import standings
from stream.bench.crowd import CHUNK, Crowd, crowd, watched
from stream.bench.lab import Lab, lab
from stream.partition.partition import Partition

CUSTOMERS = 1_000_000
WARM_SWEEPS = 120
SWEEPS = 60


def measure(broker: str) -> Iterator[dict[str, Any]]:
    """One line: the first sweep, which looks at everybody, and the ones long after it."""
    with lab(broker) as here:
        yield asyncio.run(_measure(here))


async def _measure(here: Lab) -> dict[str, Any]:
    found: list[tuple[float, float]] = []
    async with crowd(here, CUSTOMERS) as many:
        counters, period_s = many.partition.shared.metrics.counters, here.settings.sweep_s
        now_ms = many.partition.now_ms
        pass_s = _whole_pass(many.partition, now_ms)
        first = await _sweep(many, now_ms)
        for _ in range(WARM_SWEEPS):
            now_ms += int(period_s * 1000)
            await _sweep(many, now_ms)
        before = counters["swept_customers"]
        for _ in range(SWEEPS):
            now_ms += int(period_s * 1000)
            found.append(await _sweep(many, now_ms))
        looked = counters["swept_customers"] - before
    cpus = [cpu for cpu, _ in found]
    return {
        "stage": "sweep",
        "events": 0,
        "customers": CUSTOMERS,
        "sweep_cpu_s": round(float(np.mean(cpus)), 4),
        "sweep_cpu_s_max": round(max(cpus), 4),
        "core_share": round(float(np.mean(cpus)) / period_s, 4),
        "customers_a_sweep": round(looked / SWEEPS),
        "loop_lag_ms_max": round(max(lag for _, lag in found), 1),
        "first_sweep_cpu_s": round(first[0], 2),
        "first_sweep_loop_lag_ms_max": round(first[1], 1),
        "whole_pass_cpu_s": round(pass_s, 2),
    }


async def _sweep(many: Crowd, now_ms: int) -> tuple[float, float]:
    """Sweep once; CPU seconds of this thread, and the longest that the loop did not turn, in ms."""
    many.keep_time(lambda: now_ms)
    async with watched() as lag:
        cpu = time.thread_time()
        await many.sweep()
        cpu = time.thread_time() - cpu
    return cpu, lag.longest_ms


def _whole_pass(partition: Partition, now_ms: int) -> float:
    """CPU seconds of looking at everybody without a plan: what a pass over all columns would cost every sweep."""
    assert partition.model is not None
    began = time.thread_time()
    for start in range(0, CUSTOMERS, CHUNK):
        said = partition.table.gather(np.arange(start, start + CHUNK))
        partition.model.nearest(features.of_rows(said, now_ms))
        reminders.states(said, now_ms, partition.agenda.timers)
        if partition.yardsticks is not None:
            standings(said, partition.yardsticks, now_ms)
    return time.thread_time() - began

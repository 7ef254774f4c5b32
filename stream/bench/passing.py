"""Time passing for a million customers: CPU of a sweep, how long the loop waits for it, and what a whole pass costs.

The partition, its log and its Redis are the real ones; the clock is moved on by one period a sweep, as fast as it goes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from models import features, reminders
from models.apply import Watermarks, apply
from models.assign import Model
from models.catalogue import MODEL_FEATURES
from models.columns import COL, CustomerTable
from models.learner.seeding import seed
from models.standing import Yardsticks, standings
from stream import shoppers
from stream.bench.lab import Lab, lab
from stream.bench.parts import Raw
from stream.decode import Decoder, Portion
from stream.partition.log import PartitionLog
from stream.partition.partition import Partition, Served
from stream.partition.shared import Shared
from stream.partition.takeover import take_over
from stream.redis_view.view import RedisView, connect

CUSTOMERS = 1_000_000
KINDS = 20_000
"""Customers of the simulated shop; all others are copies of them, seen at other times."""
EVENTS = 400_000
SPREAD_MS = 30 * 86_400_000
CLUSTERS = 6
WARM_SWEEPS = 120
SWEEPS = 60
CHUNK = 50_000


def measure(broker: str) -> Iterator[dict[str, Any]]:
    """One line: the first sweep, which looks at everybody, and the ones long after it."""
    with lab(broker) as here:
        yield asyncio.run(_measure(here))


async def _measure(here: Lab) -> dict[str, Any]:
    client = await connect(here.settings.redis_url)
    settings = here.settings.model_copy(update={"clock": "wall"})
    writer = PartitionLog(0, bootstrap=settings.kafka, app_id=settings.app_id, fenced=False)
    partition = Partition(0, Shared(settings), writer, RedisView(client, 0))
    await take_over(partition, settings.kafka)
    rows, now_ms = _rows()
    served, yardsticks = _served(rows, now_ms)
    partition.shared.now_ms = lambda: now_ms  # type: ignore[method-assign] # the clock is ours here
    partition.adopt(Served(served, dict(zip(served.ids.tolist(), served.names, strict=True)), yardsticks))
    _fill(partition, rows, now_ms)
    await partition.expect_everybody()
    pass_s = _whole_pass(partition, now_ms)
    first = await _sweep(partition)
    found, looked = [], 0
    for number in range(WARM_SWEEPS + SWEEPS):
        now_ms += int(settings.sweep_s * 1000)
        before = partition.shared.metrics.counters["swept_customers"]
        spent = await _sweep(partition)
        if number >= WARM_SWEEPS:
            found.append(spent)
            looked += partition.shared.metrics.counters["swept_customers"] - before
    await writer.stop()
    await client.aclose()
    cpus = [cpu for cpu, _ in found]
    return {
        "stage": "sweep",
        "events": 0,
        "customers": CUSTOMERS,
        "sweep_cpu_s": round(float(np.mean(cpus)), 4),
        "sweep_cpu_s_max": round(max(cpus), 4),
        "core_share": round(float(np.mean(cpus)) / settings.sweep_s, 4),
        "customers_a_sweep": round(looked / SWEEPS),
        "loop_lag_ms_max": round(max(lag for _, lag in found), 1),
        "first_sweep_cpu_s": round(first[0], 2),
        "first_sweep_loop_lag_ms_max": round(first[1], 1),
        "whole_pass_cpu_s": round(pass_s, 2),
    }


async def _sweep(partition: Partition) -> tuple[float, float]:
    """Sweep once; CPU seconds of this thread, and the longest that the loop did not turn, in ms."""
    async with _watched() as lags:
        cpu = time.thread_time()
        await partition.sweep.once(time.monotonic())
        cpu = time.thread_time() - cpu
    return cpu, max(lags, default=0.0)


@asynccontextmanager
async def _watched() -> Any:
    """Give a list of how long the loop took to turn, in ms."""
    lags: list[float] = []

    async def turn() -> None:
        at = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            lags.append((now - at) * 1000)
            at = now

    turning = asyncio.create_task(turn())
    await asyncio.sleep(0)
    try:
        yield lags
    finally:
        turning.cancel()


def _rows() -> tuple[np.ndarray, int]:
    """Return the rows of a simulated shop's customers, and its time at the end, ms."""
    table, watermarks, decoder = CustomerTable(), Watermarks(), Decoder(currency="USD", currency_digits=2)
    config = shoppers.Config(customers=KINDS, events=EVENTS)
    offset = 0
    for chunk in shoppers.generate(config, np.random.default_rng(1)):
        for source, records in enumerate((chunk.clickstream, chunk.purchases)):
            raw = [Raw(offset + at, 0, key, value) for at, (key, value, _, _) in enumerate(records)]
            offset += len(raw)
            decoded = decoder.decode([Portion(0, source, raw)], 2**45)[0]
            watermarks = apply(table, decoded.batch, watermarks, lambda _customer, _key: True).watermarks
    return table.gather(np.arange(len(table))), max(watermarks)


def _served(rows: np.ndarray, now_ms: int) -> tuple[Model, Yardsticks]:
    found = seed(features.of_rows(rows, now_ms), CLUSTERS, np.random.default_rng(1))
    ids = np.arange(found.k, dtype=np.int64)
    row_of = np.full(found.k + 2, found.k, np.int64)
    row_of[1:-1] = ids
    names = tuple(f"segment {number}" for number in ids)
    edges = np.quantile(rows[:, COL.spend_minor], [0.2, 0.4, 0.6, 0.8])
    yardsticks = Yardsticks(
        np.sort(rows[:, COL.last_order_at])[[1, 2, 3, 4]], np.arange(1.0, 5.0), edges, 5.0 * 86_400_000
    )
    return Model(1, tuple(MODEL_FEATURES), ids, names, found.transform, found.centroids, row_of), yardsticks


def _fill(partition: Partition, rows: np.ndarray, now_ms: int) -> None:
    """Fill the table with copies, each where it belongs: nothing is left to publish but what time changes."""
    rng, table = np.random.default_rng(2), partition.table
    assert partition.model is not None
    assert partition.yardsticks is not None
    for start in range(0, CUSTOMERS, CHUNK):
        said = rows[rng.integers(0, len(rows), CHUNK)]
        back = rng.integers(0, SPREAD_MS, CHUNK)
        for column in (COL.first_seen, COL.last_seen, COL.last_order_at, COL.first_order_at, COL.cart_touched_at):
            said[:, column] = np.where(said[:, column] > 0, said[:, column] - back, 0.0)
        said[:, COL.segment] = partition.model.ids[partition.model.nearest(features.of_rows(said, now_ms))]
        said[:, COL.rev], said[:, COL.since] = 1, now_ms - SPREAD_MS
        said[:, COL.cart_state] = reminders.states(said, now_ms, partition.agenda.timers)
        said[:, COL.told_cart], said[:, COL.told_passed] = said[:, COL.cart_opened_at], 1
        said[:, COL.standing] = standings(said, partition.yardsticks, now_ms)
        table.scatter(table.add_all([f"customer-{number:07d}" for number in range(start, start + CHUNK)]), said)


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

"""One partition full of customers, with its real log and Redis; its clock is the measurement's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models import features, reminders
from models.apply import Watermarks, apply
from models.assign import Model
from models.catalogue import MODEL_FEATURES
from models.columns import COL, CustomerTable
from models.learner.seeding import seed
from models.standing import Yardsticks, standings
from stream import shoppers
from stream.bench.lab import Lab
from stream.bench.parts import Raw
from stream.decode import Decoder, Portion
from stream.partition.log import PartitionLog
from stream.partition.partition import Partition, Served
from stream.partition.shared import Shared
from stream.partition.takeover import take_over
from stream.redis_view.view import RedisView, connect
from stream.runtime import settle

KINDS = 20_000
"""Customers of the simulated shop; all others are copies of them, seen at other times."""
EVENTS = 400_000
SPREAD_MS = 30 * 86_400_000
CLUSTERS = 6
CHUNK = 50_000

Rows = NDArray[np.float64]
Shape = Callable[[Rows, Yardsticks, int], None]
"""Changes rows in place, given what customers are measured by and the time, ms."""


@dataclass(slots=True)
class Crowd:
    """A partition that has taken over."""

    partition: Partition

    def keep_time(self, now_ms: Callable[[], int]) -> None:
        """Replace the clock: let time pass."""
        self.partition.shared.now_ms = now_ms  # type: ignore[method-assign] # the clock is ours here

    async def sweep(self) -> None:
        """Sweep once; it is due now."""
        await self.partition.sweep.once(time.monotonic())


@dataclass(slots=True)
class Lag:
    """How long the loop took to turn."""

    longest_ms: float = 0.0


@asynccontextmanager
async def crowd(here: Lab, customers: int, shape: Shape | None = None) -> AsyncIterator[Crowd]:
    """Give so many customers, each where it belongs: nothing is left to publish but what time changes."""
    client = await connect(here.settings.redis_url)
    settings = here.settings.model_copy(update={"clock": "wall"})
    writer = PartitionLog(0, bootstrap=settings.kafka, app_id=settings.app_id, fenced=False)
    partition = Partition(0, Shared(settings), writer, RedisView(client, 0))
    await take_over(partition, settings.kafka)
    rows, now_ms = _rows()
    served, yardsticks = _served(rows, now_ms)
    given = Crowd(partition)
    given.keep_time(lambda: now_ms)
    partition.adopt(Served(served, dict(zip(served.ids.tolist(), served.names, strict=True)), yardsticks))
    _fill(partition, rows, customers, shape)
    await partition.expect_everybody()
    settle()
    try:
        yield given
    finally:
        await writer.stop()
        await client.aclose()


@asynccontextmanager
async def watched(pause_s: float = 0.0) -> AsyncIterator[Lag]:
    """Watch how long the loop takes to turn, looking again after a pause; without one that takes CPU of its own."""
    lag = Lag()

    async def turn() -> None:
        at = time.perf_counter()
        while True:
            await asyncio.sleep(pause_s)
            now = time.perf_counter()
            lag.longest_ms = max(lag.longest_ms, (now - at - pause_s) * 1000)
            at = now

    turning = asyncio.create_task(turn())
    await asyncio.sleep(0)
    try:
        yield lag
    finally:
        turning.cancel()


def _rows() -> tuple[Rows, int]:
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


def _served(rows: Rows, now_ms: int) -> tuple[Model, Yardsticks]:
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


def _fill(partition: Partition, rows: Rows, customers: int, shape: Shape | None) -> None:
    rng, table, now_ms = np.random.default_rng(2), partition.table, partition.now_ms
    assert partition.model is not None
    assert partition.yardsticks is not None
    for start in range(0, customers, CHUNK):
        count = min(CHUNK, customers - start)
        said = rows[rng.integers(0, len(rows), count)]
        back = rng.integers(0, SPREAD_MS, count)
        for column in (COL.first_seen, COL.last_seen, COL.last_order_at, COL.first_order_at, COL.cart_touched_at):
            said[:, column] = np.where(said[:, column] > 0, said[:, column] - back, 0.0)
        if shape is not None:
            shape(said, partition.yardsticks, now_ms)
        said[:, COL.segment] = partition.model.ids[partition.model.nearest(features.of_rows(said, now_ms))]
        said[:, COL.rev], said[:, COL.since] = 1, now_ms - SPREAD_MS
        said[:, COL.cart_state] = reminders.states(said, now_ms, partition.agenda.timers)
        said[:, COL.told_cart], said[:, COL.told_passed] = said[:, COL.cart_opened_at], 1
        said[:, COL.standing] = standings(said, partition.yardsticks, now_ms)
        table.scatter(table.add_all([f"customer-{number:07d}" for number in range(start, start + count)]), said)

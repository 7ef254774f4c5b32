"""A new model in a partition on a real broker: everybody is judged by it, once, whatever else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from models.columns import COL
from stream.partition import partition as module
from stream.partition.partition import Partition, Served
from stream.redis_view.view import connect
from stream.settings import Settings
from tests.models.test_judge import model
from tests.stream.partition.kit import START_MS, owning, views, work
from tests.stream.partition.test_takeover import served_model

pytestmark = pytest.mark.broker

CUSTOMERS = ("c1", "c2", "c3", "c4")


def served() -> Served:
    """Another model each time, though they all say the same."""
    return Served(model(), {4: "near", 9: "far"})


@pytest.fixture
async def partition(start_job: Callable[[int], Settings], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Partition]:
    """A partition with an event of each customer, on a clock that stands."""
    served_model(monkeypatch)
    settings = start_job(1).model_copy(update={"clock": "wall"})
    client = await connect(settings.redis_url)
    async with owning(settings, client) as owned:
        owned.shared.now_ms = lambda: START_MS  # type: ignore[method-assign] # ours here
        await work(owned, views(0, CUSTOMERS))
        yield owned
    await client.aclose()


async def test_models_that_come_faster_than_everybody_is_judged_leave_nobody_out(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JUDGED", 1)
    monkeypatch.setattr(module, "RESTS", 1_000.0)
    passes = []
    for judged in range(1, len(CUSTOMERS) + 1):
        passes.append(asyncio.create_task(partition.judge_all(served())))
        while partition.shared.metrics.counters["changes"] < judged:
            assert not passes[-1].done()
            await asyncio.sleep(0.001)
    for each in passes:
        each.cancel()
    await asyncio.wait(passes)
    said = partition.table.gather(partition.table.index.find(CUSTOMERS))
    assert said[:, COL.ver].tolist() == [1, 1, 1, 1]


async def test_whom_a_new_model_judged_need_not_be_looked_at_by_the_next_sweep(partition: Partition) -> None:
    counters = partition.shared.metrics.counters
    assert await partition.judge_all(served()) == len(CUSTOMERS)
    await partition.sweep.once(0.0)
    assert counters["swept_customers"] == 0
    # Who had an event since is.
    await work(partition, views(4, ("c2",)))
    await partition.sweep.once(0.0)
    assert counters["swept_customers"] == 1

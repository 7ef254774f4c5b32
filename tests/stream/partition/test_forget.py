"""A customer who is forgotten is nowhere any more, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import redis.asyncio

from models.columns import COL
from schemas.cart_trigger import CartTrigger
from schemas.redis_keys import segment_key
from schemas.topics import CART_TRIGGERS
from stream.partition import sweep
from stream.partition.forget import forget
from stream.partition.log import PartitionLog
from stream.redis_view.view import connect
from stream.settings import Settings
from tests.stream.partition.kit import START_MS, owning, read, turns, work
from tests.stream.partition.test_sweep import MINUTE_MS, shopping, short, told
from tests.stream.partition.test_takeover import expect_view_equals_state, state

pytestmark = pytest.mark.broker

STEPS = [(name, "add_to_cart", 0) for name in ("c1", "c2", "c3")]


async def test_who_is_forgotten_is_reminded_of_nothing_and_loaded_by_no_successor(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with owning(settings, client) as first:
        await work(first, shopping(0, *STEPS))
        before = state(first)
        assert await forget(first, "c1")
        assert not await forget(first, "c1")
        assert state(first) == {name: row for name, row in before.items() if name != "c1"}
        assert await client.exists(segment_key("c1")) == 0
        await expect_view_equals_state(client, first)
        # Dirty customers keep what was not written yet, the one who moved too.
        await work(first, shopping(3, ("c3", "view_item", 1), ("c9", "view_item", 40)))
        await first.sweep.once(0.0)
        await first.flush()
        after = state(first)
    assert sorted(short(await told(settings))) == [("c2", "abandoned", 30), ("c3", "abandoned", 30)]
    async with owning(settings, client) as second:
        assert state(second) == after
        assert sorted(second.table.ids) == ["c2", "c3", "c9"]


async def test_who_comes_back_is_new(settings: Settings, client: redis.asyncio.Redis) -> None:
    async with owning(settings, client) as first:
        await work(first, shopping(0, *STEPS))
        await forget(first, "c3")
        await work(first, shopping(3, ("c3", "view_item", 5)))
        await first.flush()
    async with owning(settings, client) as second:
        slot = second.table.index.get("c3")
        assert slot is not None
        row = second.table.gather(np.array([slot]))[0]
        assert (row[COL.events], row[COL.cart_items], row[COL.rev]) == (1, 0, 1)
        await expect_view_equals_state(client, second)


async def test_a_reminded_cart_that_is_forgotten_is_neither_withdrawn_nor_recovered_and_the_others_are(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with owning(settings, client) as partition:
        await work(partition, shopping(0, *STEPS, ("c9", "view_item", 40)))
        await partition.sweep.once(0.0)
        await forget(partition, "c1")
        orders = [(name, "purchase", minute) for name, minute in (("c1", 10), ("c2", 10), ("c3", 50))]
        await work(partition, shopping(0, *orders, source=1))
        # Forgotten or not, another cart is another cart.
        carts = [(name, "add_to_cart", 60) for name in ("c1", "c3")]
        await work(partition, shopping(4, *carts, ("c9", "view_item", 100)))
        await partition.sweep.once(0.0)
        await expect_view_equals_state(client, partition)
    said = await told(settings)
    assert sorted(short(said)) == [
        ("c1", "abandoned", 30),
        ("c1", "abandoned", 90),
        ("c2", "abandoned", 30),
        ("c2", "withdrawn", 30),
        ("c3", "abandoned", 30),
        ("c3", "abandoned", 90),
        ("c3", "recovered", 30),
    ]
    assert len({each.id for each in said}) == len(said)


async def test_who_is_to_be_forgotten_while_a_sweep_has_noted_a_trigger_is_told_of_once_and_then_gone(
    settings: Settings, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, noted, may_send = PartitionLog.send_triggers, asyncio.Event(), asyncio.Event()

    async def waits(log: PartitionLog, triggers: list[tuple[bytes, bytes]]) -> None:
        noted.set()
        await may_send.wait()
        await send(log, triggers)

    monkeypatch.setattr(PartitionLog, "send_triggers", waits)
    async with owning(settings, client) as first:
        await work(first, shopping(0, *STEPS, ("c9", "view_item", 40)))
        sweeping = asyncio.create_task(first.sweep.once(0.0))
        await noted.wait()
        forgetting = asyncio.create_task(forget(first, "c1"))
        await turns()
        assert "c1" in first.table.ids
        may_send.set()
        await asyncio.gather(sweeping, forgetting)
    async with owning(settings, client) as second:
        assert sorted(second.table.ids) == ["c2", "c3", "c9"]
        await second.sweep.once(0.0)
    assert sorted(short(await told(settings))) == [(name, "abandoned", 30) for name in ("c1", "c2", "c3")]


async def test_a_trigger_that_was_never_sent_goes_with_its_customer_and_the_others_are_sent_by_the_successor(
    settings: Settings, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:

        async def dies(*_: object) -> None:
            raise RuntimeError("killed before the triggers were sent")

        patched.setattr(PartitionLog, "send_triggers", dies)
        async with owning(settings, client) as first:
            await work(first, shopping(0, *STEPS, ("c9", "view_item", 40)))
            with pytest.raises(RuntimeError, match="killed"):
                await first.sweep.once(0.0)
            # The first one's slot goes to somebody without a trigger, the second one's to somebody with one.
            for name in ("c1", "c2"):
                await forget(first, name)
            assert [first.table.ids[slot] for slot in first.table.triggers] == ["c3"]
    async with owning(settings, client):
        pass
    assert short(await told(settings)) == [("c3", "abandoned", 30)]


async def test_between_two_slices_of_a_sweep_somebody_is_forgotten_and_all_others_are_told_in_order(
    start_job: Callable[[int], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "SLICE", 2)
    in_order = ["c2", "c1", "c6", "c3", "c4", "c5"]
    opened = [(f"c{n}", "add_to_cart", in_order.index(f"c{n}")) for n in range(1, 7)]
    # Told before, to be told next, the last slot; and all but those who were told.
    cases = (["c1"], ["c3"], ["c6"], ["c3", "c4", "c5", "c6"])
    settings = start_job(len(cases)).model_copy(update={"clock": "wall"})
    client = await connect(settings.redis_url)
    for number, forgotten in enumerate(cases):
        async with owning(settings, client, number) as partition:
            partition.shared.now_ms = lambda: START_MS + 40 * MINUTE_MS  # type: ignore[method-assign] # ours here
            await work(partition, shopping(0, *opened))
            await partition.lock.acquire()
            # The sweep's first slice waits for the lock, behind it whoever forgets, and then the second slice.
            waiting: list[asyncio.Task[Any]] = [asyncio.create_task(partition.sweep.once(0.0))]
            await turns()
            waiting += [asyncio.create_task(forget(partition, name)) for name in forgotten]
            await turns()
            partition.lock.release()
            await asyncio.gather(*waiting)
            await partition.sweep.once(0.0)
            await expect_view_equals_state(client, partition)
            assert sorted(partition.table.ids) == sorted(set(in_order) - set(forgotten))
        said = [CartTrigger.model_validate_json(each.value) for each in await read(settings, CART_TRIGGERS, number)]
        expected = [name for name in in_order if name in {"c1", "c2"} or name not in forgotten]
        assert [each.customer_id for each in said] == expected, forgotten
    await client.aclose()

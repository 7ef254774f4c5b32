"""A customer who is forgotten is nowhere any more, and nobody else notices."""

from __future__ import annotations

import numpy as np
import pytest
import redis.asyncio

from models.columns import COL
from schemas.redis_keys import segment_key
from stream.partition.forget import forget
from stream.settings import Settings
from tests.stream.partition.kit import owning, work
from tests.stream.partition.test_sweep import shopping, short, told
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

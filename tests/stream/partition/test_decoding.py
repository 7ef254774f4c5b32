"""Decoding in shared passes: each partition gets its own events, and a failure reaches everybody who asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from stream.decode import Decoded, Decoder, Portion
from stream.partition.decoding import Decoding
from stream.partition.inbox import Arrived
from tests.stream.partition.kit import START_MS, views

LATER_MS = START_MS + 3_600_000


class Counting(Decoder):
    """Counts its passes."""

    passes = 0

    def decode(self, portions: Sequence[Portion], now_ms: int) -> dict[int, Decoded]:
        self.passes += 1
        return super().decode(portions, now_ms)


def counting() -> Counting:
    return Counting(currency="USD", currency_digits=2)


def group_of(*batches: Any) -> list[Arrived]:
    return [Arrived(0, list(each.value), each) for each in batches]


async def customers(decoding: Decoding, partition: int, *batches: Any) -> list[str]:
    async with decoding.decoded(partition, group_of(*batches)) as decoded:
        assert decoded.batch.offset.tolist() == [record.offset for each in batches for record in each.value]
        return decoded.batch.customer


async def test_groups_that_ask_in_the_same_turns_share_a_pass_and_get_their_own_events() -> None:
    decoder = counting()
    decoding = Decoding(decoder, lambda: LATER_MS)
    found = await asyncio.gather(
        customers(decoding, 3, views(0, ["c1", "c2"]), views(2, ["c3"])), customers(decoding, 1, views(7, ["c4"]))
    )
    assert found == [["c1", "c2", "c3"], ["c4"]]
    assert decoder.passes == 1
    assert await customers(decoding, 1, views(8, ["c5"])) == ["c5"]
    assert decoder.passes == 2


async def test_a_pass_waits_for_a_partition_at_work_and_takes_its_next_group_along() -> None:
    decoder = counting()
    decoding = Decoding(decoder, lambda: LATER_MS)
    async with decoding.decoded(0, group_of(views(0, ["c1"]))):
        other = asyncio.create_task(customers(decoding, 1, views(0, ["c2"])))
        await asyncio.sleep(0.002)
        assert not other.done()
    assert await asyncio.gather(customers(decoding, 0, views(1, ["c3"])), other) == [["c3"], ["c2"]]
    assert decoder.passes == 2


async def test_a_pass_does_not_wait_for_ever_for_a_partition_that_is_stuck() -> None:
    decoding = Decoding(counting(), lambda: LATER_MS)
    async with decoding.decoded(0, group_of(views(0, ["c1"]))):
        assert await customers(decoding, 1, views(0, ["c2"])) == ["c2"]


async def test_a_partition_that_is_taken_away_meanwhile_does_not_hold_up_the_others() -> None:
    decoding = Decoding(counting(), lambda: LATER_MS)
    gone = asyncio.create_task(customers(decoding, 0, views(0, ["c1"])))
    stays = asyncio.create_task(customers(decoding, 1, views(0, ["c2"])))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == ["c2"]


async def test_an_error_of_the_pass_reaches_everybody_who_asked() -> None:
    def broken_clock() -> int:
        raise OSError("no clock")

    decoding = Decoding(counting(), broken_clock)
    asked = [asyncio.create_task(customers(decoding, number, views(0, ["c1"]))) for number in range(2)]
    await asyncio.wait(asked)
    for task in asked:
        with pytest.raises(OSError, match="no clock"):
            task.result()

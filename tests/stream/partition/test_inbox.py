"""The inbox: order, groups, and whoever puts waits while it is full."""

from __future__ import annotations

import asyncio

import pytest

from stream.partition.inbox import Inbox
from tests.stream.partition.kit import Event, Message, Raw


def batch(topic: str, count: int) -> Event:
    return Event(Message(topic), [Raw(offset, b"{}") for offset in range(count)])


async def test_batches_of_both_topics_come_out_as_one_group_in_order_of_arrival() -> None:
    inbox = Inbox(100)
    for event in (batch("clickstream", 3), batch("purchases", 2), batch("clickstream", 1)):
        await inbox.put(event)
    group = await inbox.take()
    assert [(each.source, len(each.records)) for each in group] == [(0, 3), (1, 2), (0, 1)]
    assert len(inbox) == 0


async def test_a_group_ends_before_the_batch_that_would_exceed_it() -> None:
    inbox = Inbox(5)
    for _ in range(2):
        await inbox.put(batch("clickstream", 3))
    assert [len(each.records) for each in await inbox.take()] == [3]
    assert [len(each.records) for each in await inbox.take()] == [3]


async def test_a_batch_larger_than_a_group_comes_alone() -> None:
    inbox = Inbox(5)
    await inbox.put(batch("purchases", 9))
    assert [len(each.records) for each in await inbox.take()] == [9]


async def test_whoever_puts_into_a_full_inbox_waits_until_a_group_is_taken() -> None:
    inbox = Inbox(4)
    await inbox.put(batch("clickstream", 4))
    waiting = asyncio.create_task(inbox.put(batch("clickstream", 2)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert len(inbox) == 4
    await inbox.take()
    await waiting
    assert len(inbox) == 2


async def test_whoever_takes_from_an_empty_inbox_waits_for_a_batch() -> None:
    inbox = Inbox(4)
    taking = asyncio.create_task(inbox.take())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not taking.done()
    event = batch("clickstream", 1)
    await inbox.put(event)
    (arrived,) = await taking
    arrived.ack()
    assert event.acked == 1


async def test_a_batch_of_a_topic_that_is_no_source_is_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        await Inbox(4).put(batch("segment-changes", 1))

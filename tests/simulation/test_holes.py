"""The seven holes of the first design (docs/exactness.md, H1 to H7), each as the shortest story that fell into it.

Z is the old owner, N the new one. A request that is held is a Z that stands just before it took effect.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from xxhash import xxh3_64_intdigest

from schemas.kinds import Kind
from schemas.redis_keys import partition_key, segment_key
from schemas.topics import CHANGELOG, SEGMENT_CHANGES
from tests.oracle.shop import Event
from tests.simulation.memory import keep_zeros_cheap
from tests.simulation.traffic import START_MS, Sent
from tests.simulation.worker import Worker
from tests.simulation.world import World

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
"""Killed processes leave some."""


class Story:
    """A world in which nothing happens but what is told."""

    def __init__(self) -> None:
        keep_zeros_cheap()
        self.world = World(1, 0, story=True)
        self._sent = 0

    def owner(self) -> Worker:
        """Start a worker and wait until it consumes, alone in the group."""
        worker = self.starting()
        self.until(lambda: worker.flow is not None)
        return worker

    def starting(self) -> Worker:
        """Start a worker; whoever is in the group is taken for dead and hears nothing of it."""
        for name in list(self.world.group.members):
            self.world.group.evict(name, learns_after_s=300.0)
        return self.world.start_worker()

    def event(self, customer: str = "a") -> None:
        """A customer puts something into the cart, or takes it out again: each time a record of it is published."""
        self._sent += 1
        kind = Kind.PURCHASE if self._sent % 2 else Kind.VIEW_ITEM
        source = int(kind is Kind.PURCHASE)
        time_ms, number = START_MS + 60_000 * self._sent, f"e{self._sent}"
        fields = {"event_id": number, "event_type": kind.name.lower(), "customer_id": customer, "event_time": time_ms}
        products: tuple[int, ...] = ()
        if source:
            fields |= {"order_id": number, "value": 10}
        else:
            fields |= {"product_id": "p"}
            products = (xxh3_64_intdigest(b"p"),)
        hashed = xxh3_64_intdigest(number.encode())
        key = customer.encode()
        event = Event(
            customer=customer,
            time=time_ms,
            kind=kind,
            id=hashed,
            source=source,
            key=key,
            products=products,
            order=hashed if source else 0,
            amount=1_000 if source else 0,
        )
        self.world.shop(Sent(source, 0, key, json.dumps(fields).encode(), event))

    def until(self, done: Callable[[], bool]) -> None:
        """Let time pass until `done`."""
        self.world.loop.run(lambda: self.world.failure is not None or done())
        if self.world.failure is not None:
            raise self.world.failure

    def settled(self) -> None:
        """Let time pass until whoever owns the partition has committed everything."""
        committed = self.world.group.committed
        self.until(lambda: all(committed.get(place, 0) >= end for place, end in self.world.ends(0).items()))

    def hold(self, worker: Worker, server: str, what: str) -> None:
        """Hold a worker's next requests of a kind."""
        self.world.wire.hold(worker.process, server, what)

    def held(self, worker: Worker) -> None:
        """Wait until a worker stands before a request that is held."""
        self.until(lambda: self.world.wire.holds(worker.process))

    def release(self, worker: Worker, server: str = "kafka") -> None:
        """Let a held request take effect, and the worker go on."""
        self.world.wire.release(worker.process, server)

    def gone(self, worker: Worker) -> None:
        """Wait until a worker ended itself."""
        self.until(lambda: worker not in self.world.workers)

    def pause(self, for_s: float) -> None:
        """Let some time pass."""
        then_s = self.world.loop.time() + for_s
        self.world.later(for_s, lambda: None)
        self.until(lambda: self.world.loop.time() >= then_s)

    def compact(self) -> None:
        """Compact the changelog, far enough to lose something."""
        while self.world.broker.logs[CHANGELOG, 0].compact(self.world.rng) == 0:
            continue

    def rows(self) -> list[bytes]:
        """Customers whose rows the changelog holds, in its order."""
        return [e.key for e in self.world.broker.logs[CHANGELOG, 0].entries if e.key and e.key[0]]

    @property
    def refused(self) -> int:
        """Writes of fenced producers to the changelog."""
        return self.world.broker.logs[CHANGELOG, 0].refused


@contextmanager
def telling() -> Iterator[Story]:
    story = Story()
    with story.world.playing():
        yield story
        story.world.judge()


def test_h1_records_that_redis_never_got_are_written_by_the_next_owner() -> None:
    with telling() as story:
        story.world.publish_model()
        z = story.owner()
        story.hold(z, "redis", "write")
        story.event()
        story.held(z)
        story.until(lambda: bool(story.world.subscriber.last))
        story.world.kill(z, 0.0)
        assert segment_key("a").encode() not in story.world.redis.hashes
        story.owner()
        assert segment_key("a").encode() in story.world.redis.hashes
        assert story.world.subscriber.repeats == 1


def test_h2_an_own_late_copy_of_a_request_is_not_written_again() -> None:
    with telling() as story:
        z = story.owner()
        story.hold(z, "kafka", CHANGELOG)
        story.event()
        story.held(z)
        story.world.wire.give_up(z.process, "kafka")
        story.settled()
        story.event()
        story.settled()
        end = story.world.broker.logs[CHANGELOG, 0].end
        story.release(z)
        story.pause(1.0)
        assert story.world.broker.logs[CHANGELOG, 0].end == end
        story.compact()
        story.world.kill(z, 0.0)
        story.owner()


def test_h3_a_zombie_sends_no_change_of_a_history_that_its_successor_does_not_have() -> None:
    with telling() as story:
        story.world.publish_model()
        z = story.owner()
        story.hold(z, "kafka", CHANGELOG)
        story.event()
        story.held(z)
        story.owner()
        story.settled()
        assert story.world.subscriber.last["a"]["ver"] == 1
        story.release(z)
        story.gone(z)
        assert story.refused == 1
        assert len(story.world.broker.logs[SEGMENT_CHANGES, 0].entries) == 1


def test_h4_of_two_starting_owners_only_one_gets_an_epoch() -> None:
    with telling() as story:
        z = story.starting()
        story.hold(z, "kafka", CHANGELOG)
        story.held(z)
        n = story.owner()
        story.event()
        story.settled()
        story.release(z)
        story.gone(z)
        assert story.refused == 1
        assert n.owner is not None
        assert n.owner.partitions[0].epoch == 0


def test_h5_a_zombies_older_row_cannot_take_the_place_of_a_newer_one() -> None:
    with telling() as story:
        z = story.owner()
        story.event()
        story.settled()
        story.hold(z, "kafka", CHANGELOG)
        story.event()
        story.held(z)
        n = story.owner()
        story.event()
        story.settled()
        before = story.rows()
        story.release(z)
        story.gone(z)
        assert story.rows() == before
        assert story.refused == 1
        story.compact()
        story.world.kill(n, 0.0)
        story.owner()


def test_h6_what_a_zombie_wrote_before_the_marker_is_read_and_sent_by_the_new_owner() -> None:
    with telling() as story:
        story.world.publish_model()
        z = story.owner()
        story.hold(z, "kafka", CHANGELOG)
        story.event()
        story.held(z)
        n = story.starting()
        story.hold(n, "kafka", CHANGELOG)
        story.held(n)
        # Between the new owner's InitProducerId and its marker: the broker still takes it.
        story.hold(z, "kafka", SEGMENT_CHANGES)
        story.world.wire.release(z.process, "kafka")
        story.until(lambda: b"a" in story.rows())
        story.world.kill(z, 0.0)
        story.release(n)
        story.until(lambda: n.flow is not None)
        assert story.refused == 0
        assert story.world.subscriber.last["a"]["ver"] == 1


def test_h7_a_write_from_before_a_wipe_does_not_reach_the_emptied_redis() -> None:
    with telling() as story:
        story.world.publish_model()
        z = story.owner()
        story.hold(z, "redis", "write")
        story.event()
        story.held(z)
        n = story.owner()
        story.event()
        story.settled()
        story.world.redis.wipe()
        story.release(z, "redis")
        story.until(lambda: n.owner is not None and n.owner.partitions[0].rebuilding is not None)


def test_h7_an_owner_of_before_cannot_claim_an_emptied_redis() -> None:
    with telling() as story:
        z = story.starting()
        story.hold(z, "redis", "claim")
        story.held(z)
        n = story.owner()
        story.event()
        story.settled()
        story.world.redis.wipe()
        story.release(z, "redis")
        # It reads a new boot id, and then has to prove that it owns the partition: it does not.
        story.gone(z)
        assert story.refused == 1
        assert n.owner is not None
        key = partition_key(0).encode()
        epoch = str(n.owner.partitions[0].epoch).encode()
        story.until(lambda: story.world.redis.hashes.get(key, {}).get(b"epoch") == epoch)


def test_a_redis_wiped_again_between_a_claim_and_a_write_is_claimed_again() -> None:
    with telling() as story:
        owner = story.owner()
        story.event()
        story.settled()
        story.world.redis.wipe()
        story.hold(owner, "redis", "claim")
        story.event("b")
        story.held(owner)
        story.release(owner, "redis")
        story.hold(owner, "redis", "write")
        story.held(owner)
        story.world.redis.wipe()
        story.release(owner, "redis")
        story.settled()
        assert story.world.workers == [owner]

"""One simulated worker process: the project's own Owner, fed and committed as the batch transport feeds and commits it.

What is simulated is Faust: fetching, the queue before the agent, the rebalance listener, the commit timer. The order of
its calls is that of `stream.transport.driver`, `stream.transport.recovery` and `stream.app`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from faust.types.tuples import TP

from models.batch import SOURCES
from stream.partition.owner import Owner
from stream.partition.shared import Shared
from stream.transport.commit import DeliveryOrder
from tests.simulation.broker import Entry
from tests.simulation.group import Place, Refused, when
from tests.simulation.kafka_client import Producer
from tests.simulation.redis_server import RedisClient
from tests.simulation.wire import Reset

FETCH_RECORDS = 4
QUEUE_BATCHES = 4


class SimulatedShared(Shared):
    """What partitions share, with the simulated clock; a worker's may be ahead of the others', or far behind."""

    def __init__(self, world: Any) -> None:
        super().__init__(world.settings)
        self.ahead_ms = 0
        self.behind_newest_ms: int | None = None
        """Where the clock was put back: how far it is behind the newest event."""
        self._world = world
        self.world = world

    def now_ms(self) -> int:  # type: ignore[override]
        if self.behind_newest_ms is not None:
            return int(self._world.shoppers.newest_ms) - self.behind_newest_ms
        return int(self._world.system_ms()) + self.ahead_ms


@dataclass(slots=True)
class Flow:
    """What is fetched, in flight and acknowledged since the last rebalance."""

    generation: int
    positions: dict[Place, int]
    queue: asyncio.Queue[Any]
    order: dict[Place, DeliveryOrder] = field(default_factory=dict)
    acked: dict[Place, set[int]] = field(default_factory=dict)
    confirmed: dict[Place, int] = field(default_factory=dict)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def in_flight(self) -> bool:
        return any(len(order) > len(self.acked[place]) for place, order in self.order.items())


@dataclass(slots=True)
class Event:
    """What the inbox needs of a Faust event."""

    message: Any
    value: Sequence[Entry]
    acked: set[int]

    def ack(self) -> None:
        self.acked.add(self.value[-1].offset)


class Worker:
    """A process that joins the group and works until it is told to stop, or ends."""

    def __init__(self, world: Any, name: str) -> None:
        self.world = world
        self.name = name
        self.process = world.loop.process(name)
        self.flow: Flow | None = None
        self.owner: Owner | None = None
        self.stopping = False
        self._void = asyncio.Event()

    def start(self) -> None:
        """Begin, in a process of its own."""
        self.world.loop.post(self.process, 0.0, self._begin)

    def _begin(self) -> None:
        asyncio.get_running_loop().create_task(self._main())

    def rebalance(self, delay_s: float) -> None:
        """Be told, after a while, to let go of everything and join again."""
        self.world.loop.post(self.process, delay_s, self._void.set)

    def adopt(self, version: int) -> None:
        """Serve the models that were published up to `version`, unless a newer one is served."""
        if self.owner is not None and (self.owner.model is None or self.owner.model.model.version < version):
            self.owner.adopt(*self.world.model(version))

    async def _main(self) -> None:
        world = self.world
        shared = SimulatedShared(world)
        shared.ahead_ms = world.skew_ms()
        plain = None
        if not world.fenced:
            plain = Producer()
        redis: Any = RedisClient(world.redis, world.wire)
        owner = Owner(shared, redis, fenced=world.fenced, plain=plain)
        self.owner = owner
        if world.published:
            self.adopt(world.published)
        committing = asyncio.create_task(shared.guarded(self._commit_for_ever()))
        while not self.stopping:
            self._void.clear()
            joined: asyncio.Future[Any] = world.loop.create_future()
            world.group.join(self, when(world.loop, self.process, joined))
            generation, numbers = await joined
            owner.assigned()
            taking = asyncio.create_task(self._take(generation, numbers))
            await self._void.wait()
            await shared.guarded(self._let_go())
            await asyncio.wait([taking])
        committing.cancel()
        world.left(self)

    async def _take(self, generation: int, numbers: Sequence[int]) -> None:
        world, owner = self.world, self.owner
        assert owner is not None
        if not await owner.take({TP(topic, number) for number in numbers for topic in SOURCES}):
            return
        places = [(topic, number) for number in numbers for topic in SOURCES]
        committed = await self._ask_group(lambda: {place: world.group.committed.get(place, 0) for place in places})
        if self._void.is_set() or committed is None:
            return
        await owner.shared.guarded(self._check(committed))
        world.note("flows", self.name, sorted(committed.items()))
        flow = Flow(generation, committed, asyncio.Queue(QUEUE_BATCHES), confirmed=dict(committed))
        for place in places:
            flow.order[place], flow.acked[place] = DeliveryOrder(), set()
        self.flow = flow
        flow.tasks = [asyncio.create_task(owner.shared.guarded(self._agent(flow)))]
        flow.tasks += [asyncio.create_task(self._fetch(flow, place)) for place in places]

    async def _check(self, committed: dict[Place, int]) -> None:
        assert self.owner is not None
        await self.owner.check_committed({TP(*place): offset for place, offset in committed.items()})

    async def _ask_group(self, effect: Any) -> Any:
        """Ask the coordinator until it answers; None where it refuses."""
        while True:
            try:
                return await self.world.wire.ask("group", effect, timeout_s=3.0)
            except (Reset, TimeoutError):
                await asyncio.sleep(0.1)
            except Refused:
                return None

    async def _fetch(self, flow: Flow, place: Place) -> None:
        world = self.world
        topic, number = place
        log = world.broker.logs[place]
        while True:
            most = 1 + world.rng.randrange(FETCH_RECORDS)
            try:
                found = await world.wire.ask("kafka", lambda: log.read(flow.positions[place], most), timeout_s=3.0)  # noqa: B023 (awaited at once)
            except (Reset, TimeoutError):
                found = []
            if not found:
                await asyncio.sleep(0.3)
                continue
            flow.order[place].delivered(found[-1].offset)
            await flow.queue.put(Event(SimpleNamespace(topic=topic, partition=number), found, flow.acked[place]))
            flow.positions[place] = found[-1].offset + 1

    async def _agent(self, flow: Flow) -> None:
        assert self.owner is not None
        while True:
            await self.owner.submit(await flow.queue.get())

    async def _commit_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.world.settings.commit_interval_s)
            await self._commit()

    async def _commit(self) -> None:
        flow, owner = self.flow, self.owner
        if flow is None or owner is None:
            return
        offsets = {}
        for place, order in flow.order.items():
            offset = order.committable(flow.acked[place])
            if offset is not None and offset > flow.confirmed.get(place, 0):
                flow.acked[place] -= {acked for acked in flow.acked[place] if acked < offset}
                offsets[place] = offset
        if not offsets:
            return
        await owner.before_commit([TP(*place) for place in offsets])
        try:
            await self.world.wire.ask(
                "group", lambda: self.world.group.commit(self.name, flow.generation, offsets), timeout_s=3.0
            )
            flow.confirmed.update(offsets)
        except (Reset, TimeoutError, Refused):
            self.world.note("commit lost", self.name)

    async def _let_go(self) -> None:
        """Do what the driver's `_let_go` does around what Faust does when partitions are revoked."""
        owner, flow = self.owner, self.flow
        assert owner is not None
        self.world.note("lets go", self.name)
        await owner.revoking()
        if flow is not None:
            await self._commit()
            for fetching in flow.tasks[1:]:
                fetching.cancel()
            for _ in range(self.world.rng.randrange(20)):
                if not flow.in_flight:
                    break
                await asyncio.sleep(0.05)
            await self._commit()
            flow.tasks[0].cancel()
            self.flow = None
        await owner.release()


def idle(worker: Worker, ends: dict[Place, int]) -> bool:
    """Whether a worker has applied and committed everything and has nothing under way."""
    flow, owner = worker.flow, worker.owner
    if flow is None or owner is None or flow.in_flight:
        return False
    if any(flow.positions[place] < ends[place] for place in flow.positions):
        return False
    if owner._rejudging is not None and not owner._rejudging.done():
        return False
    return all(
        # A sweep may have something under way, of which nothing else tells.
        partition.rebuilding is None and not partition.lock.locked()
        for partition in owner.partitions.values()
    )

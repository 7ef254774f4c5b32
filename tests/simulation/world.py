"""One run: a seed makes a shop, a job of one or two partitions, faults at any step, then rest, then the judgement."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from models.batch import SOURCES
from schemas.topics import SEGMENT_CHANGES
from stream.settings import Settings, load
from tests.oracle.shop import Event
from tests.simulation.boundary import simulated
from tests.simulation.broker import Broker
from tests.simulation.checks import RedisReader, Subscriber, Violation, at_rest
from tests.simulation.faults import FAULTS
from tests.simulation.group import Group, Place
from tests.simulation.loop import Loop, Stuck
from tests.simulation.redis_server import RedisServer
from tests.simulation.served import model
from tests.simulation.traffic import START_MS, Sent, Shoppers, topic_of
from tests.simulation.triggered import TriggerReader, carts_at_rest
from tests.simulation.wire import Wire
from tests.simulation.worker import Worker, idle

REST_S = 900.0
"""Virtual time in which a job without faults has to come to rest."""
EXPECTED_ENDS = ("newer owner", "somebody else wrote", "Kafka did not take a write", "Kafka went away")
"""Why a worker may end: a newer owner, or a broker that did not answer for too long. Anything else is a bug."""


@functools.cache
def _settings(partitions: int, clock: str) -> Settings:
    return load(
        kafka="127.0.0.1:1",
        redis_url="redis://127.0.0.1:1/0",
        partitions=partitions,
        partitioner="unchecked",
        clock=clock,
        margin=0.0,
        commit_interval_s=1.0,
        redis_check_s=2.0,
        future_tolerance_s=86_400,
        replay_step_s=3_600,
        cart_reminders_s="1800,7200",
        # Nothing is too old to be told: on the system's clock everything lies 90 days back.
        cart_oldest_s=31_536_000,
    ).model_copy(update={"group_max_records": 6})


class World:
    """Everything of one run, and what observes it."""

    def __init__(self, seed: int, faults: int, *, story: bool = False) -> None:
        """`story`: nothing happens but what a test says, on a broker that fences, in one partition."""
        self.seed = seed
        self.rng = rng = random.Random(seed)
        self.fenced = rng.random() < 0.85 or story
        self.compacts = self.fenced
        self.trace: list[tuple[Any, ...]] = []
        self.kinds: Counter[str] = Counter()
        self.loop = Loop(rng, disorder=0.0 if story else rng.choice((0.0, 0.0, 0.3)))  # type: ignore[abstract]
        self.loop.world = self  # type: ignore[attr-defined]
        self.wire = Wire(self.loop, rng)
        self.settings = _settings(1 if story else rng.choice((1, 1, 2)), rng.choice(("event", "wall")))
        self.broker = Broker(fences=self.fenced)
        self.redis = RedisServer()
        self.redis_reader, self.subscriber = RedisReader(), Subscriber()
        self.triggers = TriggerReader(fenced=self.fenced)
        self.redis.on_write = self._redis_written
        self.broker.on_append = self._appended
        self.group = Group(self.loop, rng, self.settings.partitions, self.note)
        self.shoppers = Shoppers(
            rng, customers=rng.choice((1, 2, 3)) * self.settings.partitions, partitions=self.settings.partitions
        )
        self.sent: dict[Place, list[Sent]] = {}
        self.workers: list[Worker] = []
        self.published = 0
        self.slow_reads = False
        self.unexpected: BaseException | None = None
        self.failure: BaseException | None = None
        self.resting = False
        self._faults_left = faults
        self._next_fault = rng.randrange(300)
        self._records_left = 0 if story else rng.choice((8, 20, 40)) + 2 * faults
        self._tasks: list[Any] = []
        self._made = 0
        self._quiet_from_s = 0.0
        self._supervised = not story
        self.loop.on_step = self._before_step

    model = staticmethod(model)

    def note(self, *what: Any) -> None:
        """Write a line of the trace."""
        self.trace.append((round(self.loop.time(), 4), self.loop.current.name, *what))

    def said(self, event: str, fields: dict[str, Any]) -> None:
        """Take a line of a worker's own log."""
        if self.loop.is_closed():
            return
        self.note("said", event, sorted((key, str(value)) for key, value in fields.items()))

    def system_ms(self) -> int:
        """The system clock; never behind the newest event."""
        return START_MS + 90 * 86_400_000 + int(self.loop.time() * 1000)

    def skew_ms(self) -> int:
        """How far a new worker's clock is ahead."""
        return self.rng.choice((0, 0, 1_000))

    def ends(self, number: int) -> dict[Place, int]:
        """End offsets of a partition's source topics."""
        return {(topic, number): self.broker.logs[topic, number].end for topic in SOURCES}

    def history(self, number: int) -> Iterator[Event | None]:
        """What a partition's source topics hold, one after the other; None for what is no event."""
        for topic in SOURCES:
            for offset, sent in enumerate(self.sent.get((topic, number), ())):
                yield sent.event and by_daylight(replace(sent.event, offset=offset))

    def any_worker(self) -> Worker | None:
        """Return one of the running workers."""
        return self.rng.choice(self.workers) if self.workers else None

    def later(self, delay_s: float, action: Callable[[], Any]) -> None:
        """Do something outside every process after a while."""
        self._quiet_from_s = max(self._quiet_from_s, self.loop.time() + delay_s)
        self.loop.post(self.loop.wire, delay_s, action)

    def start_worker(self) -> Worker:
        """Start one more worker."""
        self._made += 1
        worker = Worker(self, f"w{self._made}")
        self.workers.append(worker)
        self.note("start", worker.name)
        worker.start()
        return worker

    def kill(self, worker: Worker, learns_after_s: float) -> None:
        """End a worker's process at this step; the group learns of it later, the supervisor starts another."""
        self.note("killed", worker.name)
        self._gone(worker)
        self.later(learns_after_s, lambda: self.group.leave(worker.name))

    def pause(self, worker: Worker, for_s: float) -> None:
        """Stop a process and let it go on later; paused for long its session ends."""
        process = worker.process
        process.paused = True

        def expire() -> None:
            if process.paused:
                self.group.evict(worker.name, 0.0)

        if for_s > 3.0:
            self.later(3.0, expire)

        def wake() -> None:
            process.paused = False
            self.note("wakes", worker.name)

        self.later(for_s, wake)

    def publish_model(self) -> None:
        """Publish the next model; workers adopt it in their own time."""
        self.published += 1
        for worker in self.workers:
            self.loop.post(worker.process, self.rng.choice((0.0, 0.5, 5.0)), worker.adopt, self.published)

    def ended(self, code: int) -> None:
        """Take note that the current process ended itself; raise nothing: its loop goes on without it."""
        if self.loop.is_closed():
            return
        process = self.loop.current
        worker = next((each for each in self.workers if each.process is process), None)
        if worker is None:
            # Its unwinding meets the end again.
            return
        reason = next((entry for entry in reversed(self.trace) if entry[3:4] == ("worker_stopped",)), ())
        self.note("ended", code)
        self._gone(worker)
        self.later(0.2, lambda: self.group.leave(worker.name))
        if not any(words in repr(reason) for words in EXPECTED_ENDS):
            self.fail(self.unexpected or Violation(f"a worker ended itself: {reason!r}"))

    def left(self, worker: Worker) -> None:
        """Take note that a worker ended in good order."""
        self.note("left", worker.name)
        self.group.leave(worker.name)
        self._gone(worker)

    def fail(self, error: BaseException) -> None:
        """Note the first thing that must not be."""
        self.failure = self.failure or error

    def _gone(self, worker: Worker) -> None:
        self.workers.remove(worker)
        self._tasks += worker.process.tasks
        self.loop.kill(worker.process)
        self.later(self.rng.choice((0.1, 2.0)), self._supervise)

    def _supervise(self) -> None:
        if self._supervised and len(self.workers) < 2:
            self.start_worker()

    def _redis_written(self, key: bytes, stored: dict[bytes, bytes]) -> None:
        self.note("redis", key, sorted(stored.items()))
        try:
            self.redis_reader.see(key, stored)
        except Violation as violation:
            self.fail(violation)

    def _appended(self, topic: str, partition: int, offset: int, payloads: Any, by: str) -> None:
        said = [(key, value if topic == SEGMENT_CHANGES else _digest(value)) for key, value, _ in payloads]
        self.note("log", topic, partition, offset, by, said)
        try:
            self.subscriber.read(topic, partition, offset, payloads, by)
            self.triggers.read(topic, partition, offset, payloads, by)
        except Violation as violation:
            self.fail(violation)

    def _before_step(self) -> None:
        if not self.resting and self.loop.steps >= self._next_fault:
            self._fault()

    def _fault(self) -> None:
        rng = self.rng
        self._next_fault = self.loop.steps + rng.choice((2, 10, 40, 100, 250))
        if not self._faults_left:
            return
        fault = rng.choices([fault for fault, _ in FAULTS], [weight for _, weight in FAULTS])[0]
        if fault(self):
            self._faults_left -= 1
            self.kinds[fault.__name__] += 1
            self.note("fault", fault.__name__)

    def _shop(self) -> None:
        """Append the next few records to their topics."""
        for _ in range(min(self.rng.choice((1, 2, 5)), self._records_left)):
            self._records_left -= 1
            self.shop(self.shoppers.next())
        if self._records_left:
            self.later(self.rng.choice((0.0, 0.3, 1.5)), self._shop)

    def shop(self, sent: Sent) -> None:
        """Append a record to its topic."""
        place = (topic_of(sent), sent.partition)
        self.sent.setdefault(place, []).append(sent)
        self.broker.logs[place].append([(sent.key, sent.value, ())], self.shoppers.newest_ms)

    def _at_rest(self) -> bool:
        owners = {number: self.group.owner(number) for number in range(self.settings.partitions)}
        by_name = {worker.name: worker for worker in self.workers}
        if not self.group.stable or any(owner not in by_name for owner in owners.values()):
            return False
        for number, owner in owners.items():
            ends = self.ends(number)
            worker = by_name[str(owner)]
            if worker.flow is None or worker.owner is None or number not in worker.owner._tasks:
                return False
            if not idle(worker, self.ends_of(worker)) or any(
                self.group.reached.get(place, 0) < end for place, end in ends.items()
            ):
                return False
        return True

    def ends_of(self, worker: Worker) -> dict[Place, int]:
        """End offsets of everything that a worker reads."""
        return {place: self.broker.logs[place].end for place in (worker.flow.positions if worker.flow else {})}

    def run(self) -> None:
        """Run to the end. Raises Violation, Stuck, or what a worker ended of."""
        with self.playing():
            self.start_worker()
            if self.rng.random() < 0.5:
                self.publish_model()
            self.later(0.0, self._shop)
            self.loop.run(lambda: self.failure is not None or not (self._faults_left or self._records_left))
            self.judge()

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """Put the simulated outside in place; afterwards nothing of this run stirs."""
        with simulated(self):
            try:
                yield
            finally:
                for process in self.loop.processes:
                    self._tasks += process.tasks
                self.loop.finish(self._tasks)

    def judge(self) -> None:
        """Come to rest and compare everything, then again with a new owner. Raises Violation and Stuck."""
        self._supervised = True
        self._supervise()
        self._rest()
        # What the last owner kept in memory may hide what it did not write.
        for worker in list(self.workers):
            self.kill(worker, 0.0)
        self._rest()

    def _rest(self) -> None:
        """End all faults, wait until nobody has anything to do, and judge."""
        self.resting = True
        self.wire.mend()
        self.slow_reads = False
        self.note("rest")
        until, calm, quiet_from_s = self.loop.time() + REST_S, 0, self._quiet_from_s
        while calm < 6:
            self.loop.run(self._until(self.loop.time() + 1.0))
            self._raise()
            calm = calm + 1 if self.loop.time() > quiet_from_s and self._at_rest() else 0
            if self.loop.time() > until:
                raise Stuck(f"not at rest after {REST_S:.0f} s without faults")
        found = [
            difference
            for worker in self.workers
            if worker.owner is not None and worker.flow is not None
            for number, partition in sorted(worker.owner.partitions.items())
            if self.group.owner(number) == worker.name
            for difference in (*at_rest(self, partition), *carts_at_rest(self, partition))
        ]
        if found:
            raise Violation("at rest: " + "; ".join(found))

    def _until(self, then_s: float) -> Callable[[], bool]:
        self.loop.post(self.loop.wire, then_s - self.loop.time(), lambda: None)
        return lambda: self.failure is not None or self.loop.time() >= then_s

    def _raise(self) -> None:
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Let go of everything: a run's tables are large."""
        self._tasks.clear()
        self.workers.clear()
        self.loop.processes.clear()

    def digest(self) -> str:
        """A hash of everything that happened, and when."""
        return hashlib.blake2b(repr((self.trace, self.loop.steps)).encode(), digest_size=16).hexdigest()


def by_daylight(event: Event) -> Event:
    """Return the event with the part of the day and of the week that it falls into, by the clock of Greenwich."""
    local = dt.datetime.fromtimestamp(event.time / 1000, dt.UTC)
    return replace(event, night=not 6 <= local.hour < 22, weekend=local.isoweekday() >= 6)


def _digest(value: bytes | None) -> str:
    return "" if value is None else hashlib.blake2b(value, digest_size=6).hexdigest()

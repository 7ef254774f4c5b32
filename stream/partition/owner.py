"""The partitions of this worker: taken over after a rebalance, flushed before commits, released before they go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import aiokafka
import redis.asyncio
import structlog
from faust.types.tuples import TP

from models.assign import Model
from models.batch import SOURCES
from models.chances import Heads
from models.standing import Yardsticks
from schemas.snapshot import ModelSnapshot
from stream.errors import Fenced
from stream.partition.continuity import check_committed
from stream.partition.log import PartitionLog
from stream.partition.partition import Partition, Served
from stream.partition.shared import Shared, fail_stop
from stream.partition.takeover import take_over
from stream.redis_view.view import RedisView
from stream.security import kafka_options
from stream.worker_state import Standing

log = structlog.get_logger(__name__)


class Owner:
    """Holds the partitions that the consumer group gave to this worker."""

    def __init__(
        self,
        shared: Shared,
        client: redis.asyncio.Redis,
        *,
        fenced: bool,
        plain: aiokafka.AIOKafkaProducer | None = None,
    ) -> None:
        """`plain`: a started producer for all partitions, where `fenced` is false."""
        self.shared = shared
        self.fenced = fenced
        self.partitions: dict[int, Partition] = {}
        self.model: Served | None = None
        self.highwater: Callable[[str, int], int | None] = lambda _topic, _partition: None
        """Asks the consumer for the end of a source partition; set by the app."""
        self._client = client
        self._plain = plain
        self._tasks: dict[int, list[asyncio.Task[None]]] = {}
        self._taking: asyncio.Task[None] | None = None
        self._releasing: asyncio.Task[None] | None = None
        self._void = False
        self._settled = False
        self._rejudging: asyncio.Task[None] | None = None

    @property
    def running(self) -> dict[int, asyncio.Task[None]]:
        """The task that applies events, by partition; a partition that is being taken over has none yet."""
        return {number: tasks[0] for number, tasks in self._tasks.items()}

    @property
    def standing(self) -> Standing:
        """How the worker stands: without its partitions, filling Redis, or in order."""
        if not self._settled:
            return "recovering"
        rebuilding = any(partition.rebuilding is not None for partition in self.partitions.values())
        return "rebuilding" if rebuilding else "running"

    async def submit(self, event: Any) -> None:
        """Give a batch to its partition; waits while that partition is busy."""
        await self.partitions[event.message.partition].inbox.put(event)

    async def take(self, assigned: Iterable[TP]) -> bool:
        """Take over the partitions of the source topics among `assigned`; False where a rebalance cut it short."""
        if self._void:
            return False
        numbers = sorted({tp.partition for tp in assigned if tp.topic in SOURCES})
        self._taking = asyncio.create_task(self._take_all(numbers))
        try:
            await self._taking
        except asyncio.CancelledError:
            return False
        except BaseException as error:  # noqa: BLE001 (fail stop: the process ends here)
            fail_stop(error)
        finally:
            self._taking = None
        self._settled = True
        return True

    async def _take_all(self, numbers: list[int]) -> None:
        await self.release()
        parts = [asyncio.create_task(self._take_one(number)) for number in numbers]
        try:
            await asyncio.gather(*parts)
        finally:
            # gather gives up on the rest without waiting for them, and they would go on as owners.
            for part in parts:
                part.cancel()
            if parts:
                await asyncio.wait(parts)

    async def _take_one(self, number: int) -> None:
        settings = self.shared.settings
        writer = PartitionLog(
            number,
            bootstrap=settings.kafka,
            app_id=settings.app_id,
            fenced=self.fenced,
            plain=self._plain,
            security=kafka_options(settings),
        )
        partition = Partition(number, self.shared, writer, RedisView(self._client, number))
        self.partitions[number] = partition
        began = time.monotonic()
        await take_over(partition, settings.kafka)
        partition.recovery_s = time.monotonic() - began
        self._tasks[number] = [
            asyncio.create_task(self.shared.guarded(partition.run()), name=f"partition-{number}"),
            asyncio.create_task(self.shared.guarded(self._watch(partition)), name=f"watch-{number}"),
            asyncio.create_task(self.shared.guarded(partition.sweep.run()), name=f"sweep-{number}"),
            asyncio.create_task(self.shared.guarded(partition.upkeep.run()), name=f"upkeep-{number}"),
        ]
        if self.model is not None:
            # The owner before may not have judged everybody by this model.
            partition.adopt(self.model)
            self._judge_soon(self.model)

    async def _watch(self, partition: Partition) -> None:
        """Look after what time alone does: a wiped Redis, and a broker that forgets producers that write nothing."""
        while True:
            await asyncio.sleep(self.shared.settings.redis_check_s)
            await partition.patiently(partition.check_view)
            await partition.keep_alive()

    async def before_commit(self, offsets: Iterable[TP]) -> None:
        """Make everything up to `offsets` durable. Ends the process where that fails: nothing may be committed then."""
        numbers = {tp.partition for tp in offsets if tp.topic in SOURCES} & self._tasks.keys()
        try:
            await asyncio.gather(*(self.partitions[number].flush() for number in numbers))
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                raise
            fail_stop(error)

    async def check_committed(self, committed: Mapping[TP, int]) -> None:
        """Refuse a changelog that does not reach the committed offsets of a partition.

        Raises BrokenChangelog, or Fenced where the partition has another owner by now, who counted further.
        """
        for tp, offset in committed.items():
            if tp.topic in SOURCES and tp.partition in self._tasks:
                partition = self.partitions[tp.partition]
                position = partition.positions.get(tp.topic)
                counted = position.next if position else 0
                if offset > counted:
                    async with partition.lock:
                        await partition.write_meta()
                check_committed(tp.topic, tp.partition, committed=offset, counted=counted)

    def assigned(self) -> None:
        """Allow `take` again: an assignment came."""
        self._void = False

    async def revoking(self) -> None:
        """Give up a take-over that is running, refuse one that has yet to start: a rebalance or the end begins.

        One that woke up late would take partitions back from their new owner.
        """
        self._void, self._settled = True, False
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.wait([self._taking])

    async def release(self) -> None:
        """Say goodbye to every partition: what was sent is noted, so that the next owner sends nothing twice.

        It is said to the end, whoever is cancelled that waits for it: where a worker ends while its group rebalances,
        the consumer's end cuts the rebalance short, and only then the app asks for the goodbye itself.
        """
        if self._releasing is None or self._releasing.done():
            self._releasing = asyncio.create_task(self.shared.guarded(self._release()))
        await asyncio.shield(self._releasing)

    async def _release(self) -> None:
        partitions, self.partitions = self.partitions, {}
        tasks, self._tasks = self._tasks, {}
        rejudging, self._rejudging = self._rejudging, None
        if rejudging is not None:
            # Ends it between two slices; cancelled within one, its changes would count as sent.
            for partition in partitions.values():
                partition.model = None
            await asyncio.wait([rejudging])
        for number, partition in partitions.items():
            async with partition.lock:
                for task in (*tasks.get(number, []), partition.rebuilding):
                    if task is not None:
                        task.cancel()
            try:
                if number in tasks:
                    await partition.write_meta()
            except Fenced as error:
                log.info("released_after_takeover", partition=number, reason=str(error))
            await partition.writer.stop()

    def adopt(self, model: Model, snapshot: ModelSnapshot) -> None:
        """Use a new model from the next groups on, and judge everybody by it in the background."""
        names = {int(segment): name for segment, name in snapshot.lineage.items()}
        self.model = Served(model, names, Yardsticks.of(snapshot.base), Heads.of(snapshot.heads))
        for number in self._tasks:
            self.partitions[number].adopt(self.model)
            self.partitions[number].meta.judged = 0
        self._judge_soon(self.model)

    def _judge_soon(self, served: Served) -> None:
        self._rejudging = asyncio.create_task(self.shared.guarded(self._judge_all(served, self._rejudging)))

    async def _judge_all(self, served: Served, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            # It ends at its next slice; never cancelled, for a slice's changes follow its rows.
            await asyncio.wait([before])
        for number in list(self._tasks):
            partition = self.partitions.get(number)
            if partition is not None and partition.meta.judged != served.model.version and self.model is served:
                moved = await partition.judge_all(served)
                log.info("model_adopted", partition=number, model=served.model.version, moved=moved)

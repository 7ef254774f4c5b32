"""One partition at work: the steps of a group of events, of a new model, of a flush, of a rebuilt Redis."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from models import features, rows
from models.apply import Applied, Watermarks, apply
from models.assign import Model
from models.batch import SOURCES
from models.clock import StreamClock
from models.columns import COL, CustomerTable
from models.judge import REASONS, Judged, Naming, Rules, judge
from models.standing import Yardsticks
from stream.decode import Decoded, Letter
from stream.failpoints import hit
from stream.partition import publish
from stream.partition.inbox import Arrived, Inbox
from stream.partition.intake import StopLimit, count_positions
from stream.partition.letters import buried
from stream.partition.log import PartitionLog
from stream.partition.meta import META_KEY, Meta, TopicPosition
from stream.partition.shared import Shared
from stream.redis_view.view import RETRYABLE, Record, RedisView, Wiped

T = TypeVar("T")
log = structlog.get_logger(__name__)

SLICE = 2_000
"""Customers handled between two turns of the loop where many are handled: a few milliseconds."""
BACKOFF_MAX_S = 2.0
PRUNE_S = 60.0
"""Time between two looks for recent ids that nothing can repeat any more."""
KEEP_ALIVE_S = 1_800.0
"""Longest silence of a partition's producer; Kafka forgets one, and its fence, after `producer.id.expiration.ms`."""
KEY_RULE = "the Kafka key is not the customer's id, or the partition is not the one that it hashes to"


@dataclass(frozen=True, slots=True)
class Served:
    """A model in use, with the names of all segments that ever were."""

    model: Model
    names: Mapping[int, str]
    yardsticks: Yardsticks | None = None


class Partition:
    """Owns its customers' columns, its producer, its epoch and its steps; nothing else touches them.

    `lock` is held around everything that writes rows, so that a group, a flush and a slice never interleave.
    """

    def __init__(self, number: int, shared: Shared, writer: PartitionLog, view: RedisView) -> None:
        settings = shared.settings
        self.number = number
        self.shared = shared
        self.writer = writer
        self.view = view
        self.table = CustomerTable()
        self.watermarks = Watermarks()
        self.clock = StreamClock(settings.clock)
        self.meta = Meta()
        self.positions: dict[str, TopicPosition] = {}
        self.reasons: dict[str, int] = {}
        self.epoch = -1
        self.seq = 0
        self.recovery_s = 0.0
        self.model: Model | None = None
        self.yardsticks: Yardsticks | None = None
        self.naming = Naming({})
        self.rules = Rules(margin=settings.margin, dwell_ms=settings.dwell_s * 1000)
        self.inbox = Inbox(settings.group_max_records)
        self.lock = asyncio.Lock()
        self._flushing = asyncio.Lock()
        self.rebuilding: asyncio.Task[None] | None = None
        self._pruned_at = time.monotonic()
        self.limit = StopLimit(
            partition=number, window=settings.dead_letter_stop_window, ratio=settings.dead_letter_stop_ratio
        )

    async def run(self) -> None:
        """One way through: a group of events becomes rows, changes and Redis records, and only then is acknowledged.

        Groups of a partition never overlap: nothing of the next one before step 6 of this one.
        """
        while True:
            group = await self.inbox.take()
            # 1. Decode: each record becomes one event or one dead letter.
            async with self.lock, self.shared.decoding.decoded(self.number, group) as decoded:
                hit("decoded")
                # 2. Apply the events to the customers' columns; dead letters are acked before their batch.
                applied = self._apply(decoded)
                hit("applied")
                await self._bury(decoded, applied, group)
                # 3. Assign: whose record changes?
                judged = self._judge(applied.touched, applied.rows, "behaviour")
                # 4. and 5. Changelog rows, then change events and Redis.
                await self.publish(applied.touched, judged)
                count_positions(self.positions, group)
            # 6. Only now may Faust commit past it.
            for arrived in group:
                arrived.ack()
            hit("acked")
            self.shared.metrics.observe(group, decoded, applied, judged)

    async def publish(self, slots: NDArray[np.int64], judged: Judged) -> None:
        """Take steps 2 to 4 of the protocol for customers whose record changed (`slots`, `judged` from `_judge`)."""
        published = slots[judged.published]
        if not len(published):
            return
        moved = slots[judged.moved]
        said = self.table.gather(published)
        ids = [self.table.ids[slot] for slot in published]
        # ① Rows; the partition's own row travels first, with the `sent` of the step before.
        await self.writer.write([(META_KEY, self.meta.encode()), *rows.encode(self.table, published)])
        self.table.dirty[published] = False
        hit("rows_acked")
        # ② Change events and ③ Redis records; each needs only the rows.
        moved_ids = [self.table.ids[slot] for slot in moved]
        events = publish.changes(moved_ids, self.table.gather(moved), self.meta.names) if len(moved) else []
        records = publish.records(ids, said, self.meta.names)
        await asyncio.gather(self._send_changes(events), self.write_view(records))
        self.meta.sent = judged.seq

    async def judge_all(self, served: Served) -> int:
        """Judge every customer by a new model, in slices; return how many moved."""
        self.adopt(served)
        model = served.model
        moved = 0
        for start in range(0, len(self.table), SLICE):
            async with self.lock:
                if self.model is not model:
                    return moved
                slots = np.arange(start, min(start + SLICE, len(self.table)))
                judged = self._judge(slots, self.table.gather(slots), "model")
                await self.publish(slots, judged)
                moved += len(judged.moved)
            await asyncio.sleep(0)
        self.meta.judged = model.version
        return moved

    def adopt(self, served: Served) -> None:
        """Use a model from the next group on."""
        self.model, self.yardsticks = served.model, served.yardsticks
        known = {segment: self.meta.name_index(name) for segment, name in served.names.items()}
        self.naming = Naming(known, np.array([self.meta.name_index(name) for name in served.model.features]))
        hit("model_swapped")

    async def flush(self) -> None:
        """Write the rows of all dirty customers and the partition's own row: what must precede an offset commit.

        One after the other: of two at once, the one that counted first could write its counts last, behind a commit.
        """
        async with self._flushing:
            await self._flush()

    async def _flush(self) -> None:
        async with self.lock:
            dirty = np.flatnonzero(self.table.dirty)
            positions, reasons = copy.deepcopy(self.positions), dict(self.reasons)
            for topic, position in positions.items():
                position.watermark_ms = self.watermarks[SOURCES.index(topic)]
            clock = self.clock.to_dict()
        for start in range(0, len(dirty), SLICE):
            async with self.lock:
                slots = dirty[start : start + SLICE]
                slots = slots[self.table.dirty[slots]]
                await self.writer.write(rows.encode(self.table, slots))
                self.table.dirty[slots] = False
            await asyncio.sleep(0)
        async with self.lock:
            self.meta.topics, self.meta.reasons, self.meta.clock = positions, reasons, clock
            await self.write_meta()
            if self.table.crowded or time.monotonic() - self._pruned_at >= PRUNE_S:
                self._pruned_at = time.monotonic()
                self.table.prune(self.watermarks.oldest)
        hit("dirty_flushed")

    async def write_meta(self) -> None:
        """Write the partition's own row; an acked write also proves that this worker still owns the partition."""
        await self.writer.write([(META_KEY, self.meta.encode())])

    async def keep_alive(self) -> None:
        """Write the partition's own row where nothing was written for long: brokers forget producers, and fences."""
        if time.monotonic() - self.writer.wrote_at >= KEEP_ALIVE_S:
            async with self.lock:
                await self.write_meta()

    async def write_view(self, records: list[Record]) -> None:
        """Write Redis records; a Redis that does not answer is waited for, a wiped one is rebuilt from state."""
        while True:
            try:
                await self.patiently(lambda: self.view.write(records))
                break
            except Wiped:
                # Also between a claim and the write that follows it.
                await self._reclaim()
        hit("redis_written")

    async def check_view(self) -> None:
        """Look whether Redis lost its data; if so claim it anew and write every record again."""
        if self.rebuilding is None and not await self.view.intact():
            async with self.lock:
                await self._reclaim()

    async def _reclaim(self) -> None:
        """Take the protocol's W: the boot id is read *before* ownership is proved, or a zombie could claim Redis."""
        log.warning("redis_rebuilding", partition=self.number, customers=len(self.table))
        self.shared.metrics.count("redis_rebuilds", 1)
        boot = await self.patiently(self.view.read_boot)
        await self.write_meta()
        if await self.patiently(lambda: self.view.claim(boot, self.epoch)) < 0:
            return await self._reclaim()
        hit("redis_claimed")
        if self.rebuilding is None:
            self.rebuilding = asyncio.create_task(self.shared.guarded(self._rebuild_later()))
        return None

    async def _rebuild_later(self) -> None:
        try:
            await self.rebuild()
        except Wiped:
            log.warning("redis_wiped_while_rebuilding", partition=self.number)
        finally:
            self.rebuilding = None

    async def rebuild(self) -> None:
        """Write every customer's record to Redis, in slices, then say that it is complete. Raises Wiped."""
        boot = self.view.boot
        for start in range(0, len(self.table), SLICE):
            async with self.lock:
                if self.view.boot != boot:
                    # Wiped and claimed anew meanwhile, by a group: the slices before are gone.
                    raise Wiped
                slots = np.arange(start, min(start + SLICE, len(self.table)))
                said = self.table.gather(slots)
                known = said[:, COL.rev] > 0
                ids = [self.table.ids[slot] for slot in slots[known]]
                records = publish.records(ids, said[known], self.meta.names)
                await self.patiently(partial(self.view.write, records))
            await asyncio.sleep(0)
        async with self.lock:
            if self.view.boot != boot:
                raise Wiped
            await self.patiently(self.view.finish)

    async def patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat `attempt` with backoff while Redis does not answer; the partition waits, bounded by its inbox."""
        delay_s = 0.05
        while True:
            try:
                return await attempt()
            except RETRYABLE as error:
                self.shared.metrics.count("redis_retries", 1)
                log.warning("redis_unreachable", partition=self.number, error=str(error), retry_s=delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, BACKOFF_MAX_S)

    def _apply(self, decoded: Decoded) -> Applied:
        batch = decoded.batch
        applied = apply(self.table, batch, self.watermarks, self._admit)
        self.watermarks = applied.watermarks
        if applied.refused:
            refused = set(applied.refused)
            kept = [position for position in range(len(batch)) if position not in refused]
            self.clock.observe(batch.time_ms[kept], [batch.customer[position] for position in kept])
        else:
            self.clock.observe(batch.time_ms, batch.customer)
        return applied

    def _admit(self, customer: str, key: bytes | None) -> bool:
        return self.shared.belongs(customer, key, self.number)

    async def _bury(self, decoded: Decoded, applied: Applied, group: list[Arrived]) -> None:
        batch = decoded.batch
        letters = [
            *decoded.letters,
            *(
                Letter(int(batch.source[i]), int(batch.offset[i]), "key_mismatch", KEY_RULE, batch.key[i], None)
                for i in applied.refused
            ),
        ]
        records = sum(len(arrived.records) for arrived in group)
        self.limit.observe(records, decoded.undecodable)
        fresh = [x for x in letters if x.offset >= self._position(x.source).next]
        if not fresh:
            return
        limit_bytes = self.shared.settings.dead_letter_bytes
        sealed = buried(fresh, group, self.number, now_ms=self.shared.now_ms(), limit_bytes=limit_bytes)
        await self.writer.send(*sealed)
        for letter in fresh:
            self.reasons[letter.reason] = self.reasons.get(letter.reason, 0) + 1
            self._position(letter.source).letters += 1

    def _position(self, source: int) -> TopicPosition:
        return self.positions.setdefault(SOURCES[source], TopicPosition())

    def _judge(self, slots: NDArray[np.int64], said: NDArray[np.float64], reason: str) -> Judged:
        """Judge the customers at sorted `slots`, whose rows `said` holds, and write back what is published."""
        now_ms = self.clock.now(self.shared.now_ms())
        vectors = features.of_rows(said, now_ms) if self.model is not None else None
        judged = judge(
            said,
            vectors,
            (said[:, COL.cart_items] > 0).astype(np.float64),
            model=self.model,
            yardsticks=self.yardsticks,
            naming=self.naming,
            rules=self.rules,
            reason=REASONS.index(reason),
            seq=self.seq,
            epoch=self.epoch,
            now_ms=now_ms,
        )
        self.seq = judged.seq
        if len(judged.published):
            self.table.scatter(slots[judged.published], said[judged.published])
        return judged

    async def _send_changes(self, events: list[tuple[bytes, bytes]]) -> None:
        if events:
            await self.writer.send_changes(events)

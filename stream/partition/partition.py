"""One partition at work: the steps of a group of events, of a new model, of a flush, of a rebuilt Redis."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models import features, reminders, reuse, rows
from models.agenda import Agenda
from models.apply import Applied, Watermarks, apply
from models.assign import Model
from models.batch import SOURCES, EventBatch
from models.chances import Heads
from models.clock import StreamClock
from models.judge import REASONS, Judged, Naming, Rules, judge
from models.standing import Yardsticks
from stream.decode import Letter
from stream.failpoints import hit
from stream.partition import publish, triggers
from stream.partition.inbox import Arrived, Inbox
from stream.partition.intake import StopLimit, count_positions
from stream.partition.letters import buried
from stream.partition.log import PartitionLog
from stream.partition.meta import META_KEY, TopicPosition
from stream.partition.shared import Shared
from stream.partition.sweep import Sweep
from stream.partition.upkeep import Upkeep
from stream.partition.viewed import SLICE, Viewed
from stream.redis_view.view import RedisView

PRUNE_S = 60.0
"""Time between two looks for recent ids that nothing can repeat any more."""
JUDGED = 1_000
"""Customers judged by a new model between two turns of the loop."""
RESTS = 5.0
"""Rest after a slice of everybody was judged by a new model, as a multiple of the time that took: events come first."""
KEEP_ALIVE_S = 1_800.0
"""Longest silence of a partition's producer; Kafka forgets one, and its fence, after `producer.id.expiration.ms`."""
KEY_RULE = "the Kafka key is not the customer's id, or the partition is not the one that it hashes to"


@dataclass(frozen=True, slots=True)
class Served:
    """A model in use, with the names of all segments that ever were."""

    model: Model
    names: Mapping[int, str]
    yardsticks: Yardsticks | None = None
    heads: Heads | None = None


class Partition(Viewed):
    """Owns its customers' columns, its producer, its epoch and its steps; nothing else touches them."""

    def __init__(self, number: int, shared: Shared, writer: PartitionLog, view: RedisView) -> None:
        settings = shared.settings
        super().__init__(number, shared, writer, view)
        self.watermarks = Watermarks()
        self.clock = StreamClock(settings.clock)
        self.positions: dict[str, TopicPosition] = {}
        self.reasons: dict[str, int] = {}
        self.seq = 0
        self.recovery_s = 0.0
        self.model: Model | None = None
        self.yardsticks: Yardsticks | None = None
        self.heads: Heads | None = None
        self.naming = Naming({})
        self.rules = Rules(margin=settings.margin, dwell_ms=settings.dwell_s * 1000)
        self.inbox = Inbox(settings.group_max_records)
        self.agenda = Agenda(settings.cart_timers, self.rules, settings.sweep_s * 1000)
        self.sweep = Sweep(self)
        self.upkeep = Upkeep(self)
        self._judge_from = 0
        self._flushing = asyncio.Lock()
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
                self.limit.observe(sum(len(arrived.records) for arrived in group), decoded.undecodable)
                await self._bury(decoded.letters, group)
                done = []
                # On event time a group comes in parts, and time passes between them.
                async for batch in self.sweep.parts(decoded.batch):
                    applied = self._apply(batch)
                    hit("applied")
                    await self._bury(_strangers(batch, applied.refused), group)
                    # 3. Assign: whose record changes?
                    judged = self._judge(applied.touched, applied.rows, "behaviour", applied)
                    # 4. and 5. Changelog rows, then change events, cart triggers and Redis.
                    await self.publish(applied.touched, judged)
                    done.append((applied, judged))
                count_positions(self.positions, group)
            # 6. Only now may Faust commit past it.
            for arrived in group:
                arrived.ack()
            hit("acked")
            self.shared.metrics.observe(group, decoded, done)

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
        # ② Change events, cart triggers and ③ Redis records; each needs only the rows.
        moved_ids = [self.table.ids[slot] for slot in moved]
        events = publish.changes(moved_ids, self.table.gather(moved), self.meta.names) if len(moved) else []
        records = publish.records(ids, said, self.meta.names)
        told = triggers.of(self.table, published.tolist())
        await asyncio.gather(self._send(events, told), self.write_view(records))
        self.meta.sent = judged.seq
        triggers.forget(self.table, published.tolist())

    async def judge_all(self, served: Served) -> int:
        """Judge every customer by a new model, in slices with rests between them; return how many moved.

        It begins where the one before ended: where models come faster than everybody is judged, nobody is left out.
        """
        self.adopt(served)
        model, moved = served.model, 0
        starts = np.arange(0, len(self.table), JUDGED)
        for start in np.roll(starts, -int(np.searchsorted(starts, self._judge_from))).tolist():
            async with self.lock:
                if self.model is not model:
                    return moved
                slots = np.arange(start, min(start + JUDGED, len(self.table)))
                began = time.monotonic()
                judged = self.judge(slots, "model")
                busy_s = time.monotonic() - began
                await self.publish(slots, judged)
                self.shared.metrics.published(judged)
                moved += len(judged.moved)
                self._judge_from = start + JUDGED
            await asyncio.sleep(RESTS * busy_s)
        self.meta.judged = model.version
        return moved

    def judge(
        self,
        slots: NDArray[np.int64],
        reason: str,
        *,
        forced: NDArray[np.bool_] | None = None,
        until_ms: int | None = None,
    ) -> Judged:
        """Judge the customers at sorted slots for another reason than their events; all else as in `_judge`."""
        return self._judge(slots, self.table.gather(slots), reason, forced=forced, until_ms=until_ms)

    async def expect_everybody(self) -> None:
        """Make the agenda anew, from rows."""
        self.agenda = Agenda(self.agenda.timers, self.rules, self.shared.settings.sweep_s * 1000)
        for start in range(0, len(self.table), SLICE):
            slots = np.arange(start, min(start + SLICE, len(self.table)))
            self.agenda.note(slots, self.table.gather(slots), self.now_ms)
            await asyncio.sleep(0)

    def adopt(self, served: Served) -> None:
        """Use a model from the next group on."""
        self.model, self.yardsticks, self.heads = served.model, served.yardsticks, served.heads
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
                slots = slots[slots < len(self.table)]
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

    async def keep_alive(self) -> None:
        """Write the partition's own row where nothing was written for long: brokers forget producers, and fences."""
        if time.monotonic() - self.writer.wrote_at >= KEEP_ALIVE_S:
            async with self.lock:
                await self.write_meta()

    @property
    def now_ms(self) -> int:
        """The partition's time."""
        return self.clock.now(self.shared.now_ms())

    def _apply(self, batch: EventBatch) -> Applied:
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

    async def _bury(self, letters: Sequence[Letter], group: list[Arrived]) -> None:
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

    def _judge(
        self,
        slots: NDArray[np.int64],
        said: NDArray[np.float64],
        reason: str,
        applied: Applied | None = None,
        *,
        forced: NDArray[np.bool_] | None = None,
        until_ms: int | None = None,
    ) -> Judged:
        """Judge the customers at sorted `slots`, whose rows `said` holds, and write back what is published.

        Whom no event touched is planned too: the agenda learns when time alone may next change them.
        `applied`: what happened to them. `forced` (T,): whose record is published although nothing in it changed.
        `until_ms`: reminders that were due by then are told; without it none.
        """
        now_ms, timers = self.now_ms, self.agenda.timers
        # Whom nobody is told of is written with the next flush.
        noted = np.zeros(len(slots), np.bool_)
        told = self._remind(slots, said, noted, applied, until_ms=until_ms, now_ms=now_ms)
        publishing = forced
        if told:
            publishing = np.zeros(len(slots), np.bool_) if forced is None else forced
            publishing[[each.at for each in told]] = True
        vectors = features.of_rows(said, now_ms) if self.model is not None else None
        judged = judge(
            said,
            vectors,
            reminders.states(said, now_ms, timers),
            model=self.model,
            yardsticks=self.yardsticks,
            heads=self.heads,
            naming=self.naming,
            rules=self.rules,
            reason=REASONS.index(reason),
            seq=self.seq,
            epoch=self.epoch,
            now_ms=now_ms,
            forced=publishing,
        )
        self.seq = judged.seq
        if told:
            self.shared.metrics.count("cart_triggers", len(told))
            currency = self.shared.settings.currency
            triggers.note(self.table, told, slots, said, names=self.meta.names, currency=currency)
        noted[judged.published] = True
        kept = np.flatnonzero(noted)
        if len(kept):
            self.table.scatter(slots[kept], said[kept])
            self.table.mark_dirty(slots[kept])
        if applied is not None:
            self.agenda.note(slots, said, now_ms)
        else:
            # At once: the next sweep would have to look at them again.
            self.agenda.plan(slots, said, vectors, now_ms, model=self.model, yardsticks=self.yardsticks)
        return judged

    def _remind(
        self,
        slots: NDArray[np.int64],
        said: NDArray[np.float64],
        noted: NDArray[np.bool_],
        applied: Applied | None,
        *,
        until_ms: int | None,
        now_ms: int,
    ) -> list[reminders.Told]:
        """Settle the carts of `said`, and return what is to be told of them; `noted`: whose row that changed."""
        timers, told = self.agenda.timers, []
        if applied is not None:
            told = reminders.end(said, slots, applied.ended, noted)
            told += reuse.withdraw(
                said, slots, applied.cart_touched, self.table.carts, now_ms=now_ms, timers=timers, noted=noted
            )
        reminders.settle(said, noted)
        if until_ms is not None:
            due, passed_over = reminders.remind(said, until_ms, timers, noted)
            told += due
            self.shared.metrics.count("cart_reminders_too_old", passed_over)
        return told

    async def _send(self, changes: list[tuple[bytes, bytes]], told: list[tuple[bytes, bytes]]) -> None:
        if changes:
            await self.writer.send_changes(changes)
        if told:
            await self.writer.send_triggers(told)


def _strangers(batch: EventBatch, refused: Sequence[int]) -> list[Letter]:
    """Return the letters of events whose key is not their customer's."""
    return [
        Letter(int(batch.source[at]), int(batch.offset[at]), "key_mismatch", KEY_RULE, batch.key[at], None)
        for at in refused
    ]

"""The batch transport: subclasses of Faust's aiokafka driver, without patching Faust.

What is overridden and why (reference: faust-streaming 0.15.3, upstream issues #502, #606):

- delivery: one message per (partition, fetch), trimmed to what is still expected;
- commit: in order of delivery, and before a partition is taken away, so that a handover repeats nothing;
- seeking: a partition without a committed offset goes to its beginning instead of where a stopped fetch left it;
- waiting: a full buffer wakes the fetcher when it drains, not after a second;
- records: as aiokafka parsed them, without the copy that it makes of each for its callers.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import aiokafka
from faust.transport.drivers import aiokafka as stock
from faust.types.tuples import TP

from stream.errors import SourceLost
from stream.failpoints import hit
from stream.partition.continuity import check_reach
from stream.partition.shared import fail_stop
from stream.records import Record, hand_on_as_parsed
from stream.transport.commit import DeliveryOrder
from stream.transport.message import BatchMessage


class BatchConsumerThread(stock.AIOKafkaConsumerThread):
    """Consumer thread whose fetches wait a little for company, so that small live batches stay cheap."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust has no setting for these; aiokafka reads them when the consumer starts. Guarded by a test.
        knobs = self.app.livesegment_fetch
        consumer._fetch_min_bytes = knobs.min_bytes  # noqa: SLF001 (see above)
        consumer._fetch_max_wait_ms = knobs.wait_ms  # noqa: SLF001 (see above)
        return consumer

    async def on_start(self) -> None:
        """Start the consumer; have records as they were parsed, and the heartbeats that its group hears counted."""
        await super().on_start()
        consumer = self._ensure_consumer()
        # Nothing is fetched before partitions are assigned.
        hand_on_as_parsed(consumer)
        # aiokafka keeps no account of them; guarded by a test.
        coordinator = consumer._coordinator  # noqa: SLF001 (see above)
        beat = coordinator._do_heartbeat  # noqa: SLF001 (see above)

        async def counted() -> bool:
            heard: bool = await beat()
            self.consumer.heartbeats += heard
            return heard

        coordinator._do_heartbeat = counted  # noqa: SLF001 (see above)


class BatchConsumer(stock.Consumer):
    """Delivers batches, commits them in order, and calls its owner before commits and around revocation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._delivery: defaultdict[TP, DeliveryOrder] = defaultdict(DeliveryOrder)
        self._room = asyncio.Event()
        self.heartbeats = 0
        """Heartbeats that the group has answered; written by the consumer's thread only."""
        self.confirmed: dict[TP, int] = {}
        """Offsets that the broker has confirmed as committed. Faust also notes those that it refused."""

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def on_buffer_drop(self, tp: TP) -> None:
        """Wake a fetcher that waits because every partition is over pressure."""
        super().on_buffer_drop(tp)
        self._room.set()

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:  # noqa: ASYNC109 (Faust's signature)
        if self.flow_active and not self.app.client_only and not self._get_active_partitions():
            self._room.clear()
            try:
                await asyncio.wait_for(self._room.wait(), 1.0)
            except TimeoutError:
                return {}, set()
        return await super()._wait_next_records(timeout)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Fetch and deliver until the consumer or its fetcher stops."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)
                records, _ = await self._wait_next_records(1.0)
                if self.flow_active:
                    if records:
                        await self.wait_first(self._deliver(records), self.suspend_flow.wait())
                else:
                    await self._seek_back()
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    async def _seek_back(self) -> None:
        """Read again what a fetch brought while the flow was stopped."""
        try:
            await self._seek_to_committed()
        except Exception as error:  # noqa: BLE001 (a rebalance is under way; its own seek follows)
            self.log.warning("Seek while the flow is stopped failed: %r", error)

    async def _deliver(self, records: Mapping[TP, list[Record]]) -> None:
        generation_id = self.app.consumer_generation_id
        active = self._get_active_partitions()
        for tp, batch in records.items():
            if not self.flow_active or self.app.consumer_generation_id != generation_id:
                return
            if tp not in active and tp not in self._buffered_partitions:
                continue
            fresh = self._trim(tp, batch)
            if len(fresh) < len(batch):
                self._refuse_new_log(tp)
            if not fresh:
                continue
            message = BatchMessage.of(tp, fresh, generation_id)
            self._delivery[tp].delivered(message.offset)
            await self.callback(message)
            self._read_offset[tp] = message.offset + 1

    def _trim(self, tp: TP, batch: list[Record]) -> list[Record]:
        """Drop what was delivered before: `_read_offset` is the next offset that is expected."""
        expected = self._read_offset[tp]
        if not batch or expected is None or batch[0].offset >= expected:
            return batch
        return [record for record in batch if record.offset >= expected]

    def _refuse_new_log(self, tp: TP) -> None:
        """End the process where offsets start over because the topic was created anew, instead of after a seek."""
        # aiokafka knows the end of assigned partitions only.
        end = self.highwater(tp) if tp in self.assignment() else None
        expected = self._read_offset[tp]
        try:
            if end is not None and expected is not None:
                check_reach(tp.topic, tp.partition, read=expected, end=end)
        except SourceLost as error:
            fail_stop(error)

    def _new_offset(self, tp: TP) -> int | None:
        acked = self._acked_index[tp]
        offset = self._delivery[tp].committable(acked)
        if offset is not None:
            acked.difference_update({o for o in acked if o < offset})
            self._acked[tp] = sorted(acked)
        return offset

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return offset > self.confirmed.get(tp, 0)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps need no bookkeeping: they lie inside or between batches that are acknowledged whole."""

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """Make state durable up to the offsets first: a commit without it would lose events."""
        await self.app.livesegment_owner.before_commit(offsets)
        committed: bool = await super()._commit_offsets(offsets, start_new_transaction)
        hit("committed")
        if committed:
            self.confirmed.update(offsets)
        return committed

    async def perform_seek(self) -> None:
        """Start over from the committed offsets: forget what was in flight, it is read again."""
        await self._seek_to_committed()
        committed = {tp: self._committed_offset[tp] or 0 for tp in self.assignment()}
        await self.app.livesegment_owner.check_committed(committed)
        for tp in self.assignment():
            self._delivery.pop(tp, None)
            self._acked.pop(tp, None)
            self._acked_index.pop(tp, None)

    async def _seek_to_committed(self) -> None:
        """Seek to the committed offsets, and to the beginning where there are none, which Faust does not."""
        await super().perform_seek()
        for tp in self.assignment():
            self.confirmed[tp] = self._committed_offset[tp] or 0
            if not self._committed_offset[tp]:
                self._read_offset[tp] = None
                await self._thread.seek_to_beginning(self._new_topicpartition(tp.topic, tp.partition))

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is done, let Faust end what is in flight, then let the owner say goodbye to the partitions."""
        # aiokafka logs what a listener raises and joins all the same: half let go, partitions would have two owners.
        await self.app.livesegment_owner.shared.guarded(self._let_go(revoked))

    async def _let_go(self, revoked: set[TP]) -> None:
        await self.app.livesegment_owner.revoking()
        if not await self.commit():
            # A commit that was under way already did not know the latest acknowledgements, and Faust forgets them now.
            await self.commit()
        await super().on_partitions_revoked(revoked)
        await self.app.livesegment_owner.release()
        for tp in revoked:
            self._delivery.pop(tp, None)
            self.confirmed.pop(tp, None)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Allow the owner to take over again: what was assigned before this rebalance is void."""
        self.app.livesegment_owner.assigned()
        await super().on_partitions_assigned(assigned, generation_id)


class BatchTransport(stock.Transport):
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = BatchConsumer

"""Reading one partition's changelog up to the own marker: the protocol's A5. The last record of a key wins."""

from __future__ import annotations

from collections.abc import Sequence

import aiokafka
import numpy as np
import structlog
from aiokafka.structs import TopicPartition
from numpy.typing import NDArray

from models import rows
from models.apply import Watermarks
from models.batch import SOURCES
from models.clock import StreamClock
from models.columns import COL, POSITION, CustomerTable
from models.row_tail import MalformedRow
from schemas.topics import CHANGELOG
from stream.errors import BrokenChangelog, FenceRestarted
from stream.partition.continuity import check_head, check_sources
from stream.partition.meta import META_KEY, OWNER_KEY, Meta, TopicPosition
from stream.partition.partition import Partition
from stream.records import Record, hand_on_as_parsed
from stream.security import kafka_options

log = structlog.get_logger(__name__)

READ_MAX_RECORDS = 5_000
"""Changelog records read between two turns of the loop."""
RISING = ("next_clickstream", "next_purchases", "rev", "ver", "epoch")
"""Columns of a customer that never fall from one of its rows to the next."""


async def read_changelog(partition: Partition, bootstrap: str) -> None:
    """Load rows and the partition's own row up to the marker, into a new table.

    Raises BrokenChangelog, SourceLost and FenceRestarted.
    """
    source = TopicPartition(CHANGELOG, partition.number)
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        # Should the log's start move while it is read: "latest" would wait behind the marker for ever.
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 << 20,
        fetch_max_wait_ms=50,
        **kafka_options(partition.shared.settings),
    )
    partition.table, partition.meta = CustomerTable(), Meta()
    reading = Reading(partition)
    try:
        await consumer.start()
        hand_on_as_parsed(consumer)
        consumer.assign([source])
        await check_head(consumer, partition.number)
        await consumer.seek_to_beginning(source)
        done = False
        while not done:
            fetched = await consumer.getmany(source, timeout_ms=1_000, max_records=READ_MAX_RECORDS)
            for records in fetched.values():
                done = reading.load(records) or done
        if partition.writer.fenced:
            # The embedded broker does not know the end of a topic.
            await check_sources(consumer, partition.number, partition.meta.topics)
    except (ValueError, KeyError, TypeError) as error:
        # UnknownRowVersion, MalformedRow, UnknownMetaVersion; and a partition's row that is no such JSON.
        raise BrokenChangelog(f"partition {partition.number}: {error}") from error
    finally:
        await consumer.stop()
    if reading.owners and partition.writer.fence_restarted:
        raise FenceRestarted(
            f"partition {partition.number}: the broker gave a new producer id where its changelog has an owner's "
            "marker already, so it would not refuse a worker of before"
        )
    number_anew(partition, [key.decode() for key in reading.late])
    restore(partition)


class Reading:
    """Loads changelog records into a partition."""

    def __init__(self, partition: Partition) -> None:
        self.owners = 0
        """Markers of others before."""
        self.late: dict[bytes, int] = {}
        """Offset of the last row of a customer that an old owner wrote behind a newer owner's marker: nothing was
        fenced, and nobody knows whether its record was sent."""
        self._marker = 0
        self._is_late = False
        self._partition = partition
        self._reader = rows.RowReader()

    def load(self, records: Sequence[Record]) -> bool:
        """Load records up to the own marker; return whether it was met. Raises BrokenChangelog."""
        partition = self._partition
        keys: list[bytes] = []
        values: list[bytes] = []
        met = False
        for record in records:
            if record.offset >= partition.epoch:
                # The own marker; or behind it, where compaction took it for a newer one.
                met = True
                break
            if record.key is None:
                raise MalformedRow(f"the record at offset {record.offset} has no key")
            if record.key == OWNER_KEY:
                self.owners += record.offset not in partition.writer.marks
                self._marker = record.offset
            elif record.key == META_KEY and record.value is not None:
                meta = Meta.decode(record.value)
                self._note(meta)
                # As with rows, below: a late copy of an older one must not win where nothing is fenced.
                if partition.writer.fenced or not meta.behind(partition.meta):
                    partition.meta, meta = meta, partition.meta
                # But rows that an old owner wrote late may be newer, and refer to names that only it had added.
                partition.meta.names += meta.names[len(partition.meta.names) :]
            elif record.value is None:
                # Who is forgotten may come back, and then has a new row, which is not older than the one before.
                self._take(keys, values, record.offset)
                keys, values = [], []
                self._reader.load(partition.table, [record.key], [None])
            else:
                keys.append(record.key)
                values.append(record.value)
                if self._is_late:
                    self.late[record.key] = record.offset
        self._take(keys, values, records[-1].offset)
        return met

    def _note(self, meta: Meta) -> None:
        """Note whose rows follow: an owner's own row of the partition travels ahead of its rows of customers."""
        self._is_late = not self._partition.writer.fenced and meta.epoch < self._marker
        if not self._is_late and self.late:
            # This owner has sent again what came before its marker.
            self.late = {key: offset for key, offset in self.late.items() if offset > meta.epoch}

    def _take(self, keys: list[bytes], values: list[bytes], offset: int) -> None:
        """Load rows, the last of them at or before `offset`. Raises BrokenChangelog."""
        partition = self._partition
        fallen = set(backwards(partition.table, keys, values))
        if fallen:
            where = f"changelog up to offset {offset}"
            if partition.writer.fenced:
                raise BrokenChangelog(
                    f"partition {partition.number}: {len(fallen)} rows in the {where} are older than rows of the same "
                    "customers before them, so two owners wrote",
                    action="keep the topic and report this; a new job on new topics can be fed from the events",
                )
            # A broker that cannot fence lets an old owner write late; what it wrote is older, so the maximum is right.
            log.warning("older_rows_passed_over", partition=partition.number, rows=len(fallen), where=where)
            keys = [key for at, key in enumerate(keys) if at not in fallen]
            values = [value for at, value in enumerate(values) if at not in fallen]
        self._reader.load(partition.table, keys, values)


def backwards(table: CustomerTable, keys: Sequence[bytes], values: Sequence[bytes]) -> list[int]:
    """Return the positions of rows that say less than an earlier row, or the table, of the same customer.

    Their customers are added to the table. Raises UnknownRowVersion and MalformedRow.
    """
    if not keys:
        return []
    distinct = list(dict.fromkeys(keys))
    slot_of = dict(zip(distinct, table.add_all([key.decode() for key in distinct]).tolist(), strict=True))
    slots = np.array([slot_of[key] for key in keys])
    said = rows.peek(values, RISING)
    order = np.argsort(slots, kind="stable")
    slots, said = slots[order], said[order]
    first = np.flatnonzero(np.diff(slots, prepend=-1))
    before = np.empty_like(said)
    before[1:] = said[:-1]
    before[first] = table.gather(slots[first])[:, [POSITION[name] for name in RISING]]
    if not (said < before).any():
        return []
    return _fallen(said, before, first, order.tolist())


def _fallen(
    said: NDArray[np.float64], before: NDArray[np.float64], first: NDArray[np.int64], positions: Sequence[int]
) -> list[int]:
    """Compare each row with the last one of its customer that did not fall: the rare case."""
    fallen = []
    starts = set(first.tolist())
    best = before[0]
    for at in range(len(said)):
        if at in starts:
            best = before[at]
        if (said[at] < best).any():
            fallen.append(positions[at])
        else:
            best = said[at]
    return sorted(fallen)


def number_anew(partition: Partition, customers: Sequence[str]) -> None:
    """Give some customers' records a number that is not sent yet: who wrote them counted apart from the owner."""
    table = partition.table
    slots = np.sort(table.index.find(customers))
    slots = slots[slots >= 0]
    if not slots.size:
        return
    said = table.gather(slots)
    for column in (COL.record_seq, COL.change_seq, COL.trigger_seq):
        said[:, column] = np.where(said[:, column] > 0, partition.meta.sent + 1, 0)
    table.scatter(slots, said)


def restore(partition: Partition) -> None:
    """Set positions, watermarks, counters and clock to those of the last flush."""
    meta = partition.meta
    meta.epoch = partition.epoch
    partition.positions = {
        topic: TopicPosition(position.next, position.read, position.watermark_ms, position.letters)
        for topic, position in meta.topics.items()
    }
    partition.reasons = dict(meta.reasons)
    partition.watermarks = Watermarks(
        *(partition.positions[topic].watermark_ms if topic in partition.positions else 0 for topic in SOURCES)
    )
    partition.clock = StreamClock.from_dict(meta.clock, partition.clock.mode) if meta.clock else partition.clock
    # Where nobody flushed yet, when customers were judged is all that is known of it.
    partition.clock.begin(partition.table.column("as_of"))
    partition.table.dirty[:] = False

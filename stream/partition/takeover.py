"""How a partition is taken over: the protocol's A2 to A8 (its A1, the committed offsets, Faust reads afterwards:
the older generation can commit no more).
"""

from __future__ import annotations

import aiokafka
import numpy as np
import structlog
from aiokafka.structs import TopicPartition

from models import rows
from models.apply import Watermarks
from models.batch import SOURCES
from models.clock import StreamClock
from models.columns import COL
from schemas.topics import CHANGELOG
from stream.errors import BrokenChangelog
from stream.partition import publish
from stream.partition.meta import META_KEY, OWNER_KEY, Meta, TopicPosition, UnknownMetaVersion
from stream.partition.partition import SLICE, Partition
from stream.redis_view.view import Claim, Wiped

log = structlog.get_logger(__name__)

READ_MAX_RECORDS = 5_000
"""Changelog records read between two turns of the loop."""


async def take_over(partition: Partition, bootstrap: str) -> None:
    """Become the owner of `partition` and restore its state; on return it may consume from the committed offsets."""
    # A2. Start the producer: on a fencing broker older owners are on notice.
    await partition.writer.start()
    while True:
        # A3. Redis's boot id, before ownership is proved.
        boot = await partition.patiently(partition.view.read_boot)
        # A4. The marker: from here on the broker refuses older owners. Its offset is the epoch.
        partition.epoch = await partition.writer.mark()
        # A5. Read the changelog up to it; the last record of a key wins.
        await read_changelog(partition, bootstrap)
        # A6. Claim Redis; where it is not complete, write everything.
        claim = await partition.patiently(lambda boot=boot: partition.view.claim(boot, partition.epoch))
        if claim != Claim.WIPED:
            break
    if claim == Claim.INCOMPLETE:
        await rebuild(partition)
    # A7. What may not have been sent is sent again, unchanged.
    # A8. Sequence numbers go on from the highest one used.
    partition.seq = await resend(partition)
    partition.meta.sent = partition.seq
    log.info(
        "partition_taken_over",
        partition=partition.number,
        epoch=partition.epoch,
        customers=len(partition.table),
        fenced=partition.writer.fenced,
    )


async def rebuild(partition: Partition) -> None:
    """Write every record; a Redis wiped meanwhile is claimed anew by the partition itself."""
    try:
        await partition.rebuild()
    except Wiped:
        await partition.check_view()


async def read_changelog(partition: Partition, bootstrap: str) -> None:
    """Load rows and the partition's own row up to the marker. Raises BrokenChangelog."""
    source = TopicPartition(CHANGELOG, partition.number)
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=8 << 20, fetch_max_wait_ms=50
    )
    await consumer.start()
    reader = rows.RowReader()
    try:
        consumer.assign([source])
        await consumer.seek_to_beginning(source)
        done = False
        while not done:
            fetched = await consumer.getmany(source, timeout_ms=1_000, max_records=READ_MAX_RECORDS)
            for records in fetched.values():
                done = load(partition, reader, records) or done
    except (rows.UnknownRowVersion, rows.MalformedRow, UnknownMetaVersion) as error:
        raise BrokenChangelog(f"partition {partition.number}: {error}") from error
    finally:
        await consumer.stop()
    restore(partition)


def load(partition: Partition, reader: rows.RowReader, records: list[aiokafka.ConsumerRecord]) -> bool:
    """Load changelog records up to the own marker; return whether it was met."""
    keys, values = [], []
    met = False
    for record in records:
        if record.key == OWNER_KEY:
            met = record.offset >= partition.epoch
            if met:
                break
        elif record.key == META_KEY:
            partition.meta = Meta.decode(record.value)
        elif record.offset > partition.epoch:
            met = True
            break
        else:
            keys.append(record.key)
            values.append(record.value)
    reader.load(partition.table, keys, values)
    return met


def restore(partition: Partition) -> None:
    """Set positions, watermarks, counters and clock to those of the last flush."""
    meta = partition.meta
    partition.positions = {
        topic: TopicPosition(position.next, position.read, position.watermark_ms, position.letters)
        for topic, position in meta.topics.items()
    }
    partition.reasons = dict(meta.reasons)
    partition.watermarks = Watermarks(*(partition.positions[t].watermark_ms if t in partition.positions else 0 for t in SOURCES))
    partition.clock = StreamClock.from_dict(meta.clock, partition.clock.mode) if meta.clock else partition.clock
    partition.table.dirty[:] = False


async def resend(partition: Partition) -> int:
    """Publish what no owner may have sent: rows numbered past `sent`. Returns the highest sequence number."""
    highest = partition.meta.sent
    for start in range(0, len(partition.table), SLICE):
        slots = np.arange(start, min(start + SLICE, len(partition.table)))
        said = partition.table.gather(slots)
        highest = max(highest, int(said[:, COL.record_seq].max(initial=0)))
        unsent = said[:, COL.record_seq] > partition.meta.sent
        if not unsent.any():
            continue
        ids = [partition.table.ids[slot] for slot in slots[unsent]]
        late = said[unsent]
        changed = late[:, COL.change_seq] > partition.meta.sent
        moved_ids = [name for name, is_changed in zip(ids, changed, strict=True) if is_changed]
        if moved_ids:
            await partition.writer.send_changes(publish.changes(moved_ids, late[changed], partition.meta.names))
        await partition.write_view(publish.records(ids, late, partition.meta.names))
        log.info("resent", partition=partition.number, records=len(ids), changes=len(moved_ids))
    return highest

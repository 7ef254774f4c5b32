"""How a partition is taken over: the protocol's A2 to A8.

Its A1, the committed offsets, Faust reads afterwards: the older generation can commit no more.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import structlog

from models.batch import SOURCES
from models.columns import COL
from schemas.topics import CHANGELOG, SEGMENT_CHANGES
from stream.errors import BrokenChangelog, TopicsDiffer
from stream.failpoints import hit
from stream.partition import publish, triggers
from stream.partition.partition import Partition
from stream.partition.recovery import read_changelog
from stream.partition.viewed import SLICE
from stream.redis_view.view import Claim, Wiped

log = structlog.get_logger(__name__)


async def take_over(partition: Partition, bootstrap: str) -> None:
    """Become the owner of `partition` and restore its state; on return it may consume from the committed offsets."""
    # A2. Start the producer: on a fencing broker older owners are on notice.
    await partition.writer.start()
    await check_topics(partition)
    while True:
        # A3. Redis's boot id, before ownership is proved.
        boot = await partition.patiently(partition.view.read_boot)
        # A4. The marker: from here on the broker refuses older owners. Its offset is the epoch.
        partition.epoch = await partition.writer.mark()
        # A5. Read the changelog up to it; the last record of a key wins.
        await read_changelog(partition, bootstrap)
        hit("changelog_read")
        check_partitions(partition)
        # A6. Claim Redis; where it is not complete, write everything.
        claim = await partition.patiently(partial(partition.view.claim, boot, partition.epoch))
        if claim != Claim.WIPED:
            break
    hit("redis_claimed")
    if claim == Claim.INCOMPLETE:
        await rebuild(partition)
    # A7. What may not have been sent is sent again, unchanged.
    # A8. Sequence numbers go on from the highest one used.
    partition.seq = await resend(partition)
    hit("resent")
    partition.meta.sent = partition.seq
    await partition.expect_everybody()
    log.info(
        "partition_taken_over",
        partition=partition.number,
        epoch=partition.epoch,
        customers=len(partition.table),
        fenced=partition.writer.fenced,
    )


async def check_topics(partition: Partition) -> None:
    """Refuse topics that are not cut as the settings say: customers would be looked for where they are not."""
    partitions = partition.shared.settings.partitions
    for topic in (CHANGELOG, *SOURCES, SEGMENT_CHANGES):
        found = await partition.writer.partitions(topic)
        if found != partitions:
            raise TopicsDiffer(
                f"topic {topic} has {found} partitions where the settings say {partitions}",
                action=f"set LIVESEGMENT_PARTITIONS to {found}, or run `livesegment topics check`",
            )


def check_partitions(partition: Partition) -> None:
    """Refuse state of a job with another number of partitions: its customers would be looked for where they are not."""
    before, now = partition.meta.partitions, partition.shared.settings.partitions
    if before not in (0, now):
        raise BrokenChangelog(
            f"partition {partition.number}: its changelog is of a job of {before} partitions, this one has {now}",
            action=f"set LIVESEGMENT_PARTITIONS to {before} again; to grow, replay the events into new topics",
        )
    partition.meta.partitions = now


async def rebuild(partition: Partition) -> None:
    """Write every record; a Redis wiped meanwhile is claimed anew by the partition itself."""
    try:
        await partition.rebuild()
    except Wiped:
        await partition.patiently(partition.check_view)


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
        told = triggers.of(partition.table, slots[said[:, COL.trigger_seq] > partition.meta.sent].tolist())
        if told:
            await partition.writer.send_triggers(told)
        await partition.write_view(publish.records(ids, late, partition.meta.names))
        log.info("resent", partition=partition.number, records=len(ids), changes=len(moved_ids), triggers=len(told))
    partition.table.triggers.clear()
    return highest

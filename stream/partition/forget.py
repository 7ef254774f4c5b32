"""Forgetting a customer everywhere in a partition: row, timers, cart, triggers, Redis record.

What was sent of them is not taken back, nor what waits in the topics: that is for whoever erases a person for good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models import rows
from models.columns import COL
from schemas.redis_keys import segment_key
from stream.partition import publish
from stream.partition.meta import META_KEY

if TYPE_CHECKING:
    from stream.partition.partition import Partition


async def forget(partition: Partition, customer: str) -> bool:
    """Forget `customer`; False where the partition does not know them.

    On return nothing of them is in memory or in Redis, and the changelog says that they are gone: compaction removes
    their rows, and a successor does not load them. Should they come back, they are new.
    """
    async with partition.lock:
        table = partition.table
        slot = table.index.get(customer)
        if slot is None:
            # Forgotten before, perhaps by a worker that ended before Redis heard of it.
            await partition.forget_view([segment_key(customer)])
            return False
        last = np.array([len(table) - 1])
        # The last customer moves into the slot, where a flush or a rebuild under way may have been already.
        moved = [] if slot == last[0] else rows.encode(table, last)
        await partition.writer.write([(META_KEY, partition.meta.encode()), (customer.encode(), None), *moved])
        await partition.forget_view([segment_key(customer)])
        gone = table.forget(slot)
        partition.agenda.forget(slot, gone, partition.now_ms)
        if moved:
            table.dirty[slot] = False
            said = table.gather(np.array([slot]))
            if said[0, COL.rev] > 0:
                await partition.write_view(publish.records([table.ids[slot]], said, partition.meta.names))
        return True

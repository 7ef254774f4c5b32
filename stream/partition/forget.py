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
        # The last customer moves into the slot, where a flush or a rebuild under way may have been already.
        heirs = np.array(table.forget(slot), dtype=np.int64)
        partition.agenda.forget(slot, len(table), partition.now_ms)
        partition.sweep.forget(slot, len(table))
        written = [(META_KEY, partition.meta.encode()), (customer.encode(), None), *rows.encode(table, heirs)]
        await partition.writer.write(written)
        table.dirty[heirs] = False
        await partition.forget_view([segment_key(customer)])
        said = table.gather(heirs)
        known = said[:, COL.rev] > 0
        ids = [table.ids[heir] for heir in heirs[known].tolist()]
        await partition.write_view(publish.records(ids, said[known], partition.meta.names))
        return True

"""Two profiles of one person become one: class A state is that of the union of their events.

`orders` and their decayed counts add up, so an order that both profiles hold counts twice (class B); the newest recent
ids of both are kept. The published part and the next offsets stay those of the target.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models import activity, carts, decay, recent
from models.columns import COL, FADING, POSITION, RING, CustomerTable

_ADDED = [
    POSITION[name] for name in ("events", "duplicates", "late", "custom", "orders", "spend_minor", "refunds_minor")
]


def merge(table: CustomerTable, target: int, other: CustomerTable, source: int) -> None:
    """Add to `target` of `table` all that customer `source` of `other` did; `other` keeps its customer."""
    here, there = np.array([target]), np.array([source])
    mine, theirs = table.gather(here), other.gather(there)
    _merge_rows(mine, theirs)
    last_seen = mine[:, COL.last_seen]
    for ids, others in ((table.recent_events, other.recent_events), (table.recent_orders, other.recent_orders)):
        ids.load(here, recent.merge(ids.gather(here), others.gather(there)), last_seen, 0)
    blob = carts.join(table.carts.blobs.get(target), other.carts.blobs.get(source))
    if blob is not None:
        table.carts.put(target, blob)
        table.settle_carts(here, mine)
    table.scatter(here, mine)
    table.mark_dirty(here)


def _merge_rows(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> None:
    last_seen = np.maximum(mine[:, COL.last_seen], theirs[:, COL.last_seen])
    half_hour = last_seen.astype(np.int64) // activity.HALF_HOUR_MS
    bits, faded = [], []
    for rows in (mine, theirs):
        seen = rows[:, COL.last_seen]
        moved = decay.cell(last_seen) - decay.cell(seen)
        faded.append([decay.rebase(rows[:, columns], moved, half_life) for half_life, columns in FADING.items()])
        steps = half_hour - seen.astype(np.int64) // activity.HALF_HOUR_MS
        bits.append(activity.shift(rows.view(np.uint64)[:, RING], steps))
    for (_, columns), left, right in zip(FADING.items(), *faded, strict=True):
        mine[:, columns] = left + right
    words = mine.view(np.uint64)
    words[:, RING] = bits[0] | bits[1]
    words[:, COL.products] |= theirs.view(np.uint64)[:, COL.products]
    mine[:, _ADDED] += theirs[:, _ADDED]
    mine[:, COL.first_seen] = np.minimum(mine[:, COL.first_seen], theirs[:, COL.first_seen])
    mine[:, COL.last_order_at] = np.maximum(mine[:, COL.last_order_at], theirs[:, COL.last_order_at])
    mine[:, COL.last_seen] = last_seen

"""Two profiles of one person become one: class A state is that of the union of their events.

`orders` and their decayed counts add up, so an order that both profiles hold counts twice (class B); the newest recent
ids of both are kept. The published part and the next offsets stay those of the target.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models import activity, affinity, carts, decay, recent
from models.columns import COL, HALF_LIFE_DAYS, POSITION, RING, CustomerTable

_COUNTS = (
    *("events", "duplicates", "late", "custom", "orders", "spend_minor", "refunds_minor"),
    *("night_weekend", "discount_minor"),
)
_ADDED = [
    *(POSITION[name] for name in _COUNTS),
    *np.flatnonzero(HALF_LIFE_DAYS).tolist(),
]
_UNITED = [*range(COL.ring0, COL.ring5 + 1), COL.products]


def merge(table: CustomerTable, target: int, other: CustomerTable, source: int) -> None:
    """Add to `target` of `table` all that customer `source` of `other` did; `other` keeps its customer."""
    here, there = np.array([target]), np.array([source])
    mine, theirs = table.gather(here), other.gather(there)
    _merge_rows(mine[0], theirs[0])
    last_seen = mine[:, COL.last_seen]
    for ids, others in ((table.recent_events, other.recent_events), (table.recent_orders, other.recent_orders)):
        ids.load(here, recent.merge(ids.gather(here), others.gather(there)), last_seen, 0)
    blob = carts.join(table.carts.blobs.get(target), other.carts.blobs.get(source))
    if blob is not None:
        table.carts.put(target, blob)
        table.settle_carts(here, mine)
    for category in other.categories.held.get(source, ()):
        table.categories.bring(target, category, other.categories.names[category])
    table.scatter(here, mine)
    table.mark_dirty(here)


def _merge_rows(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> None:
    """Add one customer's row to another's, both (WIDTH,), in place."""
    last_seen = max(mine[COL.last_seen], theirs[COL.last_seen])
    for row in (mine, theirs):
        seen = row[COL.last_seen]
        moved = decay.cell(last_seen) - decay.cell(seen)
        for column in np.flatnonzero(HALF_LIFE_DAYS):
            row[column] = decay.rebase(row[column], moved, HALF_LIFE_DAYS[column])
        half_hours = last_seen // activity.HALF_HOUR_MS - seen // activity.HALF_HOUR_MS
        activity.shift(row.view(np.uint64)[RING], int(half_hours))
    mine[_ADDED] += theirs[_ADDED]
    ours, others = mine.view(np.uint64), theirs.view(np.uint64)
    ours[_UNITED] |= others[_UNITED]
    ours[COL.category_labels] = affinity.united(ours[COL.category_labels], others[COL.category_labels])
    mine[COL.first_seen] = min(mine[COL.first_seen], theirs[COL.first_seen])
    first_orders = [row[COL.first_order_at] for row in (mine, theirs) if row[COL.first_order_at] > 0]
    mine[COL.first_order_at] = min(first_orders, default=0.0)
    mine[COL.last_order_at] = max(mine[COL.last_order_at], theirs[COL.last_order_at])
    mine[COL.last_seen] = last_seen

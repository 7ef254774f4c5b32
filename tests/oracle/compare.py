"""Put histories through both the models and the oracle, and say where they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from models import features
from models.apply import Applied, Watermarks, apply
from models.catalogue import FEATURES
from models.columns import CustomerTable
from tests.oracle.histories import batch_of
from tests.oracle.shop import Event, Shop


def right_key(customer: str, key: bytes | None) -> bool:
    return key is None or key == customer.encode()


class Run:
    """A table that batches are applied to, with the totals of what `apply` reported."""

    def __init__(self) -> None:
        self.table = CustomerTable()
        self.watermarks = Watermarks()
        self.totals: dict[str, int] = {}

    def apply(self, events: Sequence[Event]) -> Applied:
        applied = apply(self.table, batch_of(events), self.watermarks, right_key)
        self.watermarks = applied.watermarks
        counts = {
            "applied": applied.applied,
            "replayed": applied.replayed,
            "refused": len(applied.refused),
            "late": applied.late,
            "custom": applied.custom,
            "event_repeat": applied.reasons.get("event_repeat", 0),
            "order_repeat": applied.reasons.get("order_repeat", 0),
        }
        assert applied.duplicates == counts["event_repeat"] + counts["order_repeat"]
        assert len(applied.positions) == applied.applied
        assert len(events) == applied.applied + applied.duplicates + applied.replayed + len(applied.refused)
        assert np.array_equal(applied.rows.view(np.uint64), self.table.gather(applied.touched).view(np.uint64))
        for name, count in counts.items():
            self.totals[name] = self.totals.get(name, 0) + count
        return applied

    def describe(self, now: int) -> dict[str, dict[str, float]]:
        return {name: features.describe(self.table, slot, now) for slot, name in enumerate(self.table.ids)}


def applied(batches: Iterable[Sequence[Event]]) -> Run:
    run = Run()
    for batch in batches:
        run.apply(batch)
    return run


def judged(history: Iterable[Event]) -> Shop:
    shop = Shop()
    for event in history:
        shop.take(event)
    return shop


def close(left: float, right: float, size: float = 0.0) -> bool:
    """Equal within 1e-9 of the sum of absolute terms.

    What is over a thousand half-lives older than the latest event weighs 0 in a float: it may be gone.
    """
    return math.isfinite(left) and abs(left - right) <= 1e-9 * max(abs(left), abs(right), size) + 1e-120


def differences(run: Run, shop: Shop, now: int) -> list[str]:
    """Every feature of every customer, and every total, that the two do not agree on."""
    found = [] if sorted(run.table.ids) == sorted(shop.customers) else ["customers"]
    for name, customer in shop.customers.items():
        ours = features.describe(run.table, run.table.ids.index(name), now)
        theirs, sizes = customer.features(now), customer.sizes(now)
        assert set(ours) == set(theirs) == set(FEATURES)
        found += [
            f"{name}.{key}: {ours[key]} is not {theirs[key]}"
            for key in theirs
            if not close(ours[key], float(theirs[key]), sizes.get(key, 0.0))
        ]
        row = run.table.gather(np.array([run.table.ids.index(name)]))[0]
        if [row[41], row[42]] != customer.next_offset:
            found.append(f"{name}: next offsets {row[41:43]} are not {customer.next_offset}")
    counts = vars(shop.counts)
    found += [
        f"{key}: {run.totals.get(key, 0)} is not {count}"
        for key, count in counts.items()
        if run.totals.get(key, 0) != count
    ]
    if list(run.watermarks) != shop.watermark:
        found.append(f"watermarks {run.watermarks} are not {shop.watermark}")
    return found


def unlike(left: Run, right: Run, now: int, names: Iterable[str], slack: float = 0.0) -> list[str]:
    """Features among `names` in which two tables differ; `slack` is the size of terms that may cancel."""
    ours, theirs = left.describe(now), right.describe(now)
    assert set(ours) == set(theirs)
    return [
        f"{customer}.{name}: {ours[customer][name]} is not {theirs[customer][name]}"
        for customer in ours
        for name in names
        if not close(ours[customer][name], theirs[customer][name], slack if name.startswith("spend_hl") else 0.0)
    ]

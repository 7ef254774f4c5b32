"""What must hold: at every moment for whoever reads Redis or the changes, and at rest for everything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from models import features
from models.columns import COL
from schemas.redis_keys import partition_key
from schemas.topics import SEGMENT_CHANGES
from stream.partition import publish
from stream.partition.partition import Partition
from tests.oracle.shop import DAY, Shop
from tests.simulation.broker import Payload
from tests.simulation.traffic import START_MS

AT_REST_MS = START_MS + 5 * DAY
VERSIONED = (b"segment", b"since", b"name")
"""Fields that belong to one `ver`; the whole record belongs to one `rev`."""


class Violation(AssertionError):  # noqa: N818 (says what it is)
    """The protocol does not hold what it promises."""


class RedisReader:
    """Reads every record at every moment, as a website would, and remembers it for ever."""

    def __init__(self) -> None:
        self._last: dict[bytes, tuple[int, int]] = {}
        self._said: dict[tuple[bytes, str, int], dict[bytes, bytes]] = {}
        self.reads = 0

    def see(self, key: bytes, stored: dict[bytes, bytes]) -> None:
        """Look at a record that was just written. Raises Violation."""
        if not key.startswith(b"segment:"):
            return
        self.reads += 1
        ver, rev = int(stored[b"ver"]), int(stored[b"rev"])
        last_ver, last_rev = self._last.get(key, (0, 0))
        if ver < last_ver or rev < last_rev:
            raise Violation(f"Redis: {key!r} falls from ver {last_ver} rev {last_rev} to ver {ver} rev {rev}")
        self._last[key] = ver, rev
        self._one(key, "rev", rev, dict(stored))
        self._one(key, "ver", ver, {name: stored[name] for name in VERSIONED})

    def _one(self, key: bytes, what: str, number: int, content: dict[bytes, bytes]) -> None:
        known = self._said.setdefault((key, what, number), content)
        if known != content:
            raise Violation(f"Redis: {key!r} has two contents under {what} {number}: {known} and {content}")


class Subscriber:
    """Reads segment-changes from the beginning, as the protocol tells a subscriber to."""

    def __init__(self) -> None:
        self.last: dict[str, dict[str, Any]] = {}
        self._said: dict[tuple[str, int], bytes] = {}
        self.repeats = 0

    @property
    def distinct(self) -> int:
        """How many changes there were."""
        return len(self._said)

    def read(self, topic: str, _partition: int, _offset: int, payloads: Sequence[Payload], _by: str) -> None:
        """Take what was appended to a log. Raises Violation."""
        if topic == SEGMENT_CHANGES:
            for _, value, _ in payloads:
                assert value is not None
                self._take(value)

    def _take(self, value: bytes) -> None:
        change = orjson.loads(value)
        customer, ver = change["customer_id"], change["ver"]
        known = self._said.setdefault((customer, ver), value)
        if known != value:
            raise Violation(f"changes: {customer} has two contents under ver {ver}: {known!r} and {value!r}")
        before = self.last.get(customer)
        if ver <= (before["ver"] if before else 0):
            self.repeats += 1
            return
        if ver != (before["ver"] if before else 0) + 1:
            raise Violation(f"changes: {customer} has a gap between {before} and {change}")
        if change["previous"] != (before["current"] if before else None):
            raise Violation(f"changes: {customer} breaks the link between {before} and {change}")
        self.last[customer] = change


def at_rest(world: Any, partition: Partition) -> list[str]:
    """Compare a partition whose owner is idle with the oracle, Redis and the changes; returns what differs."""
    shop, letters = oracle(world, partition.number)
    table = partition.table
    found = []
    if sorted(table.ids) != sorted(shop.customers):
        found.append(f"customers {sorted(table.ids)} are not {sorted(shop.customers)}")
    rows = table.gather(np.arange(len(table)))
    for slot, name in enumerate(table.ids):
        if name in shop.customers:
            found += _columns(partition, slot, shop.customers[name], rows[slot])
        found += _said(world, name, rows[slot])
    for record in publish.records(table.ids, rows, partition.meta.names):
        key, rest = str(record[0]), [str(value).encode() for value in record[2:]]
        stored = world.redis.hashes.get(key.encode())
        if stored != dict(zip(rest[::2], rest[1::2], strict=True)):
            found.append(f"Redis: {key} is {stored}, the state says {rest}")
    claim = world.redis.hashes.get(partition_key(partition.number).encode(), {})
    if claim.get(b"complete") != b"1" or claim.get(b"epoch") != str(partition.epoch).encode():
        found.append(f"Redis: the claim of partition {partition.number} is {claim}, its epoch {partition.epoch}")
    return found + _counted(world, partition, shop, letters)


def oracle(world: Any, number: int) -> tuple[Shop, int]:
    """What one partition's logs mean, and how many of their records are dead letters."""
    shop, letters = Shop(), 0
    for event in world.history(number):
        if event is None or not shop.take(event):
            letters += 1
    return shop, letters


def _columns(partition: Partition, slot: int, customer: Any, row: Any) -> list[str]:
    name = partition.table.ids[slot]
    ours = features.describe(partition.table, slot, AT_REST_MS)
    theirs, sizes = customer.features(AT_REST_MS), customer.sizes(AT_REST_MS)
    found = [
        f"{name}.{key}: {ours[key]} is not {theirs[key]}"
        for key in theirs
        if not _close(ours[key], float(theirs[key]), sizes.get(key, 0.0))
    ]
    following = [int(row[COL.next_clickstream]), int(row[COL.next_purchases])]
    if following != customer.next_offset:
        found.append(f"{name}: next offsets {following} are not {customer.next_offset}")
    return found


def _close(left: float, right: float, size: float) -> bool:
    """Equal within semantics' bound: 1e-9 of the sum of absolute terms."""
    return math.isfinite(left) and abs(left - right) <= 1e-9 * max(abs(left), abs(right), size) + 1e-120


def _said(world: Any, name: str, row: Any) -> list[str]:
    change = world.subscriber.last.get(name)
    ours = (int(row[COL.ver]), int(row[COL.segment]))
    theirs = (change["ver"], change["current"]) if change else (0, -1)
    return [] if ours == theirs else [f"{name}: the last change says {theirs} (ver, segment), the state {ours}"]


def _counted(world: Any, partition: Partition, shop: Shop, letters: int) -> list[str]:
    """Each input offset ends as exactly one of applied, duplicate and dead letter."""
    table = partition.table
    counts = {
        "read": sum(position.read for position in partition.positions.values()),
        "letters": sum(position.letters for position in partition.positions.values()),
        "reasons": sum(partition.reasons.values()),
        "events": int(table.column("events").sum()),
        "duplicates": int(table.column("duplicates").sum()),
    }
    expected = {
        "read": sum(world.ends(partition.number).values()),
        "letters": letters,
        "reasons": letters,
        "events": shop.counts.applied,
        "duplicates": shop.counts.event_repeat + shop.counts.order_repeat,
    }
    return [f"{name} counted {counts[name]}, not {expected[name]}" for name in counts if counts[name] != expected[name]]

"""Where the time goes: the stages of a group of events without a broker, in one thread."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from models import features, rows
from models.apply import Watermarks, apply
from models.columns import CustomerTable
from stream import shoppers
from stream.decode import Decoder, Portion
from stream.partition import publish
from stream.runtime import settle

EVENTS = 400_000
CUSTOMERS = 20_000
SIZES = (5_000, 50)
"""Events of a group: a backlog's, a live one's."""
NOW_MS = 1_900_000_000_000


@dataclass(frozen=True, slots=True)
class Raw:
    """A record as the decoder reads it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def measure(_broker: str) -> Iterator[dict[str, Any]]:
    """One line for each stage and group size; no broker takes part."""
    config = shoppers.Config(customers=CUSTOMERS, events=EVENTS)
    records = [
        Raw(offset, 0, key, value)
        for chunk in shoppers.generate(config, np.random.default_rng(1))
        for offset, (key, value, _, _) in enumerate(chunk.clickstream)
    ]
    records = [Raw(offset, 0, record.key, record.value) for offset, record in enumerate(records)]
    settle()
    for size in SIZES:
        some = records if size == SIZES[0] else records[: EVENTS // 20]
        spent, groups = _run(some, size)
        for stage, seconds in spent.items():
            yield {
                "stage": f"stages/{stage}",
                "events": len(some),
                "group": size,
                "cpu_us_per_event": round(seconds / len(some) * 1e6, 3),
                "cpu_us_per_group": round(seconds / groups * 1e6, 1),
            }


def _run(records: list[Raw], size: int) -> tuple[dict[str, float], int]:
    decoder = Decoder(currency="USD", currency_digits=2)
    table, watermarks = CustomerTable(), Watermarks()
    spent: dict[str, float] = defaultdict(float)
    groups = 0
    clock = time.thread_time
    for start in range(0, len(records), size):
        group = records[start : start + size]
        groups += 1
        at = clock()
        decoded = decoder.decode([Portion(0, 0, group)], NOW_MS)[0]
        now = clock()
        spent["decode"] += now - at
        applied = apply(table, decoded.batch, watermarks, lambda _customer, _key: True)
        watermarks = applied.watermarks
        at = clock()
        spent["apply"] += at - now
        features.of_rows(applied.rows, int(decoded.batch.time_ms.max()))
        now = clock()
        spent["features"] += now - at
        # About one touched customer in ten has a record to publish.
        some = applied.touched[::10]
        rows.encode(table, some)
        at = clock()
        spent["rows"] += at - now
        publish.records([table.ids[slot] for slot in some], applied.rows[::10], [""])
        spent["records"] += clock() - at
    return spent, groups

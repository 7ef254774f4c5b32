"""What must hold for a whole job, whatever happened to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from schemas.record import SegmentRecord
from stream.partition import publish
from tests.kit.job import FEATURE_COLUMNS, Job

Row = NDArray[np.float64]


def expect_same_features(found: Mapping[str, Row], expected: Mapping[str, Row]) -> None:
    """The same customers with the same features, bit for bit."""
    assert found.keys() == expected.keys()
    places = list(FEATURE_COLUMNS)
    for customer, row in found.items():
        np.testing.assert_array_equal(row[places].view(np.uint64), expected[customer][places].view(np.uint64))


def expect_records_equal_state(job: Job) -> int:
    """Every customer's Redis record says what its row says; returns how many there are."""
    found = 0
    for partition in job.state().partitions:
        table = partition.table
        rows = table.gather(np.arange(len(table)))
        for record in publish.records(table.ids, rows, partition.meta.names):
            key, _, *fields = record
            stored = job.redis.hgetall(str(key))
            assert stored == dict(zip(fields[::2], fields[1::2], strict=True))
            SegmentRecord.from_hash(stored)
            found += 1
    return found


def expect_gapless_versions(job: Job) -> int:
    """Each customer's changes count from 1 without a gap, each starts where the one before ended, repeats are exact."""
    seen: dict[str, list[dict[str, object]]] = defaultdict(list)
    for change in job.changes():
        mine = seen[str(change["customer_id"])]
        if change["ver"] <= len(mine):
            assert change == mine[change["ver"] - 1]
            continue
        assert change["ver"] == len(mine) + 1
        assert change["previous"] == (mine[-1]["current"] if mine else None)
        mine.append(change)
    return sum(len(mine) for mine in seen.values())

"""What must hold for a whole job, whatever happened to it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.record import SegmentRecord
from schemas.redis_keys import segment_key
from stream.evaluate.names import CLAIMED
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


def expect_segments_are_told(job: Job, customers: list[str], livesegment: Callable[..., str]) -> list[int]:
    """`livesegment segments` says of each segment whom Redis has in it, and why; returns their ids."""
    sizes = Counter(int(job.redis.hget(segment_key(customer), "segment")) for customer in customers)
    found = json.loads(livesegment("segments", "--json"))["segments"]
    assert {segment["id"]: segment["size"] for segment in found} == sizes
    assert sum(segment["share"] for segment in found) == pytest.approx(1.0, abs=1e-5)
    cards = livesegment("segments").split("\n\n")
    for segment, card in zip(found, cards, strict=True):
        head, sentence, *contrasts = card.splitlines()
        assert head.split() == [
            f"{segment['share']:.1%}",
            f"{segment['size']:,}",
            *segment["name"].split(),
            f"({segment['id']})",
        ]
        assert sentence.strip() == segment["sentence"]
        assert [line.strip() for line in contrasts] == [
            f"{each['z']:+.1f} sd  {each['words']}" for each in segment["contrasts"]
        ]
        assert all(abs(each["z"]) >= CLAIMED and each["words"] in sentence for each in segment["contrasts"])
    assert any(segment["contrasts"] for segment in found)
    return [segment["id"] for segment in found]


def expect_customer_is_explained(job: Job, customer: str, ids: list[int], livesegment: Callable[..., str]) -> None:
    """`livesegment explain` says what Redis says of a customer, and why that segment and no other."""
    found = json.loads(livesegment("explain", customer, "--json"))
    record = SegmentRecord.from_hash(job.redis.hgetall(segment_key(customer)))
    assert found["customer_id"] == customer
    for name in ("segment", "since", "confidence", "lifecycle", "rfm"):
        assert found[name] == getattr(record, name)
    assert found["runner_up"]["id"] in {*ids} - {found["compared"]}
    pulled = sum(each["pull"] for each in found["contributions"])
    assert pulled == pytest.approx(found["runner_up_distance"] ** 2 - found["distance"] ** 2, abs=1e-2)
    text = livesegment("explain", customer)
    assert text.startswith(f"{customer}: {found['name']} ({found['segment']}) since ")
    assert f"next        {found['runner_up']['name']} ({found['runner_up']['id']}), " in text
    strongest = max(found["contributions"], key=lambda each: each["pull"])
    assert f"speaks for it\n  {strongest['share']:4.0%}  {strongest['words']}\n" in text
    assert found["rfm"] is None or f"RFM         {found['rfm']}, {found['rfm_group']}\n" in text

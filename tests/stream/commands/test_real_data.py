"""Real shops' events through a fresh `livesegment up`: every row counts once, money is exact, Redis says the state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from stream.changelog_reader import read_state
from stream.partition import publish
from stream.settings import Settings, load

pytestmark = [pytest.mark.acceptance, pytest.mark.data, pytest.mark.timeout(900)]

EXPECTED: dict[str, dict[str, Any]] = {
    "taobao2017_clickstream": {"rows": 96_168, "customers": 58_732},
    "rees46_2019oct01_clickstream": {"rows": 17_434, "customers": 4_504},
    "synthetic_retentioneering_ecom": {"rows": 31_106, "customers": 600},
    "cdnow_purchases": {"rows": 69_659, "customers": 23_570, "orders": 69_659, "revenue_minor": 250_031_563},
    "uci_online_retail_purchases": {
        "rows": 541_909,
        "customers": 4_372,
        "missing_customer": 135_080,
        "orders": 18_532,
        "revenue_minor": 891_140_790,
        "refunds_minor": 61_134_209,
    },
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_shops_history_at_full_speed_is_counted_to_the_last_row(
    name: str, data_dir: Path, start_up: Any, livesegment: Any
) -> None:
    expected = EXPECTED[name]
    up = start_up("--no-simulate", "--clock", "event")
    up.wait_until_ready()
    replayed = livesegment("replay", data_dir / f"{name}.parquet", "--wait", "--json", "--data-dir", up.data_dir).json
    assert replayed["rows"] == expected["rows"]

    status = livesegment("status", "--json", "--data-dir", up.data_dir).json
    events, letters = status["events"], status["dead_letters"]
    assert events["read"] == expected["rows"]
    assert events["applied"] + events["duplicates"] + events["dead_letters"] == expected["rows"]
    assert status["customers"] == expected["customers"]
    assert letters == ({"missing_customer": expected["missing_customer"]} if "missing_customer" in expected else {})
    for total in ("orders", "revenue_minor", "refunds_minor"):
        if total in expected:
            assert status["totals"][total] == expected[total]

    settings = load(data_dir=up.data_dir)
    assert expect_redis_follows_state(settings) == expected["customers"]
    assert up.end(15).code == 0


def expect_redis_follows_state(settings: Settings) -> int:
    """Every customer's record, read before and after the state, says what the state says; how many there are.

    Models still move customers meanwhile. Whoever did not move has the same record before, in the state and after;
    whoever did lies between the two, and under one `rev` there is one content.
    """
    client = redis.Redis.from_url(settings.redis_url, decode_responses=True)

    def stored() -> dict[str, dict[str, str]]:
        keys = list(client.scan_iter("segment:*", count=5_000))
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.hgetall(key)
        return dict(zip(keys, pipe.execute(), strict=True))

    before = stored()
    said: dict[str, dict[str, str]] = {}
    for partition in read_state(settings).partitions:
        rows = partition.table.gather(np.arange(len(partition.table)))
        for key, _, *fields in publish.records(partition.table.ids, rows, partition.meta.names):
            said[str(key)] = dict(zip(map(str, fields[::2]), map(str, fields[1::2]), strict=True))
    after = stored()
    client.close()
    assert before.keys() == said.keys() == after.keys()
    for key, record in said.items():
        assert int(before[key]["rev"]) <= int(record["rev"]) <= int(after[key]["rev"])
        for other in (before[key], after[key]):
            if other["rev"] == record["rev"]:
                assert other == record
    return len(said)

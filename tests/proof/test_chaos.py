"""CI's share of the proof: one short chaos run on Apache Kafka, judged whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.embedded.kafka import jars
from stream.errors import EmbeddedFailed
from tests.proof.chaos import Plan, run
from tests.proof.house import debian_redis

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

KINDS = (
    *("kill", "kill_all", "stall", "term"),
    *("broker_restart", "broker_kill", "compaction"),
    *("flushall", "script_flush", "maxmemory", "readonly", "clients_killed", "redis_restart"),
    *("kafka_reset", "kafka_half_open", "kafka_mute", "kafka_slicer", "redis_reset", "redis_silence", "redis_mute"),
    *("corrupt_model", "future_model", "swapped_model", "schemas", "future_times", "clock_jump"),
)
"""The quick ones of each kind; `make prove` has all of them many times."""


def test_nothing_is_lost_or_doubled_under_twenty_kinds_of_fault(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        jars()
    except EmbeddedFailed as error:
        pytest.skip(str(error))
    plan = Plan(
        seed=20,
        minutes=0.0,
        faults=KINDS,
        least_faults=len(KINDS),
        pauses=5,
        rate_per_s=900,
        least_events=200_000,
        # The other tests of this folder have the embedded Valkey.
        redis="debian" if debian_redis() else "valkey",
    )
    result = run(plan, tmp_path)
    said = capfd.readouterr().err
    assert result.verdict == "exact", said
    assert (result.lost, result.doubled, result.redis_regressions, result.version_gaps) == (0, 0, 0, 0)
    assert result.events >= 200_000
    assert set(KINDS) | {"pause"} <= result.made.keys()
    assert result.made["pause"] >= 5
    assert result.zombie_writes_refused > 0, "no paused worker tried to write: nothing was proved about zombies"
    assert result.detail["watched"]["moves"] > 1_000

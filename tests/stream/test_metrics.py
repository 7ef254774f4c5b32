"""What a worker counts between two rounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from models.apply import Applied, Watermarks
from models.judge import Judged
from stream import metrics as module
from stream.decode import Decoded, Decoder, Portion
from stream.metrics import CUSTOM_NAMES, LATENCY_SAMPLES, Metrics
from tests.stream.partition.kit import START_MS, arrived, views

NOTHING = np.empty(0, dtype=np.int64)


def decoded(custom: str | None = None) -> Decoded:
    decoder = Decoder(currency="USD", currency_digits=2, unknown_events="activity", future_tolerance_s=300)
    found = decoder.decode([Portion(0, 0, list(views(0, ["c1"]).value))], START_MS)[0]
    return found if custom is None else replace(found, custom=Counter({custom: 2}))


def applied(refused: list[int] | None = None) -> Applied:
    return Applied(
        touched=NOTHING,
        rows=np.empty((0, 0)),
        positions=NOTHING,
        applied=5,
        duplicates=2,
        late=1,
        custom=0,
        replayed=3,
        refused=refused or [],
        cart_touched=NOTHING,
        watermarks=Watermarks(),
        reasons={},
    )


def observe(metrics: Metrics, found: Decoded | None = None, records: int = 1) -> None:
    judged = Judged(np.arange(4), np.arange(2), 4)
    metrics.observe([arrived(0, range(records))], found or decoded(), [(applied([0]), judged)])


def test_a_group_is_counted_by_what_became_of_its_events() -> None:
    metrics = Metrics()
    observe(metrics)
    observe(metrics)
    counted = {name: metrics.counters[name] for name in ("groups", "events_applied", "duplicates", "late", "replayed")}
    assert counted == {"groups": 2, "events_applied": 10, "duplicates": 4, "late": 2, "replayed": 6}
    assert metrics.counters["dead_letters"] == 2
    assert (metrics.counters["records_published"], metrics.counters["changes"]) == (8, 4)


def test_names_of_custom_events_are_limited() -> None:
    metrics = Metrics()
    for number in range(CUSTOM_NAMES + 20):
        observe(metrics, decoded(f"custom_{number}"))
    assert len(metrics.custom) == CUSTOM_NAMES + 1
    assert metrics.custom["(other)"] == 40


def test_latencies_are_those_since_the_last_round() -> None:
    metrics = Metrics()
    assert metrics.latencies_ms() is None
    observe(metrics)
    found = metrics.latencies_ms()
    assert found is not None
    assert 0 < found[0] <= found[1]
    assert metrics.latencies_ms() is None


def test_latencies_of_a_large_batch_are_sampled_and_their_number_is_limited() -> None:
    metrics = Metrics()
    for _ in range(LATENCY_SAMPLES // module.PER_BATCH + 10):
        observe(metrics, records=1_000)
    assert len(metrics._latencies_ms) == LATENCY_SAMPLES

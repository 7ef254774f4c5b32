"""Silence on CDNOW: who moves because time passes, when and where to, against an oracle that looks at every day."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from models.catalogue import MODEL_FEATURES
from models.learner.seeding import seed
from schemas.kinds import Kind
from schemas.snapshot import ModelSnapshot, Segment
from schemas.topics import PURCHASES
from stream.embedded.redis import url
from stream.embedded.server import Server
from stream.partitioner import partition_of
from tests.kit.job import Job
from tests.kit.snapshots import make_snapshot
from tests.oracle.histories import spread
from tests.oracle.shop import DAY, Customer, Event

pytestmark = [pytest.mark.broker, pytest.mark.timeout(900)]

PARTITIONS = 2
ONE_IN = (40, pytest.param(1, marks=pytest.mark.acceptance))
"""The shares of the file's customers who are replayed."""
LOOKED_AT = 100, 600
"""How many of a tenth, and of all, are looked at by the oracle, which is slow."""
SAMPLED = 1_000
"""Customers whom the model is made of."""
CLUSTERS = 6


@dataclass(frozen=True, slots=True)
class Move:
    """A change with reason `time`."""

    at: int
    previous: int
    current: int


def orders(path: Path, one_in: int) -> list[Event]:
    """Every line of the file, of one customer in so many, as an order of its own, in order of time."""
    found = []
    for number, row in enumerate(pq.read_table(path).to_pylist()):
        if spread(int(row["customer_id"])) % one_in:
            continue
        time, amount = round(row["event_time"].timestamp() * 1000), round(row["amount"] * 100)
        found.append(
            Event(
                row["customer_id"],
                time,
                Kind.PURCHASE,
                spread(number),
                source=1,
                order=spread(number),
                amount=amount,
                opens_order=True,
            )
        )
    return sorted(found, key=lambda event: event.time)


def record(event: Event) -> tuple[bytes, bytes]:
    fields = {
        "event_id": f"{event.id}",
        "event_type": "purchase",
        "customer_id": event.customer,
        "event_time": event.time,
        "order_id": f"o{event.order}",
        "value": event.amount / 100,
    }
    return event.customer.encode(), orjson.dumps(fields)


class Oracle:
    """Where a customer belongs: the nearest centroid, by definitions and one customer at a time."""

    def __init__(self, snapshot: ModelSnapshot) -> None:
        self._model = snapshot

    def segment(self, events: list[Event], now: int) -> int:
        """Id of the segment of somebody to whom these events happened."""
        return self._distances(events, now)[0][1]

    def lead(self, events: list[Event], now: int) -> float:
        """How much farther the second nearest is, as a share."""
        (nearest, _), (second, _) = self._distances(events, now)[:2]
        return (second - nearest) / max(second, 1e-12)

    def moves(self, events: list[Event], days: list[int]) -> tuple[list[Move], int]:
        """What silence does to a customer on the days on which the clock stands; and the segment at the end."""
        found, held, known = [], 0, 0
        for day in days:
            if day < events[0].time:
                continue
            if known:
                now_at = self.segment(events[:known], day)
                if now_at != held:
                    found.append(Move(day, held, now_at))
                    held = now_at
            before = known
            while known < len(events) and events[known].time <= day:
                known += 1
            if known > before:
                held = self.segment(events[:known], day)
        return found, held

    def _distances(self, events: list[Event], now: int) -> list[tuple[float, int]]:
        model = self._model
        said = Customer([*(event for event in events)]).features(now)
        place = [
            max(-model.clip, min(model.clip, (math.log1p(max(0.0, said[name])) - mean) / scale))
            for name, mean, scale in zip(model.features, model.mean, model.scale, strict=True)
        ]
        return sorted((math.dist(place, segment.centroid), segment.id) for segment in model.centroids)


@pytest.mark.parametrize("one_in", ONE_IN)
def test_every_move_of_silence_is_made_on_the_day_on_which_the_oracle_sees_it(  # noqa: PLR0917 (fixtures)
    start_broker: Callable[[], Server],
    start_redis: Callable[[], Server],
    tmp_path: Path,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    one_in: int,
) -> None:
    monkeypatch.setenv("LIVESEGMENT_PARTITIONS", str(PARTITIONS))
    events = orders(data_dir / "cdnow_purchases.parquet", one_in)
    by_customer: dict[str, list[Event]] = defaultdict(list)
    days: dict[int, set[int]] = defaultdict(set)
    place_of = {name: partition_of("murmur2", name.encode(), PARTITIONS) for name in {e.customer for e in events}}
    for event in events:
        by_customer[event.customer].append(event)
        days[place_of[event.customer]].add(event.time)
    snapshot = learnt(by_customer, events[len(events) // 2].time)
    model_file = tmp_path / "model.json"
    model_file.write_text(snapshot.model_dump_json(), encoding="utf-8")
    environment = {"LIVESEGMENT_MARGIN": "0", "LIVESEGMENT_DWELL_S": "0", "LIVESEGMENT_REPLAY_STEP_S": "86400"}
    with Job(start_broker().address, url(start_redis()), tmp_path, **environment) as job:
        job.start_worker("--model", str(model_file))
        job.send({PURCHASES: map(record, events)})
        job.wait()
        changes = job.changes()
    told: dict[str, list[Move]] = defaultdict(list)
    last: dict[str, int] = {}
    for change in {each["id"]: each for each in changes}.values():
        last[change["customer_id"]] = change["current"]
        if change["reason"] == "time":
            told[change["customer_id"]].append(Move(change["event_time"], change["previous"], change["current"]))
    oracle = Oracle(snapshot)
    expected, differ = 0, []
    looked_at = LOOKED_AT[one_in == 1]
    for name in sorted(by_customer)[:: len(by_customer) // looked_at]:
        moves, held = oracle.moves(by_customer[name], sorted(days[place_of[name]]))
        expected += len(moves)
        if (told[name], last[name]) != (moves, held) and not list(close(oracle, by_customer[name], moves, told[name])):
            differ.append(f"{name}: {told[name]} {last[name]}, the oracle says {moves} {held}")
    assert differ == [], "\n".join(differ)
    # Else nothing was proved.
    assert expected > looked_at


def close(oracle: Oracle, events: list[Event], left: list[Move], right: list[Move]) -> Iterator[Move]:
    """Moves that only one side has, at a moment when two centroids are equally near but for rounding."""
    for move in set(left) ^ set(right):
        known = [event for event in events if event.time < move.at]
        if oracle.lead(known, move.at) < 1e-5 or oracle.lead(known, move.at - DAY) < 1e-5:
            yield move


def learnt(by_customer: dict[str, list[Event]], now: int) -> ModelSnapshot:
    """A model of the customers of a moment."""
    seen = [known for events in by_customer.values() if (known := [e for e in events if e.time <= now])]
    some = seen[:: max(1, len(seen) // SAMPLED)]
    vectors = np.array([[Customer(events).features(now)[name] for name in MODEL_FEATURES] for events in some])
    found = seed(vectors, CLUSTERS, np.random.default_rng(1))
    segments = [
        Segment(
            id=1 + at,
            name=f"segment {1 + at}",
            words=[],
            share=1.0 / found.k,
            size_sampled=1,
            centroid=centroid,
            weight=1.0,
        )
        for at, centroid in enumerate(found.centroids.tolist())
    ]
    return make_snapshot(1).model_copy(
        update={
            "k": found.k,
            "mean": found.transform.mean.tolist(),
            "scale": found.transform.scale.tolist(),
            "clip": found.transform.clip,
            "centroids": segments,
            "next_id": found.k + 1,
            "lineage": {str(segment.id): segment.name for segment in segments},
        }
    )

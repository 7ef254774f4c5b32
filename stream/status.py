"""How the whole job stands, and what is known of one customer: from durable state, without asking a worker.

Counts come from the changelog (features and counters of every partition), lag from the source topics' ends, the model
from its topic, liveness from the age of the last metrics, completeness of Redis from the partitions' hashes there.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from kafka import TopicPartition
from pydantic import ValidationError
from redis import Redis

from models import features
from models.batch import SOURCES
from models.clock import StreamClock
from schemas.record import WARMING_UP
from schemas.redis_keys import partition_key
from schemas.snapshot import ModelSnapshot
from schemas.topics import SEGMENT_METRICS, SEGMENT_MODELS
from stream import topics
from stream.changelog_reader import PartitionState, read_state
from stream.clients import kafka_admin, redis_client
from stream.errors import NotFound, TopicsDiffer
from stream.partition.log import can_fence
from stream.peek import Peek, peek
from stream.security import kafka_options
from stream.settings import Settings

FRESH_ROUNDS = 3
"""A worker that was silent for so many rounds of metrics is taken for gone."""
METRICS_LOOKED_AT = 2000
NAME_MASK = 0xFFFF


def status(settings: Settings) -> dict[str, Any]:
    """Return the state of the job as `livesegment status --json` prints it (fields: the command line's contract).

    Raises KafkaUnreachable, RedisUnreachable, BrokenChangelog, and TopicsDiffer where there are no topics.
    """
    with kafka_admin(settings) as admin:
        absent = topics.missing(admin)
    if absent:
        raise TopicsDiffer(f"Missing topics: {', '.join(absent)}", action="run `livesegment topics create`")
    partitions = read_state(settings).partitions
    with peek(settings) as kafka:
        lags = _lags(kafka, partitions)
        snapshot = newest_snapshot(kafka)
        said = _lately(kafka, settings)
    with redis_client(settings) as redis:
        complete = complete_partitions(redis, len(partitions))
    events = _events(partitions)
    segments = segment_sizes(partitions, snapshot)
    alive = {int(metric["labels"]["partition"]) for metric in said if "partition" in metric["labels"]}
    return {
        "state": _state(alive, complete, len(partitions)),
        "fenced": asyncio.run(
            can_fence(bootstrap=settings.kafka, app_id=settings.app_id, security=kafka_options(settings))
        ),
        "customers": sum(len(partition.table) for partition in partitions),
        "lag": sum(lags.values()),
        "events": events,
        "dead_letters": dict(sorted(sum((Counter(p.meta.reasons) for p in partitions), Counter()).items())),
        "totals": {
            "orders": _sum(partitions, "orders"),
            "revenue_minor": _sum(partitions, "spend_minor"),
            "refunds_minor": _sum(partitions, "refunds_minor"),
        },
        "model": _model(partitions, snapshot, segments),
        "segments": segments,
        "last_stops": _last_stops(said),
        "partitions": [
            {
                "partition": partition.number,
                "customers": len(partition.table),
                "epoch": partition.epoch,
                "owned": partition.number in alive,
                "lag": lags[partition.number],
                "next": {topic: position.next for topic, position in sorted(partition.meta.topics.items())},
                "redis_complete": partition.number in complete,
            }
            for partition in partitions
        ],
    }


def customer_features(settings: Settings, customer: str) -> dict[str, float]:
    """Return every feature of one customer by its catalogue name, as of its partition's now; NotFound if unknown."""
    for partition in read_state(settings).partitions:
        slot = partition.table.index.get(customer)
        if slot is not None:
            clock = StreamClock.from_dict(partition.meta.clock, partition.meta.clock.get("mode", settings.clock))
            return features.describe(partition.table, slot, clock.now(int(time.time() * 1000)))
    raise NotFound(f"No state of customer {customer!r} in the changelog")


def complete_partitions(redis: Redis, count: int) -> set[int]:
    """Return the partitions of 0 to `count` - 1 whose every customer has a record in Redis."""
    pipeline = redis.pipeline(transaction=False)
    for number in range(count):
        pipeline.hget(partition_key(number), "complete")
    return {number for number, complete in enumerate(pipeline.execute()) if complete}


def _events(partitions: Sequence[PartitionState]) -> dict[str, int]:
    positions = [position for partition in partitions for position in partition.meta.topics.values()]
    return {
        "read": sum(position.read for position in positions),
        "applied": _sum(partitions, "events"),
        "duplicates": _sum(partitions, "duplicates"),
        "late": _sum(partitions, "late"),
        "custom": _sum(partitions, "custom"),
        "dead_letters": sum(position.letters for position in positions),
    }


def _sum(partitions: Sequence[PartitionState], column: str) -> int:
    return sum(partition.total(column) for partition in partitions)


def _lags(kafka: Peek, partitions: Sequence[PartitionState]) -> dict[int, int]:
    """Return by partition how many input records are not counted yet."""
    done = {
        TopicPartition(topic, partition.number): partition.meta.topics[topic].next
        if topic in partition.meta.topics
        else 0
        for partition in partitions
        for topic in SOURCES
    }
    lags = dict.fromkeys((partition.number for partition in partitions), 0)
    for place, end in kafka.ends(done).items():
        lags[place.partition] += max(0, end - done[place])
    return lags


def newest_snapshot(kafka: Peek) -> ModelSnapshot | None:
    """Return the newest model that can be read, as workers do."""
    for record in reversed(kafka.last(SEGMENT_MODELS, 5)):
        try:
            return ModelSnapshot.model_validate_json(record.value or b"")
        except ValidationError:
            continue
    return None


def _lately(kafka: Peek, settings: Settings) -> list[dict[str, Any]]:
    """Return the metrics that workers have reported lately."""
    oldest_ms = time.time() * 1000 - FRESH_ROUNDS * settings.metrics_interval_s * 1000
    said = [orjson.loads(record.value) for record in kafka.last(SEGMENT_METRICS, METRICS_LOOKED_AT)]
    return [metric for metric in said if metric["at"] >= oldest_ms]


def _last_stops(said: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return why the worker before each present one stopped, where it did not end in order."""
    newest = {metric["labels"]["worker"]: metric for metric in said if metric["name"] == "last_stop"}
    return [
        {"worker": worker, "reason": metric["labels"]["reason"], "exit_code": int(metric["value"])}
        for worker, metric in sorted(newest.items())
    ]


def _state(alive: set[int], complete: set[int], count: int) -> str:
    """Say in one word how the job stands."""
    if not alive:
        return "stopped"
    if len(alive) < count:
        return "recovering"
    return "running" if len(complete) == count else "rebuilding"


def segment_sizes(partitions: Sequence[PartitionState], snapshot: ModelSnapshot | None) -> list[dict[str, Any]]:
    """Return id, name, size and share of each segment with customers, largest first; id null is warming up."""
    sizes: Counter[int] = Counter()
    names: dict[int, str] = {}
    for partition in partitions:
        ids = partition.table.column("segment").astype(np.int64)
        places = partition.table.column("names").astype(np.int64) & NAME_MASK
        pairs, counts = np.unique(np.stack([ids, places]), axis=1, return_counts=True)
        known = partition.meta.names
        for segment, place, size in zip(*pairs.tolist(), counts.tolist(), strict=True):
            sizes[segment] += size
            if place < len(known) and known[place]:
                names[segment] = known[place]
    # What the newest model calls a segment comes before what it was called when a customer last moved.
    names |= {int(number): name for number, name in (snapshot.lineage.items() if snapshot else ())}
    everybody = sizes.total() or 1
    return [
        {
            "id": None if segment < 0 else segment,
            "name": WARMING_UP if segment < 0 else names.get(segment, f"segment {segment}"),
            "size": size,
            "share": round(size / everybody, 6),
        }
        for segment, size in sizes.most_common()
    ]


def _model(
    partitions: Sequence[PartitionState], snapshot: ModelSnapshot | None, segments: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    if snapshot is not None:
        said = {"version": snapshot.version, "k": snapshot.k, "learnt": snapshot.learnt, "pinned": False}
        return said | {"created_at": snapshot.created_at, "names": [segment.name for segment in snapshot.centroids]}
    present = [segment for segment in segments if segment["id"] is not None]
    if not present:
        return None
    # A pinned model is in no topic; the rows say which version decided.
    version = max(int(column.max(initial=0)) for column in (p.table.column("change_model") for p in partitions))
    return {"version": version, "k": len(present), "pinned": True, "names": [segment["name"] for segment in present]}

"""The registry of topics: names, keys, values, partitions, retention, producers, consumers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.cart_trigger import CartTrigger
from schemas.change import SegmentChanged
from schemas.dead_letter import DeadLetter
from schemas.metric import Metric
from schemas.sample import FeatureSample
from schemas.snapshot import ModelSnapshot

CLICKSTREAM = "clickstream"
PURCHASES = "purchases"
SEGMENT_CHANGES = "segment-changes"
CART_TRIGGERS = "cart-triggers"
DEAD_LETTERS = "dead-letters"
FEATURE_SAMPLES = "feature-samples"
SEGMENT_MODELS = "segment-models"
SEGMENT_METRICS = "segment-metrics"
CHANGELOG = "livesegment-customers-changelog"

_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Topic:
    """One topic. `partitions` None is the setting `partitions`; `retention_ms` None is the broker's default."""

    name: str
    key: str
    value: Any
    """The pydantic type of the value, or words."""
    partitions: int | None
    retention_ms: int | None
    compacted: bool
    producer: str
    consumers: str
    about: str


_ALL = (
    Topic(
        CLICKSTREAM,
        "customer_id",
        "one event, see schemas.events",
        partitions=None,
        retention_ms=7 * _DAY_MS,
        compacted=False,
        producer="the shop's website",
        consumers="worker",
        about="What customers do. Co-partitioned with purchases: same key bytes, same partitioner.",
    ),
    Topic(
        PURCHASES,
        "customer_id",
        "one event, see schemas.events",
        partitions=None,
        retention_ms=7 * _DAY_MS,
        compacted=False,
        producer="the shop's order system",
        consumers="worker",
        about="Orders, order lines and refunds. Co-partitioned with clickstream.",
    ),
    Topic(
        SEGMENT_CHANGES,
        "customer_id",
        SegmentChanged,
        partitions=None,
        retention_ms=30 * _DAY_MS,
        compacted=False,
        producer="worker",
        consumers="whoever acts on a customer who moved",
        about="Every move from one segment to another, at least once; repeats have the same id.",
    ),
    Topic(
        CART_TRIGGERS,
        "customer_id",
        CartTrigger,
        partitions=None,
        retention_ms=30 * _DAY_MS,
        compacted=False,
        producer="worker",
        consumers="whoever reminds customers of their carts",
        about="Reminders of abandoned carts: due, withdrawn, recovered; at least once, repeats have the same id.",
    ),
    Topic(
        DEAD_LETTERS,
        "the refused record's key",
        DeadLetter,
        partitions=None,
        retention_ms=90 * _DAY_MS,
        compacted=False,
        producer="worker",
        consumers="operators",
        about="Refused records: the value is the original bytes, the headers say why and where from.",
    ),
    Topic(
        FEATURE_SAMPLES,
        "partition of the customers",
        FeatureSample,
        partitions=1,
        retention_ms=_DAY_MS,
        compacted=False,
        producer="worker",
        consumers="the learner",
        about="Feature vectors of a slow uniform sweep over all customers.",
    ),
    Topic(
        SEGMENT_MODELS,
        "model",
        ModelSnapshot,
        partitions=1,
        retention_ms=None,
        compacted=True,
        producer="the learner",
        consumers="every worker, without a consumer group",
        about="Each new model, whole.",
    ),
    Topic(
        SEGMENT_METRICS,
        "metric name",
        Metric,
        partitions=1,
        retention_ms=_DAY_MS,
        compacted=False,
        producer="worker",
        consumers="dashboards, the live view",
        about="What workers and the learner measure, every few seconds.",
    ),
    Topic(
        CHANGELOG,
        "customer_id, or a name that begins with NUL",
        "one binary row per customer, see models.rows",
        partitions=None,
        retention_ms=None,
        compacted=True,
        producer="the worker that owns the partition",
        consumers="the next owner of the partition, export",
        about="The customers' state. Private to the job: its rows may change with any version.",
    ),
)

TOPICS: dict[str, Topic] = {topic.name: topic for topic in _ALL}
"""Every topic by name."""

"""The value of topic segment-metrics, and the catalogue of every metric there is."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from schemas.record import Milliseconds

MetricName = Literal[
    "events_per_s",
    "events_applied",
    "duplicates",
    "late",
    "replayed",
    "dead_letters",
    "without_id",
    "custom_events",
    "groups",
    "records_published",
    "changes",
    "swept_customers",
    "sweep_delay_ms",
    "cart_triggers",
    "cart_reminders_too_old",
    "records_refreshed",
    "records_rechecked",
    "records_repaired",
    "customers",
    "category_names",
    "segment_customers",
    "lag_records",
    "event_to_redis_p50_ms",
    "event_to_redis_p99_ms",
    "dirty_customers",
    "recovery_s",
    "redis_rebuilds",
    "redis_retries",
    "model_version",
    "models_refused",
    "samples_refused",
    "vectors_learnt",
    "resident_bytes",
    "last_stop",
    "drift_alarms",
    "drift_feature_changes",
    "drift_share_changes",
    "psi_feature",
    "psi_shares",
    "centroid_shift",
    "novelty_share",
    "challenges",
    "segment_began",
    "segment_ended",
    "small_segments",
    "k_silhouette",
    "k_smallest_share",
    "k_stability",
    "head_labels",
    "head_auc",
    "head_log_loss",
    "head_calibration_error",
    "head_reliability",
]


class MetricInfo(NamedTuple):
    """What a metric measures; counters count since the worker started."""

    unit: str
    words: str


METRICS: dict[MetricName, MetricInfo] = {
    "events_per_s": MetricInfo("events/s", "Events applied per second since the last report."),
    "events_applied": MetricInfo("events", "Events that changed a customer's features."),
    "duplicates": MetricInfo("events", "Events seen before, by event id or order id."),
    "late": MetricInfo("events", "Events over 24 hours behind their topic partition's newest; applied."),
    "replayed": MetricInfo("events", "Events read again after a restart and skipped."),
    "dead_letters": MetricInfo("records", "Records refused with a reason."),
    "without_id": MetricInfo("events", "Events without an id of their own; their position stood in."),
    "custom_events": MetricInfo("events", "Events of other names, by name (label `name`); the first 100 names."),
    "groups": MetricInfo("groups", "Groups of events made durable together."),
    "records_published": MetricInfo("records", "Customers' records written to Redis."),
    "changes": MetricInfo("changes", "Moves from one segment to another."),
    "swept_customers": MetricInfo("customers", "Customers judged anew because time passed."),
    "sweep_delay_ms": MetricInfo("ms", "Longest from when a sweep was due to its end, since the last report."),
    "cart_triggers": MetricInfo("triggers", "Reminders of carts, withdrawn ones and recoveries."),
    "cart_reminders_too_old": MetricInfo("reminders", "Reminders that were due too long ago to be sent."),
    "records_refreshed": MetricInfo("records", "Records written anew so that their confidence is of today."),
    "records_rechecked": MetricInfo("records", "Records offered to Redis again."),
    "records_repaired": MetricInfo("records", "Records among them that Redis had lost."),
    "customers": MetricInfo("customers", "Customers known in the partition."),
    "category_names": MetricInfo(
        "categories", "Product categories of the partition that have a name; from 2,000 on further ones have none."
    ),
    "segment_customers": MetricInfo("customers", "Customers in a segment (labels `segment`, `name`)."),
    "lag_records": MetricInfo("records", "Records of the partition not yet read."),
    "event_to_redis_p50_ms": MetricInfo("ms", "From produce to Redis, median since the last report."),
    "event_to_redis_p99_ms": MetricInfo("ms", "From produce to Redis, 99th percentile since the last report."),
    "dirty_customers": MetricInfo("customers", "Customers whose row waits for the next commit."),
    "recovery_s": MetricInfo("s", "How long the partition's last recovery took."),
    "redis_rebuilds": MetricInfo("rebuilds", "Times that Redis was found wiped and written again."),
    "redis_retries": MetricInfo("retries", "Writes repeated because Redis did not answer."),
    "model_version": MetricInfo("version", "The model in use; 0 before the first."),
    "models_refused": MetricInfo("snapshots", "Models that were not fit to serve; the last good one was kept."),
    "samples_refused": MetricInfo("samples", "Feature samples that the learner could not use."),
    "vectors_learnt": MetricInfo("vectors", "Feature vectors that the learner was fed."),
    "resident_bytes": MetricInfo("bytes", "Memory of the worker process."),
    "drift_alarms": MetricInfo(
        "alarms",
        "Changes in the distance of customers to their nearest centroid (ADWIN). The only drift that acts: a "
        "challenger is made of the vectors since, and adopted if it is clearly better.",
    ),
    "drift_feature_changes": MetricInfo(
        "changes", "Changes in a feature since the model was adopted (ADWIN, label `feature`). A daily rhythm counts."
    ),
    "drift_share_changes": MetricInfo(
        "changes", "Changes in a segment's share since the model was adopted (ADWIN, label `segment`)."
    ),
    "psi_feature": MetricInfo(
        "index",
        "How far a feature is from when the model was adopted (population stability index, label `feature`): under .1 "
        "as before, over .2 far.",
    ),
    "psi_shares": MetricInfo("index", "The same for the segments' shares."),
    "centroid_shift": MetricInfo(
        "sd", "How far a centroid has moved since the model was adopted, in standard deviations (label `segment`)."
    ),
    "novelty_share": MetricInfo(
        "share",
        "Vectors farther from every centroid than 99 % were when the model was adopted: .01 is as then; more means "
        "customers of a kind that no segment describes.",
    ),
    "challenges": MetricInfo(
        "challenges",
        "Challenges of the model by one made of the last vectors (labels `reason`: challenge, drift or seed; `winner`: "
        "serving, refined or fresh).",
    ),
    "segment_began": MetricInfo(
        "share",
        "A segment began (labels `segment`, `kind`, `other`): born, or split from `other`, of whose members it has "
        "this share, at least .25. Said again of the newest model by a learner that takes over.",
    ),
    "segment_ended": MetricInfo(
        "share",
        "A segment ended (labels `segment`, `kind`, `other`): died, or merged into `other`, where this share of its "
        "members went, at least .5. Said again of the newest model by a learner that takes over.",
    ),
    "small_segments": MetricInfo("segments", "Segments of under 2 % of the customers: a sign of too many segments."),
    "k_silhouette": MetricInfo("score", "Silhouette if there were so many segments (label `k`), -1 to 1."),
    "k_smallest_share": MetricInfo("share", "Smallest segment if there were so many (label `k`)."),
    "k_stability": MetricInfo(
        "score", "Agreement of two halves of the customers on so many segments (adjusted Rand index, label `k`)."
    ),
    "head_labels": MetricInfo("outcomes", "Outcomes that a prediction was learnt from (label `head`)."),
    "head_auc": MetricInfo(
        "score",
        "How well a prediction ranks customers, by the last 20,000 outcomes, each foretold before it was learnt from "
        "(area under the ROC curve, label `head`): .5 is chance.",
    ),
    "head_log_loss": MetricInfo(
        "nats", "Log loss of the same (label `head`); label `rate` is that of who foretells the mean for everybody."
    ),
    "head_calibration_error": MetricInfo(
        "probability", "Mean difference of what was foretold and what came, over ten bins of the same (label `head`)."
    ),
    "head_reliability": MetricInfo(
        "share", "Outcomes that came in one bin (labels `head`, `bin`; `predicted` is the bin's mean prediction)."
    ),
    "last_stop": MetricInfo(
        "exit code", "Why the worker before in its place stopped (label `reason`); absent if in order."
    ),
}
"""Every metric: its unit and what it measures, in plain words."""


class Metric(BaseModel):
    """One measurement."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: MetricName
    value: float
    unit: Annotated[str, Field(min_length=1, max_length=20)]
    at: Milliseconds = Field(description="System time, milliseconds since 1970.")
    labels: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=128)]], Field(max_length=8)
    ] = Field(default_factory=dict, description="Such as partition, worker, segment.")

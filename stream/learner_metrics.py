"""What the learner says about its model on segment-metrics: drift, challenges, lineage, other numbers of segments."""

from __future__ import annotations

from collections.abc import Iterator

from models.learner.guard import SMALL
from models.learner.learner import Learner
from schemas.head import Head
from schemas.snapshot import ModelSnapshot
from stream.readings import Reading


def readings(learner: Learner, snapshot: ModelSnapshot) -> Iterator[Reading]:
    """Yield every reading of a learner that has just made this snapshot."""
    yield "drift_alarms", learner.counts["alarms"], {}
    for how, times in learner.counts.items():
        reason, _, winner = how.partition("_")
        if winner:
            yield "challenges", times, {"reason": reason, "winner": winner}
    yield "small_segments", sum(segment.share < SMALL for segment in snapshot.centroids), {}
    for other in snapshot.around:
        labels = {"k": str(other.k)}
        yield "k_silhouette", other.silhouette, labels
        yield "k_smallest_share", other.smallest_share, labels
        yield "k_stability", other.stability, labels
    yield from fates(snapshot)
    for head in snapshot.heads:
        yield from _head(head)
    yield from _drift(learner)


def fates(snapshot: ModelSnapshot) -> Iterator[Reading]:
    """Yield which segments began and ended with a version."""
    for event in snapshot.history:
        if event.version == snapshot.version:
            labels = {"segment": str(event.segment), "kind": event.kind}
            labels |= {} if event.other is None else {"other": str(event.other)}
            yield "segment_began" if event.kind in ("born", "split") else "segment_ended", event.overlap, labels


def _head(head: Head) -> Iterator[Reading]:
    labels: dict[str, str] = {"head": head.name}
    yield "head_labels", head.labels, labels
    trust = head.trust
    if trust is not None:
        yield "head_auc", trust.auc, labels
        yield "head_log_loss", trust.log_loss, {**labels, "rate": f"{trust.log_loss_of_rate:.6f}"}
        yield "head_calibration_error", trust.calibration_error, labels
        for number, one in enumerate(trust.bins):
            yield "head_reliability", one.observed, {**labels, "bin": str(number), "predicted": f"{one.predicted:.6f}"}


def _drift(learner: Learner) -> Iterator[Reading]:
    watch, shift = learner.watch, learner.shift()
    if watch is not None:
        for feature, changes in watch.feature_changes.items():
            yield "drift_feature_changes", changes, {"feature": feature}
        for segment, changes in watch.share_changes.items():
            yield "drift_share_changes", changes, {"segment": str(segment)}
    if shift is not None:
        for feature, psi in zip(learner.config.features, shift.psi_features.tolist(), strict=True):
            yield "psi_feature", psi, {"feature": feature}
        yield "psi_shares", shift.psi_shares, {}
        yield "novelty_share", shift.novelty_share, {}
        for segment, moved in zip(learner.ids, shift.centroid_shift.tolist(), strict=True):
            yield "centroid_shift", moved, {"segment": str(segment)}

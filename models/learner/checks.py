"""Which snapshots are fit to serve. A bad one is refused with its reason, and the last good one kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import ValidationError

from schemas.snapshot import ModelSnapshot

BYTES_MAX = 1_000_000
"""Of a snapshot as JSON: over twice what 64 segments of 64 features and a full lineage take."""

NEXT_ID_MAX = 1_000_000
"""A model looks ids up in a table; a shop that has seen so many segments is a shop with a bug."""

SHARE_SUM_TOLERANCE = 0.02
"""Shares are rounded for people; together they must still be one."""

SHARE_MAX = 0.999
"""More than this in one of several segments is no segmentation: one transform or one centroid went wrong."""


class SnapshotRefusedError(ValueError):
    """This snapshot must not serve; the message says why.

    Operator action: none while an earlier model serves. If it was given by hand, give one made by this version.
    """


def parse(data: bytes, features: Sequence[str]) -> ModelSnapshot:
    """Read a snapshot from JSON that came from outside. Raises SnapshotRefusedError as `check`, and on bad JSON."""
    if len(data) > BYTES_MAX:
        raise SnapshotRefusedError(f"{len(data)} bytes are over {BYTES_MAX}")
    try:
        snapshot = ModelSnapshot.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise SnapshotRefusedError(f"{where}: {first['msg']}" if where else first["msg"]) from None
    check(snapshot, features)
    return snapshot


def check(snapshot: ModelSnapshot, features: Sequence[str]) -> None:
    """Raise SnapshotRefusedError unless the snapshot can serve vectors with exactly these features, in this order.

    What a ModelSnapshot guarantees by itself (lengths, finite numbers, distinct ids) is not looked at again.
    """
    if list(snapshot.features) != list(features):
        raise SnapshotRefusedError(_features_differ(snapshot.features, features))
    _check_segments(snapshot)
    _check_shares([segment.share for segment in snapshot.centroids])


def _features_differ(theirs: Sequence[str], ours: Sequence[str]) -> str:
    missing = [name for name in ours if name not in theirs]
    unknown = [name for name in theirs if name not in ours]
    if not missing and not unknown:
        return "the features are ours in another order"
    return f"the features are not ours: missing {missing}, unknown {unknown}"


def _check_segments(snapshot: ModelSnapshot) -> None:
    if snapshot.next_id > NEXT_ID_MAX:
        raise SnapshotRefusedError(f"next_id {snapshot.next_id} is over {NEXT_ID_MAX}")
    last = max(segment.id for segment in snapshot.centroids)
    if last >= snapshot.next_id:
        raise SnapshotRefusedError(f"segment id {last} is not below next_id {snapshot.next_id}")
    names = [segment.name for segment in snapshot.centroids]
    if len(set(names)) != len(names):
        raise SnapshotRefusedError(f"two segments have one name: {names}")
    for segment in snapshot.centroids:
        # A mean of clipped vectors lies inside the clip; the tolerance is for its own rounding.
        if max(map(abs, segment.centroid)) > snapshot.clip * (1 + 1e-6):
            raise SnapshotRefusedError(f"segment {segment.id} lies outside the clip")


def _check_shares(shares: Sequence[float]) -> None:
    if abs(float(np.sum(shares)) - 1.0) > SHARE_SUM_TOLERANCE:
        raise SnapshotRefusedError(f"the shares sum to {np.sum(shares):.3f}, not 1")
    if max(shares) > SHARE_MAX:
        raise SnapshotRefusedError(f"one of {len(shares)} segments has {max(shares):.1%} of all customers")

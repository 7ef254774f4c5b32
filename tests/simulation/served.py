"""Models to serve: random centroids among which the simulated customers move often."""

from __future__ import annotations

import functools
import random

from models.assign import Model
from models.catalogue import MODEL_FEATURES
from schemas.snapshot import ModelSnapshot
from tests.kit.snapshots import make_snapshot

MODELS = 6


@functools.cache
def model(version: int) -> tuple[Model, ModelSnapshot]:
    """Return the model of a version from 1 on, always the same one."""
    rng = random.Random(version)
    ids = range(1 + version % 2, 5 + version % 2)
    centroids = {number: [rng.uniform(0.0, 2.0) for _ in MODEL_FEATURES] for number in ids}
    snapshot = make_snapshot(version, centroids=centroids, named=f"segment {{}} of model {version}")
    snapshot = snapshot.model_copy(
        update={"lineage": {str(number): f"segment {number} of model {version}" for number in range(1, 6)}}
    )
    return Model.from_snapshot(snapshot, MODEL_FEATURES), snapshot

"""Models to serve: random centroids among which the simulated customers move often."""

from __future__ import annotations

import functools
import random

from models.assign import Model
from models.catalogue import MODEL_FEATURES
from schemas.snapshot import ModelSnapshot, Segment

MODELS = 6


@functools.cache
def model(version: int) -> tuple[Model, ModelSnapshot]:
    """Return the model of a version from 1 on, always the same one."""
    rng = random.Random(version)
    width = len(MODEL_FEATURES)
    ids = range(1 + version % 2, 5 + version % 2)
    snapshot = ModelSnapshot(
        format_version=1,
        version=version,
        created_at=0,
        k=len(ids),
        features=list(MODEL_FEATURES),
        mean=[0.0] * width,
        scale=[1.0] * width,
        clip=10.0,
        centroids=[
            Segment(
                id=number,
                name=f"segment {number} of model {version}",
                words=[],
                share=1.0 / len(ids),
                size_sampled=1,
                centroid=[rng.uniform(0.0, 2.0) for _ in range(width)],
                weight=1.0,
            )
            for number in ids
        ],
        next_id=9,
        lineage={str(number): f"segment {number} of model {version}" for number in range(1, 6)},
        learnt=version,
        seed=1,
        halflife=0.01,
    )
    return Model.from_snapshot(snapshot, MODEL_FEATURES), snapshot

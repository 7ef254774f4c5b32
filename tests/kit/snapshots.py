"""Snapshots of models, as the learner would publish them."""

from __future__ import annotations

from models.catalogue import MODEL_FEATURES
from schemas.snapshot import ModelSnapshot, Segment


def make_snapshot(version: int, features: tuple[str, ...] = tuple(MODEL_FEATURES)) -> ModelSnapshot:
    """Return a valid snapshot of two segments."""
    width = len(features)
    return ModelSnapshot(
        format_version=1,
        version=version,
        created_at=0,
        k=2,
        features=list(features),
        mean=[0.0] * width,
        scale=[1.0] * width,
        clip=10.0,
        centroids=[
            Segment(
                id=number,
                name=f"segment {number}",
                words=[],
                share=0.5,
                size_sampled=1,
                centroid=[float(number)] * width,
                weight=1.0,
            )
            for number in (1, 2)
        ],
        next_id=3,
        lineage={"1": "segment 1", "2": "segment 2"},
        learnt=1_000 * version,
        seed=1,
        halflife=0.01,
    )

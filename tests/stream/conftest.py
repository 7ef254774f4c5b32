"""Snapshots of models for the worker's models, as the learner would publish them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from models.catalogue import MODEL_FEATURES
from schemas.snapshot import ModelSnapshot, Segment


@pytest.fixture
def snapshot() -> Callable[..., ModelSnapshot]:
    """A function that makes a valid snapshot of a version, or one with another list of features."""

    def make(version: int, features: tuple[str, ...] = tuple(MODEL_FEATURES)) -> ModelSnapshot:
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

    return make

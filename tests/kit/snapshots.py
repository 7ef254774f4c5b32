"""Snapshots of models, as the learner would publish them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.catalogue import MODEL_FEATURES
from schemas.snapshot import ModelSnapshot, Segment


def make_snapshot(
    version: int,
    features: tuple[str, ...] = tuple(MODEL_FEATURES),
    *,
    centroids: Mapping[int, Sequence[float]] | None = None,
    named: str = "segment {}",
) -> ModelSnapshot:
    """Return a valid snapshot: by id the `centroids` given, else two; `named` makes a name of an id."""
    width = len(features)
    places = centroids or {number: [float(number)] * width for number in (1, 2)}
    return ModelSnapshot(
        format_version=1,
        version=version,
        created_at=0,
        k=len(places),
        features=list(features),
        mean=[0.0] * width,
        scale=[1.0] * width,
        clip=10.0,
        centroids=[
            Segment(
                id=number,
                name=named.format(number),
                words=[],
                share=1.0 / len(places),
                size_sampled=1,
                centroid=list(place),
                weight=1.0,
            )
            for number, place in places.items()
        ],
        next_id=max(places) + 1,
        lineage={str(number): named.format(number) for number in places},
        learnt=1_000 * version,
        seed=1,
        halflife=0.01,
    )

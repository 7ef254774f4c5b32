"""The value of topic segment-models: everything a worker needs to assign segments, and a learner to go on."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.head import Head
from schemas.record import Counter, Milliseconds, SegmentId, SegmentName
from schemas.sample import FEATURES_MAX, FeatureName, FeatureNames, Vector
from schemas.standing import CustomerBase

FORMAT_VERSION: Literal[2] = 2
"""Written; version 1, which lacked clusterer, traits, history and around, is still read."""
CLUSTERS_MIN = 2
CLUSTERS_MAX = 64
LINEAGE_MAX = 10_000
HISTORY_MAX = 100
"""Births and ends that a snapshot remembers."""

IdText = Annotated[str, Field(pattern="^[0-9]{1,10}$")]
Word = Annotated[str, Field(min_length=1, max_length=80)]
Share = Annotated[float, Field(ge=0, le=1)]


class Contrast(BaseModel):
    """One feature in which a segment differs from the population."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    feature: FeatureName
    z: float = Field(description="(centroid - mean) / deviation of the population, in the scaled space.")


class Segment(BaseModel):
    """One cluster with its identity: the id is stable over snapshots and never reused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    id: SegmentId
    name: SegmentName
    words: Annotated[list[Word], Field(max_length=16)] = Field(description="What sets it apart, strongest first.")
    contrasts: Annotated[list[Contrast], Field(max_length=3)] = Field(
        default_factory=list, description="The strongest, of at least half a deviation."
    )
    share: Share = Field(description="Of the sampled customers.")
    size_sampled: Counter
    centroid: Vector = Field(description="In the space of the transform: log1p, standardised, clipped.")
    weight: Annotated[float, Field(ge=0)]


class LineageEvent(BaseModel):
    """A birth or an end of a segment; the thresholds are in `models.learner.identity`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    version: Counter = Field(description="The first model to show it.")
    at: Milliseconds
    kind: Literal["born", "split", "died", "merged"]
    segment: SegmentId = Field(description="The id that began (born, split) or ended (died, merged).")
    other: SegmentId | None = Field(description="The id it came out of (split) or went into (merged).")
    overlap: Share = Field(description="Share of the old segment's members that are in the new one.")


class OtherK(BaseModel):
    """What a number of segments at or near the present one looks like on the same vectors. Nothing acts on it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    k: Annotated[int, Field(ge=CLUSTERS_MIN, le=CLUSTERS_MAX)]
    silhouette: Annotated[float, Field(ge=-1, le=1)]
    smallest_share: Share = Field(description="Under .02 is a sign of too many segments.")
    stability: Annotated[float, Field(ge=-1, le=1)] = Field(
        description="Adjusted Rand index of the labels by two halves of the vectors, clustered apart."
    )


class ModelSnapshot(BaseModel):
    """A whole model. Refuses another format version, values that are not finite, and lengths that do not fit."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format_version: Literal[1, 2]
    version: Counter = Field(description="Rises by one with each published model.")
    created_at: Milliseconds = Field(description="The stream's time, milliseconds since 1970.")
    k: Annotated[int, Field(ge=CLUSTERS_MIN, le=CLUSTERS_MAX)]
    features: FeatureNames
    mean: Vector = Field(description="Of log1p of each feature.")
    scale: Annotated[list[Annotated[float, Field(gt=0)]], Field(max_length=64)] = Field(
        description="What it is divided by: its deviation times the root of how many features say the same."
    )
    clip: Annotated[float, Field(gt=0, le=1e6)] = Field(description="Standard deviations.")
    centroids: Annotated[list[Segment], Field(min_length=CLUSTERS_MIN, max_length=CLUSTERS_MAX)]
    next_id: SegmentId = Field(description="The id of the next segment that is born.")
    lineage: Annotated[dict[IdText, SegmentName], Field(max_length=LINEAGE_MAX)] = Field(
        description="The name of every segment that ever was, by id."
    )
    learnt: Counter = Field(description="Vectors fed so far.")
    seed: Counter
    halflife: Annotated[float, Field(ge=0, le=1)] = Field(description="Floor of the centroids' learning rate.")
    clusterer: Literal["kmeans", "clustream"] = Field("kmeans", description="What follows the customers.")
    traits: Annotated[list[FeatureName], Field(max_length=FEATURES_MAX)] = Field(
        default_factory=list, description="Features that are no behaviour; only those that somebody asked for."
    )
    history: Annotated[list[LineageEvent], Field(max_length=HISTORY_MAX)] = Field(
        default_factory=list, description="The latest births and ends of segments, oldest first."
    )
    around: Annotated[list[OtherK], Field(max_length=5)] = Field(
        default_factory=list, description="Numbers of segments near k, when they were last tried."
    )
    heads: Annotated[list[Head], Field(max_length=2)] = Field(
        default_factory=list, description="Predictions about every customer."
    )
    base: CustomerBase | None = Field(None, description="What RFM scores and lifecycles are measured by.")

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        width = len(self.features)
        if len(set(self.features)) != width:
            raise ValueError("a feature is named twice")
        if len(self.mean) != width or len(self.scale) != width:
            raise ValueError("mean and scale need one value per feature")
        if any(len(segment.centroid) != width for segment in self.centroids):
            raise ValueError("a centroid needs one value per feature")
        if len(self.centroids) != self.k:
            raise ValueError("k centroids are needed")
        if len({segment.id for segment in self.centroids}) != self.k:
            raise ValueError("a segment id occurs twice")
        return self

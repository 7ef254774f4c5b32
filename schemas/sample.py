"""The value of topic feature-samples: raw feature vectors of some customers of one partition, aged to `now`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.record import Counter, Milliseconds

FEATURES_MAX = 64
VECTORS_MAX = 10_000

FeatureName = Annotated[str, Field(min_length=1, max_length=60)]
FeatureNames = Annotated[list[FeatureName], Field(min_length=1, max_length=FEATURES_MAX)]
Vector = Annotated[list[float], Field(min_length=1, max_length=FEATURES_MAX)]


class FeatureSample(BaseModel):
    """Part of a slow uniform sweep over customers. Refuses NaN, infinities and vectors of another length."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format_version: Literal[1] = 1
    partition: Annotated[int, Field(ge=0, lt=2**31)]
    now: Milliseconds = Field(description="The time the vectors are aged to, milliseconds since 1970.")
    features: FeatureNames
    vectors: Annotated[list[Vector], Field(max_length=VECTORS_MAX)] = Field(
        description="Untransformed, one a customer."
    )
    customers: Counter = Field(description="Customers of the partition in all.")

    @model_validator(mode="after")
    def _same_width(self) -> Self:
        if any(len(vector) != len(self.features) for vector in self.vectors):
            raise ValueError("a vector has not one value per feature")
        return self

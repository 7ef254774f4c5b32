"""The value of topic feature-samples: raw feature vectors of some customers of one partition, aged to `now`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.record import Counter, Milliseconds

FEATURES_MAX = 64
PROFILE = ("first_order_at", "last_order_at", "orders", "money_minor", "last_seen")
"""What a customer's profile says, in this order: times in milliseconds, 0 without an order; money less refunds."""
VECTORS_MAX = 10_000

Profile = Annotated[list[float], Field(min_length=len(PROFILE), max_length=len(PROFILE))]
FeatureName = Annotated[str, Field(min_length=1, max_length=60)]
FeatureNames = Annotated[list[FeatureName], Field(min_length=1, max_length=FEATURES_MAX)]
Vector = Annotated[list[float], Field(min_length=1, max_length=FEATURES_MAX)]


class FeatureSample(BaseModel):
    """Part of a slow uniform sweep over customers. Refuses NaN, infinities and vectors of another length."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format_version: Literal[1, 2] = 2
    partition: Annotated[int, Field(ge=0, lt=2**31)]
    now: Milliseconds = Field(description="The time the vectors are aged to, milliseconds since 1970.")
    features: FeatureNames
    vectors: Annotated[list[Vector], Field(max_length=VECTORS_MAX)] = Field(
        description="Untransformed, one a customer."
    )
    profiles: Annotated[list[Profile], Field(max_length=VECTORS_MAX)] = Field(
        default_factory=list,
        description=f"For each vector its customer's {', '.join(PROFILE)}; format version 1 had none.",
    )
    keys: Annotated[list[Counter], Field(max_length=VECTORS_MAX)] = Field(
        default_factory=list, description="For each vector 53 bits of a hash of its customer's id."
    )
    customers: Counter = Field(description="Customers of the partition in all.")

    @model_validator(mode="after")
    def _same_width(self) -> Self:
        if any(len(vector) != len(self.features) for vector in self.vectors):
            raise ValueError("a vector has not one value per feature")
        if self.format_version > 1 and not len(self.profiles) == len(self.keys) == len(self.vectors):
            raise ValueError("there is not one profile and one key per vector")
        return self

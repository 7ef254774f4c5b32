"""A prediction about every customer, as exported weights: what the learner publishes and workers score with."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MEMBERS_MAX = 10
WEIGHTS_MAX = 65

HeadName = Literal["purchase_7d", "churn_30d"]
Probability = Annotated[float, Field(ge=0, le=1)]
Weights = Annotated[list[float], Field(min_length=1, max_length=WEIGHTS_MAX)]


class Bin(BaseModel):
    """Part of a reliability curve: customers of about one prediction, and what became of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    predicted: Probability
    observed: Probability
    count: Annotated[int, Field(ge=0)]


class Trust(BaseModel):
    """How good the predictions were that were made before their outcome was known, over the last outcomes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    outcomes: Annotated[int, Field(ge=0)]
    auc: Probability = Field(description="Of the ranks, exact; .5 is chance.")
    log_loss: Annotated[float, Field(ge=0)]
    log_loss_of_rate: Annotated[float, Field(ge=0)] = Field(description="Of who predicts the mean for everybody.")
    calibration_error: Probability = Field(description="Mean of |predicted - observed| over the bins, by their counts.")
    bins: Annotated[list[Bin], Field(max_length=10)] = Field(description="By rising prediction, of about equal counts.")


class Head(BaseModel):
    """Logistic regressions whose probabilities are averaged.

    A member is one weight for log1p of each feature, in the snapshot's order, and then the intercept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: HeadName
    labels: Annotated[int, Field(ge=0)] = Field(description="Outcomes learnt from.")
    positives: Annotated[int, Field(ge=0)]
    mean: Weights = Field(description="Of log1p of each feature, over the first of those: the scale it was learnt at.")
    variance: Weights
    members: Annotated[list[Weights], Field(min_length=1, max_length=MEMBERS_MAX)]
    trust: Trust | None = None

    @model_validator(mode="after")
    def _one_width(self) -> Self:
        width = len(self.mean)
        if len(self.variance) != width or any(len(member) != width + 1 for member in self.members):
            raise ValueError("a head needs one mean and variance per feature, and one weight more a member")
        return self

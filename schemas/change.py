"""The value of topic segment-changes: one customer moved from one segment to another."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.fields import CUSTOMER_CHARS_MAX
from schemas.record import Counter, Milliseconds, SegmentId, SegmentName
from schemas.sample import FeatureName

ChangeReason = Literal["behaviour", "model", "time"]


class SegmentChanged(BaseModel):
    """A move, delivered at least once: drop a `ver` seen before. A customer's `ver` has no gaps."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, Field(max_length=CUSTOMER_CHARS_MAX + 20)] = Field(
        description="customer_id:ver, the same on a repeat."
    )
    customer_id: Annotated[str, Field(min_length=1, max_length=CUSTOMER_CHARS_MAX)]
    ver: Counter = Field(description="1 for the customer's first change, then rising by one.")
    epoch: Counter = Field(description="Which owner of the partition decided.")
    previous: SegmentId | None = Field(description="None for the first segment of a customer.")
    current: SegmentId
    previous_name: SegmentName
    current_name: SegmentName
    reason: ChangeReason = Field(description="The customer's own events, a new model, or time that passed.")
    why: Annotated[list[FeatureName], Field(max_length=3)] = Field(
        default_factory=list,
        description="The features that moved the customer most, strongest first; before version 2 of the rows none.",
    )
    model: Counter = Field(description="Version of the model that decided.")
    event_time: Milliseconds = Field(description="The stream's time of the change, milliseconds since 1970.")

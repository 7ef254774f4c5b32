"""What Redis says of one customer: the hash at `schemas.redis_keys.segment_key`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from schemas.head import Probability
from schemas.standing import Lifecycle, Rfm

WARMING_UP = "warming_up"
"""The name while there is no model yet."""
RECORD_BYTES_MAX = 400
"""Fields and values of one hash together stay below this."""

SegmentId = Annotated[int, Field(ge=0, lt=2**31)]
SegmentName = Annotated[str, Field(min_length=1, max_length=80)]
Milliseconds = Annotated[int, Field(ge=0, lt=2**53)]
Counter = Annotated[int, Field(ge=0, lt=2**53)]


class SegmentRecord(BaseModel):
    """A customer's current segment. Written when segment or cart change, not at every event; `as_of` is then."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    segment: SegmentId | None = Field(description="Stable id, never reused; none while warming up.")
    name: SegmentName = Field(description="Plain words, or warming_up before the first model.")
    since: Milliseconds = Field(description="When the customer came into this segment, milliseconds since 1970.")
    cart: Literal["none", "open", "abandoned"]
    confidence: Annotated[float, Field(ge=0, le=1)] = Field(description="0 to 1, two decimals.")
    as_of: Milliseconds = Field(description="The stream's time when this was written, milliseconds since 1970.")
    model: Counter = Field(description="Version of the model that decided; 0 before the first.")
    ver: Counter = Field(description="Segment changes so far: what subscribers compare.")
    rev: Counter = Field(description="Records written so far: only a higher one replaces this.")
    lifecycle: Lifecycle | None = Field(None, description="By the customer's own rhythm; none before it is known.")
    purchase_7d: Probability | None = Field(None, description="Chance of an order in the next 7 days, three decimals.")
    churn_30d: Probability | None = Field(
        None, description="Chance of no event at all in the next 30 days, three decimals."
    )
    rfm: Rfm | None = Field(None, description="Recency, frequency, money: 1 to 5 each, by quintiles of all buyers.")

    def to_hash(self) -> dict[str, str]:
        """Return the fields of the Redis hash; no segment is the empty text, absent fields are left out.

        >>> SegmentRecord(segment=None, name="warming_up", since=1, cart="none", confidence=0, as_of=1, model=0, ver=0,
        ...     rev=1).to_hash()["segment"]
        ''
        """
        fields = {
            "segment": "" if self.segment is None else str(self.segment),
            "name": self.name,
            "since": str(self.since),
            "cart": self.cart,
            "confidence": f"{self.confidence:.2f}",
            "as_of": str(self.as_of),
            "model": str(self.model),
            "ver": str(self.ver),
            "rev": str(self.rev),
        }
        chances = {"purchase_7d": self.purchase_7d, "churn_30d": self.churn_30d}
        said = {name: None if chance is None else f"{chance:.3f}" for name, chance in chances.items()}
        optional = {"lifecycle": self.lifecycle, "rfm": self.rfm, **said}
        return fields | {name: value for name, value in optional.items() if value is not None}

    @classmethod
    def from_hash(cls, stored: Mapping[str, str] | Mapping[bytes, bytes]) -> Self:
        """Read a hash back, as text or bytes; raises ValueError (pydantic's) for what `to_hash` never wrote."""
        fields = {_text(name): _text(value) for name, value in stored.items()}
        return cls.model_validate({**fields, "segment": fields.get("segment") or None})


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value

"""A record that could not be applied: its reason, where it came from, and how it travels on the dead letters' topic.

The topic's value is the original bytes (the first 64 kB of a longer record); everything else stands in headers, so
that any Kafka tool can send a letter back to its topic unchanged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Reason = Literal[
    "bad_json",
    "bad_utf8",
    "too_large",
    "null_value",
    "not_an_object",
    "envelope",
    "missing_event_type",
    "unknown_event",
    "missing_customer",
    "invalid_customer",
    "missing_time",
    "time_without_zone",
    "invalid_time",
    "past",
    "future",
    "currency_mismatch",
    "key_mismatch",
    "invalid",
]

REASONS: dict[Reason, str] = {
    "bad_json": "The value is not JSON: broken, NaN, a number beyond a double, or nested over 1,024 deep.",
    "bad_utf8": "The value is not UTF-8 text.",
    "too_large": "The value is larger than an event may be (256 KiB).",
    "null_value": "The record has no value; deleting customers this way is not supported.",
    "not_an_object": "The JSON is not an object.",
    "envelope": "Several events in one record: the sender has to send each as its own record.",
    "missing_event_type": "No event_type, event_name or event says what happened.",
    "unknown_event": "A custom event name, and the setting unknown_events refuses those.",
    "missing_customer": "No customer_id, user_id, userId, client_id or anonymousId.",
    "invalid_customer": "The customer id is not text or an integer, is empty, over 128 characters, or has NUL.",
    "missing_time": "No event_time, timestamp_micros or timestamp.",
    "time_without_zone": "The timestamp has no offset from UTC; it is not guessed.",
    "invalid_time": "The time is not integer milliseconds, integer microseconds or RFC 3339 text, by its field.",
    "past": "The event time is before 1990.",
    "future": "The event time is further ahead of the clock than the setting future_tolerance_s allows.",
    "currency_mismatch": "The currency is not the shop's; amounts are not converted.",
    "key_mismatch": "The Kafka key is not the customer id, or the partition is not the partitioner's for it.",
    "invalid": "A field has the wrong type or is outside its limits; the detail names it.",
}
"""Every reason code in plain words."""

UNDECODABLE: frozenset[Reason] = frozenset({"bad_json", "bad_utf8", "too_large", "null_value", "not_an_object"})
"""Reasons that suggest a topic that holds something else altogether: only these count towards the stop limit."""

VALUE_BYTES_MAX = 65_536
DETAIL_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record is not an event. `detail` names fields and rules, never what the record holds."""

    reason: Reason
    detail: str


class DeadLetter(BaseModel):
    """The headers of one dead letter. `id` is topic/partition/offset of the original and unique."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, Field(max_length=300)]
    reason: Reason
    detail: Annotated[str, Field(max_length=DETAIL_CHARS_MAX)] = ""
    topic: Annotated[str, Field(min_length=1, max_length=249)]
    partition: Annotated[int, Field(ge=0, lt=2**31)]
    offset: Annotated[int, Field(ge=0, lt=2**63)]
    seen_at: Annotated[int, Field(ge=0, lt=2**53, description="When it was refused, milliseconds since 1970.")]
    size: Annotated[int, Field(ge=0, lt=2**31, description="Bytes of the original value.")]
    truncated: bool = Field(description="Whether the value is only the first 64 kB of the original.")
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="Of the whole original value, where truncated."
    )

    def headers(self) -> list[tuple[str, bytes]]:
        """Kafka headers, all UTF-8 text; absent fields are left out."""
        fields = self.model_dump(exclude_none=True)
        fields["truncated"] = "true" if self.truncated else "false"
        return [(name, str(value).encode()) for name, value in fields.items()]

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes]]) -> Self:
        """Read `headers()` back; raises ValueError (pydantic's ValidationError is one) for any others."""
        text = {name: value.decode() for name, value in headers if name in cls.model_fields}
        return cls.model_validate_strings(text)


def seal(
    value: bytes | None,
    *,
    reason: Reason,
    topic: str,
    partition: int,
    offset: int,
    seen_at_ms: int,
    detail: str = "",
    limit_bytes: int = VALUE_BYTES_MAX,
) -> tuple[bytes | None, list[tuple[str, bytes]]]:
    """Return the value and the headers to send for a refused record.

    A value over `limit_bytes` is cut to them and its SHA-256 stands in the headers: whole, a record near the broker's
    limit would exceed it together with its headers, and the worker would fail on it again and again.

    >>> value, headers = seal(b"{", reason="bad_json", topic="clickstream", partition=1, offset=7, seen_at_ms=0)
    >>> value, dict(headers)["id"]
    (b'{', b'clickstream/1/7')
    """
    raw = value or b""
    truncated = len(raw) > limit_bytes
    letter = DeadLetter(
        id=f"{topic}/{partition}/{offset}",
        reason=reason,
        detail=detail[:DETAIL_CHARS_MAX],
        topic=topic,
        partition=partition,
        offset=offset,
        seen_at=seen_at_ms,
        size=len(raw),
        truncated=truncated,
        sha256=hashlib.sha256(raw).hexdigest() if truncated else None,
    )
    return (raw[:limit_bytes] if truncated else value), letter.headers()

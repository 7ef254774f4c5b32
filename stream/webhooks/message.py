"""One webhook: what is posted, and its signature by the Standard Webhooks specification (standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.topics import CART_TRIGGERS, SEGMENT_CHANGES
from stream.errors import WrongSettings

TOPICS = (SEGMENT_CHANGES, CART_TRIGGERS)
"""Topics whose records can be sent on."""
PREFIX = "whsec_"
"""What secrets start with; the rest is base64."""
MAKE_ONE = f"set LIVESEGMENT_WEBHOOK_SECRET to the receiver's, or make one: echo {PREFIX}$(openssl rand -base64 32)"
SECRET_BYTES = range(24, 65)
"""Lengths that the specification allows."""


@dataclass(frozen=True, slots=True)
class Message:
    """A webhook before it is signed: its body never changes, however often it is sent."""

    id: str
    """The same on every repeat: a receiver drops one that it has seen. Printable ASCII, whoever the customer is."""
    kind: str
    """segment.changed, cart.abandoned, cart.withdrawn or cart.recovered."""
    customer: str
    body: bytes


def message(topic: str, value: Mapping[str, Any]) -> Message:
    """Make the webhook of a record's value.

    >>> made = message("cart-triggers", {"id": "x", "kind": "recovered", "customer_id": "c7", "event_time": 1_000})
    >>> made.kind, made.body[:52]
    ('cart.recovered', b'{"type":"cart.recovered","timestamp":"1970-01-01T00:')
    """
    kind = "segment.changed" if topic == SEGMENT_CHANGES else f"cart.{value['kind']}"
    digest = hashlib.blake2b(f"{topic}\0{value['id']}".encode(), digest_size=16).hexdigest()
    body = orjson.dumps({"type": kind, "timestamp": _spelled(int(value["event_time"])), "data": dict(value)})
    return Message(f"msg_{digest}", kind, str(value["customer_id"]), body)


def headers(made: Message, key: bytes, now_s: int) -> dict[str, str]:
    """Return the headers of one attempt at `now_s`, seconds since 1970."""
    signed = hmac.new(key, f"{made.id}.{now_s}.".encode() + made.body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": made.id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret `whsec_...`. Raises WrongSettings, which does not repeat it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in SECRET_BYTES:
        raise WrongSettings(
            "the webhook secret is not whsec_ and base64 of 24 to 64 bytes",
            action=MAKE_ONE,
        )
    return key


def _spelled(time_ms: int) -> str:
    """RFC 3339 of a time.

    >>> _spelled(1_760_000_000_123)
    '2025-10-09T08:53:20.123Z'
    """
    moment = dt.datetime.fromtimestamp(time_ms // 1000, dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"

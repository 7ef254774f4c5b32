"""What is posted: a body that never changes, and a signature that others verify."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from schemas.topics import SEGMENT_CHANGES
from stream.errors import WrongSettings, WrongUsage
from stream.webhooks.message import headers, key_of, message
from stream.webhooks.receiver import Receiver

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
CHANGE = {"id": "Zoë\r\nx:3", "customer_id": "Zoë\r\nx", "event_time": 1_760_000_000_123}


def test_a_signature_is_verified_by_a_library_that_is_not_ours() -> None:
    made = message(SEGMENT_CHANGES, CHANGE)
    said = headers(made, key_of(SECRET), int(time.time()))
    body = Webhook(SECRET).verify(made.body, said)
    assert body == {"type": "segment.changed", "timestamp": "2025-10-09T08:53:20.123Z", "data": CHANGE}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(made.body + b" ", said)


def test_an_id_is_the_same_on_every_repeat_and_safe_in_a_header() -> None:
    first, second = message(SEGMENT_CHANGES, CHANGE), message(SEGMENT_CHANGES, CHANGE | {"epoch": 2})
    assert first.id == second.id
    assert first.id.isascii()
    assert first.id.isprintable()
    assert first.id != message(SEGMENT_CHANGES, CHANGE | {"id": "x:4"}).id


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_***", f"whsec_{base64.b64encode(b'short').decode()}", "hunter2"]
)
def test_a_secret_that_cannot_be_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(WrongSettings) as refused:
        key_of(secret)
    assert not secret or secret == "whsec_" or secret not in str(refused.value)


@pytest.mark.parametrize("url", ["ftp://host/x", "http://", "host/path", "http://user:word@host/", "http://host:port/"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(WrongUsage):
        Receiver(url)

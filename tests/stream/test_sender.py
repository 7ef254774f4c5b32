"""What the sender could not deliver it says, as an error that its callers know."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from schemas.topics import CLICKSTREAM, PURCHASES
from stream import sender, topics
from stream.clients import kafka_admin
from stream.embedded.server import Server
from stream.errors import KafkaUnreachable
from stream.settings import Settings


@pytest.mark.broker
def test_a_broker_that_stops_answering_is_said_when_the_acknowledgements_do_not_come(
    start_broker: Callable[[], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = start_broker()
    settings = Settings(kafka=broker.address)
    with kafka_admin(settings) as admin:
        topics.create(admin, settings)
    sending = sender.Sender(settings, (CLICKSTREAM, PURCHASES))
    monkeypatch.setattr(sender, "ACK_S", 2.0)
    os.kill(broker.child.pid, signal.SIGSTOP)
    try:
        sending.send(CLICKSTREAM, [(b"c1", b"{}")])
        with pytest.raises(KafkaUnreachable, match="did not take a record"):
            sending.flush()
    finally:
        os.kill(broker.child.pid, signal.SIGCONT)
        sending._producer.close(timeout=5)

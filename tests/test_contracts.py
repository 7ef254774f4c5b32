"""The examples of docs/contracts.md run as they stand, and drop repeats."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer

from schemas.topics import CART_TRIGGERS, SEGMENT_CHANGES
from stream import topics
from stream.clients import kafka_admin
from stream.commands.trigger import EXAMPLES, example
from stream.embedded.server import Server
from stream.settings import load

pytestmark = pytest.mark.broker

PAGE = (Path(__file__).parent.parent / "docs" / "contracts.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_read_what_was_sent_and_drop_repeats(
    start_broker: Callable[[], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(kafka=start_broker().address)
    with kafka_admin(settings) as admin:
        topics.create(admin, settings)
    sent = [*EXAMPLES.values(), (CART_TRIGGERS, "abandoned"), (SEGMENT_CHANGES, "behaviour")]
    producer = KafkaProducer(bootstrap_servers=settings.kafka, enable_idempotence=False)
    for topic, name in sent:
        producer.send(topic, example(topic, name), b"c7", partition=0).get()
    producer.close()
    monkeypatch.setenv("LIVESEGMENT_KAFKA", settings.kafka)

    class Ending(KafkaConsumer):  # type: ignore[misc] # kafka-python is untyped
        """Ends after what was sent; the examples go on for ever."""

        def __init__(self, topic: str, **options: Any) -> None:
            # The embedded broker lets a new group wait for half of its members' timeout.
            super().__init__(topic, **options, session_timeout_ms=6_000, heartbeat_interval_ms=2_000)
            self._left = sum(there == topic for there, _ in sent)

        def __next__(self) -> Any:
            if not self._left:
                self.close()
                raise StopIteration
            self._left -= 1
            return super().__next__()

    monkeypatch.setattr("kafka.KafkaConsumer", Ending)
    said = []
    for block in BLOCKS:
        heard = io.StringIO()
        with contextlib.redirect_stdout(heard):
            exec(compile(block, "docs/contracts.md", "exec"), {})
        said.append(heard.getvalue().splitlines())
    changes, carts = said
    assert len(changes) == 1
    assert [line.split()[0] for line in carts] == ["write", "do", "c7:1760000000000"]

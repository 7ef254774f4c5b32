"""`livesegment trigger`: the committed examples, to a topic or signed to a receiver."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator

import pytest

from schemas.topics import CART_TRIGGERS, SEGMENT_CHANGES
from stream import topics
from stream.clients import kafka_admin
from stream.commands.trigger import example
from stream.heard import values
from stream.settings import load
from tests.kit.receiver import Receiver

SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
SENT = (("segment.changed", SEGMENT_CHANGES, "behaviour"), ("cart.abandoned", CART_TRIGGERS, "abandoned"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver(SECRET)
    yield started
    started.close()


@pytest.mark.broker
def test_without_an_address_an_example_goes_to_its_topic(livesegment, start_broker) -> None:
    settings = load(kafka=start_broker().address)
    with kafka_admin(settings) as admin:
        topics.create(admin, settings)
    for what, topic, name in SENT:
        expected = json.loads(example(topic, name))
        done = livesegment("trigger", what, "--kafka", settings.kafka, "--json")
        assert (done.code, done.json) == (0, {"topic": topic, "id": expected["id"]}), done.err
        heard = values(settings, topic, threading.Event(), from_start=True, say=print)
        assert expected.items() <= next(heard)[1].items()
        heard.close()


def test_with_an_address_an_example_is_posted_there_signed_and_without_a_broker(livesegment, receiver) -> None:
    for what, topic, name in SENT:
        done = livesegment("trigger", what, "--forward-to", receiver.url, "--json", LIVESEGMENT_WEBHOOK_SECRET=SECRET)
        assert done.code == 0, done.err
        name_of, body = receiver.taken.pop()
        assert done.json == {"webhook_id": name_of, "answer": "status 204"}
        assert (body["type"], body["data"]) == (what, json.loads(example(topic, name)))


def test_a_receiver_that_does_not_take_an_example_is_an_error(livesegment, receiver) -> None:
    receiver.status = 500
    done = livesegment("trigger", "cart.abandoned", "--forward-to", receiver.url, LIVESEGMENT_WEBHOOK_SECRET=SECRET)
    assert (done.code, receiver.refused) == (1, 1)
    assert "did not take cart.abandoned: status 500" in done.err

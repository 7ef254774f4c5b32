"""Forwarding on a real broker to a real receiver: signed, in order per customer, nothing lost while it is away."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from kafka import KafkaProducer

from schemas.topics import CART_TRIGGERS
from stream import topics
from stream.clients import kafka_admin
from stream.commands.trigger import example
from stream.embedded.server import Server
from stream.settings import Settings, load
from stream.webhooks.forward import LONGEST_PAUSE_S, Forwarder
from stream.webhooks.message import key_of
from stream.webhooks.receiver import Receiver
from tests.kit import receiver as kit

pytestmark = pytest.mark.broker

SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
CUSTOMERS = 7


@pytest.fixture
def settings(start_broker: Callable[[], Server]) -> Settings:
    made = load(kafka=start_broker().address, partitions=2, session_timeout_s=6)
    with kafka_admin(made) as admin:
        topics.create(admin, made)
    return made


@pytest.fixture
def receiver() -> Iterator[kit.Receiver]:
    started = kit.Receiver(SECRET)
    yield started
    started.close()


def publish(settings: Settings, numbers: range) -> None:
    """Trigger `n` is customer `n mod 7`'s."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka, enable_idempotence=False)
    for number in numbers:
        customer = f"c{number % CUSTOMERS}\n"
        value = orjson.loads(example(CART_TRIGGERS, "abandoned")) | {"id": str(number), "customer_id": customer}
        producer.send(CART_TRIGGERS, orjson.dumps(value), customer.encode(), partition=number % CUSTOMERS % 2)
    producer.flush()
    producer.close()


@contextmanager
def forwarding(settings: Settings, to: kit.Receiver, folder: Path, longest_pause_s: float = 0.1) -> Iterator[Forwarder]:
    """A forwarder in a thread, which ends with the block."""
    stop = threading.Event()
    forwarder = Forwarder(
        settings,
        CART_TRIGGERS,
        Receiver(to.url),
        key_of(SECRET),
        stop=stop,
        say=lambda _: None,
        dead_letters=folder / "dead.jsonl",
        longest_pause_s=longest_pause_s,
    )
    thread = threading.Thread(target=forwarder.run, args=("hooks",), kwargs={"from_start": True})
    thread.start()
    try:
        yield forwarder
    finally:
        stop.set()
        thread.join()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.02)


def heard(to: kit.Receiver) -> dict[str, list[int]]:
    """Numbers by customer, in the order of their first arrival."""
    found: dict[str, list[int]] = {}
    for number, customer in dict.fromkeys(
        (int(said["data"]["id"]), said["data"]["customer_id"]) for _, said in to.taken
    ):
        found.setdefault(customer, []).append(number)
    return found


def expect_all_in_order(to: kit.Receiver, count: int) -> None:
    by_customer = heard(to)
    assert sorted(number for numbers in by_customer.values() for number in numbers) == list(range(count))
    assert all(numbers == sorted(numbers) for numbers in by_customer.values())


def test_a_receiver_that_fails_gets_everything_afterwards_in_order_per_customer(
    settings: Settings, receiver: kit.Receiver, tmp_path: Path
) -> None:
    publish(settings, range(20))
    with forwarding(settings, receiver, tmp_path):
        until(lambda: len(heard(receiver)) == CUSTOMERS)
        receiver.status = 503
        publish(settings, range(20, 60))
        until(lambda: receiver.refused >= 8)
        receiver.status = 204
        until(lambda: len(receiver.taken) >= 60)
    expect_all_in_order(receiver, 60)
    assert all(said["type"] == "cart.abandoned" for _, said in receiver.taken)
    assert len({name for name, _ in receiver.taken}) == 60
    assert not (tmp_path / "dead.jsonl").exists()


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_a_receiver_that_fails_for_five_minutes_gets_everything_afterwards(
    settings: Settings, receiver: kit.Receiver, tmp_path: Path
) -> None:
    receiver.status = 500
    with forwarding(settings, receiver, tmp_path, LONGEST_PAUSE_S):
        for part in range(10):
            publish(settings, range(200 * part, 200 * (part + 1)))
            time.sleep(30.0)
        assert receiver.refused >= 10
        receiver.status = 204
        until(lambda: len(dict(receiver.taken)) >= 2_000)
    expect_all_in_order(receiver, 2_000)
    assert not (tmp_path / "dead.jsonl").exists()


def test_a_forwarder_that_ends_goes_on_where_it_was(settings: Settings, receiver: kit.Receiver, tmp_path: Path) -> None:
    publish(settings, range(30))
    with forwarding(settings, receiver, tmp_path):
        until(lambda: len(receiver.taken) >= 5)
    with forwarding(settings, receiver, tmp_path) as second:
        publish(settings, range(30, 40))
        until(lambda: len(dict(receiver.taken)) >= 40)
        assert second.sent < 40
    expect_all_in_order(receiver, 40)


def test_a_message_that_is_refused_is_kept_in_a_file_and_the_next_is_sent(
    settings: Settings, receiver: kit.Receiver, tmp_path: Path
) -> None:
    receiver.status = 400
    publish(settings, range(1))
    with forwarding(settings, receiver, tmp_path) as forwarder:
        until(lambda: forwarder.buried == 1)
        receiver.status = 204
        publish(settings, range(1, 3))
        until(lambda: len(receiver.taken) == 2)
    (line,) = (tmp_path / "dead.jsonl").read_text().splitlines()
    kept = json.loads(line)
    assert (kept["topic"], kept["reason"], json.loads(kept["value"])["id"]) == (CART_TRIGGERS, "status 400", "0")

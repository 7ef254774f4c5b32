"""`livesegment listen`: one change a line, from now or from the start, of all segments or one."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kafka import KafkaProducer

from schemas.change import SegmentChanged
from schemas.fields import CUSTOMER_CHARS_MAX
from schemas.topics import CART_TRIGGERS, SEGMENT_CHANGES
from stream import topics
from stream.clients import kafka_admin
from stream.commands.listen import concerns, secret_of
from stream.commands.trigger import example
from stream.errors import WrongSettings
from stream.sender import Sender
from stream.settings import load
from stream.webhooks.forward import group_of
from tests.kit.receiver import Receiver

pytestmark = pytest.mark.broker

SLOW = 60_000
STARTS_S = 60.0
SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
LONG = "x" * CUSTOMER_CHARS_MAX
NAMES = {1: "window shoppers", 2: "big spenders", 3: "lapsed"}


def change(customer, ver, previous, current):
    return SegmentChanged(
        id=f"{customer}:{ver}",
        customer_id=customer,
        ver=ver,
        epoch=1,
        previous=previous,
        current=current,
        previous_name=NAMES.get(previous, "warming_up"),
        current_name=NAMES[current],
        reason="behaviour",
        model=1,
        event_time=1_700_000_000_000 + ver,
    )


@pytest.fixture
def kafka(start_broker):
    settings = load(kafka=start_broker().address)
    with kafka_admin(settings) as admin:
        topics.create(admin, settings)
    return settings.kafka


def publish(kafka, changes):
    # Lingering makes one batch of them: within a batch the embedded broker's latest offset is a wrong one.
    producer = KafkaProducer(bootstrap_servers=kafka, enable_idempotence=False, linger_ms=200)
    for one in changes:
        producer.send(SEGMENT_CHANGES, one.model_dump_json().encode(), one.customer_id.encode())
    producer.flush()
    producer.close()


OLD = [change(f"c{i}", 1, None, 1 + i % 3) for i in range(30)]


def test_from_the_start_every_change_is_a_line(kafka, livesegment) -> None:
    publish(kafka, OLD)
    done = livesegment("listen", "--kafka", kafka, "--from-start", "--max", "30")
    assert done.code == 0, done.err
    found = [SegmentChanged.model_validate_json(line) for line in done.out.splitlines()]
    assert sorted(found, key=lambda c: c.id) == sorted(OLD, key=lambda c: c.id)


def test_one_segment_is_heard_by_id_and_by_name(kafka, livesegment) -> None:
    publish(kafka, [*OLD, change("c0", 2, 1, 2), change("c1", 2, 2, 3)])
    expected = {one.id for one in OLD if one.current == 2} | {"c0:2", "c1:2"}
    for segment in ("2", "Big Spenders"):
        done = livesegment(
            "listen", "--kafka", kafka, "--from-start", "--segment", segment, "--max", str(len(expected))
        )
        assert {json.loads(line)["id"] for line in done.out.splitlines()} == expected


def test_without_from_start_only_what_comes_later_is_heard(kafka) -> None:
    publish(kafka, OLD)
    words = ["listen", "--kafka", kafka, "--max", "3"]
    command = [sys.executable, "-m", "stream.commands", *words]
    later, deadline = 1, time.monotonic() + STARTS_S
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        # Nobody says when it listens: publish until it has heard three.
        while process.poll() is None and time.monotonic() < deadline:
            later += 1
            publish(kafka, [change("late", later, 1, 2)])
            time.sleep(0.1)
        process.terminate()
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert {json.loads(line)["customer_id"] for line in out.splitlines()} == {"late"}


def test_it_ends_by_itself_after_its_seconds(kafka, livesegment) -> None:
    done = livesegment("listen", "--kafka", kafka, "--for", "0.5")
    assert (done.code, done.out) == (0, "")


def test_a_record_that_is_no_change_is_passed_over(kafka, livesegment) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka, enable_idempotence=False)
    producer.send(SEGMENT_CHANGES, b"{}", b"c0", partition=0).get()
    producer.send(SEGMENT_CHANGES, OLD[0].model_dump_json().encode(), b"c0", partition=0).get()
    producer.close()
    done = livesegment("listen", "--kafka", kafka, "--from-start", "--max", "1")
    assert json.loads(done.out)["id"] == "c0:1"
    assert "not of segment-changes" in done.err


def test_a_reader_that_is_slow_costs_no_memory_and_misses_nothing(kafka) -> None:
    publish(kafka, [change(LONG, 1, None, 1)])
    command = [sys.executable, "-m", "stream.commands", "listen", "--kafka", kafka, "--from-start"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        before_mb = memory_mb(process.pid)
        publish(kafka, (change(LONG, ver, 1, 1) for ver in range(2, SLOW + 1)))
        # Nobody reads meanwhile: the pipe is full, and the rest has to wait in Kafka.
        time.sleep(3.0)
        lines += [process.stdout.readline() for _ in range(2, SLOW + 1)]
        grown_mb = memory_mb(process.pid) - before_mb
        process.terminate()
    assert process.returncode == 0
    assert [json.loads(line)["ver"] for line in lines] == list(range(1, SLOW + 1))
    assert grown_mb < sum(map(len, lines)) / 1e6 / 2


def memory_mb(pid: int) -> float:
    """The most memory that the process ever had."""
    said = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(said.split("VmHWM:")[1].split()[0]) / 1e3


def test_carts_are_forwarded_signed_by_a_group_of_the_receivers_own_that_goes_on_where_it_was(
    kafka, livesegment, tmp_path
) -> None:
    settings, receiver = load(kafka=kafka), Receiver(SECRET)
    environment = {
        "LIVESEGMENT_WEBHOOK_SECRET": SECRET,
        # The embedded broker lets a new group wait for half of its members' timeout.
        "LIVESEGMENT_SESSION_TIMEOUT_S": "4",
        "LIVESEGMENT_HEARTBEAT_S": "0.5",
    }
    words = ["listen", "--kafka", kafka, "--topic", CART_TRIGGERS, "--forward-to", receiver.url, "--max", "1"]
    with Sender(settings, (CART_TRIGGERS,)) as sender:
        sender.send(CART_TRIGGERS, [(b"c7", b"{}"), (b"c7", example(CART_TRIGGERS, "abandoned"))])
    first = livesegment(*words, "--from-start", "--dead-letters", "dead.jsonl", **environment)
    with Sender(settings, (CART_TRIGGERS,)) as sender:
        sender.send(CART_TRIGGERS, [(b"c7", example(CART_TRIGGERS, "recovered"))])
    second = livesegment(*words, "--from-start", **environment)
    other = livesegment(*words, "--for", "0", "--group", "other", **environment)
    receiver.close()
    assert [done.code for done in (first, second, other)] == [0, 0, 0], first.err + second.err + other.err
    own = group_of(settings.app_id, CART_TRIGGERS, receiver.url)
    assert [f"as group {own}\n" in done.err for done in (first, second, other)] == [True, True, False]
    assert "as group other\n" in other.err
    assert [body["type"] for _, body in receiver.taken] == ["cart.abandoned", "cart.recovered"]
    kept = json.loads((tmp_path / "dead.jsonl").read_text())
    assert (kept["topic"], kept["value"], kept["webhook_id"]) == (CART_TRIGGERS, "{}", None)
    assert "1 taken, 1 kept in the dead-letter file" in first.err


def test_without_a_secret_nothing_can_be_forwarded() -> None:
    with pytest.raises(WrongSettings, match="set LIVESEGMENT_WEBHOOK_SECRET"):
        secret_of(load())


def test_a_segment_is_matched_on_both_sides_of_a_change() -> None:
    move = change("c", 2, 1, 2).model_dump()
    assert [concerns(move, segment) for segment in ("1", "2", "3", "window shoppers", "LAPSED")] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert not concerns(change("c", 1, None, 2).model_dump(), "None")

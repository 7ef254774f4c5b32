"""`livesegment simulate` against a real broker: what it says it sent is what is there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter

import numpy as np
import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition

from schemas.topics import CLICKSTREAM, PURCHASES
from stream import topics
from stream.clients import kafka_admin
from stream.errors import WrongUsage
from stream.partitioner import partition_of
from stream.settings import load
from stream.shoppers import POISON, Config, generate

pytestmark = pytest.mark.broker


@pytest.fixture
def kafka(start_broker):
    """Address of a broker of the test's own, with topics."""
    settings = load(kafka=start_broker().address)
    with kafka_admin(settings) as admin:
        topics.create(admin, settings)
    return settings.kafka


def everything(kafka, topic, count):
    """`count` records of a topic, partition by partition in their order; a broken test waits for them in vain."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, max_partition_fetch_bytes=1 << 21)
    places = [TopicPartition(topic, number) for number in range(4)]
    consumer.assign(places)
    consumer.seek_to_beginning()
    found = {place.partition: [] for place in places}
    for _ in range(200):
        for place, records in consumer.poll(timeout_ms=200).items():
            found[place.partition] += [(record.key, record.value) for record in records]
        if sum(map(len, found.values())) >= count and not consumer.poll(timeout_ms=300):
            break
    consumer.close()
    return found


def test_what_is_said_to_be_sent_is_in_the_topics_and_in_the_right_partitions(kafka, livesegment) -> None:
    words = ["simulate", "--kafka", kafka, "--customers", "200", "--events", "3000", "--rate", "max", "--json"]
    done = livesegment(*words, "--duplicates", "0.05", "--disorder", "30", "--poison", "0.02")
    assert done.code == 0, done.err
    said = done.json
    config = Config(customers=200, events=3000, duplicates=0.05, disorder_s=30, poison=0.02)
    expected = {CLICKSTREAM: [], PURCHASES: []}
    for chunk in generate(config, np.random.default_rng(7)):
        expected[CLICKSTREAM] += chunk.clickstream
        expected[PURCHASES] += chunk.purchases
    assert sum(said["events"].values()) == 3000
    assert said["sent"] == sum(said["topics"].values()) == sum(map(len, expected.values()))
    assert said["duplicates"] > 0
    assert sum(said["poison"].values()) > 0
    for topic, records in expected.items():
        found = everything(kafka, topic, said["topics"][topic])
        assert Counter(pair for pairs in found.values() for pair in pairs) == Counter((r[0], r[1]) for r in records)
        for number, pairs in found.items():
            keyed = [(key, value) for key, value in pairs if key is not None]
            assert {partition_of("murmur2", key, 4) for key, _ in keyed} <= {number}
            in_order = [
                (r[0], r[1]) for r in records if r[0] is not None and partition_of("murmur2", r[0], 4) == number
            ]
            assert keyed == in_order
    assert any(record[3] == POISON for record in expected[CLICKSTREAM])


def test_the_totals_are_said_in_words(kafka, livesegment) -> None:
    done = livesegment("simulate", "--kafka", kafka, "--events", "500", "--rate", "max")
    assert done.code == 0
    lines = {line.split()[0]: line.split()[1] for line in done.out.splitlines() if line.strip()}
    assert lines["events"] == "500"
    assert {"orders", "revenue", "refunds", "duplicates", "poison", "view_item"} <= set(lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_flushes_and_prints_what_it_sent(kafka, number, eventually) -> None:
    words = [sys.executable, "-m", "stream.commands", "simulate", "--kafka", kafka, "--rate", "400", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        consumer = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
        consumer.assign([TopicPartition(CLICKSTREAM, partition) for partition in range(4)])
        consumer.seek_to_beginning()
        assert eventually(lambda: bool(consumer.poll(timeout_ms=100)))
        consumer.close()
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == 0, err
    said = json.loads(out.splitlines()[-1])
    for topic in (CLICKSTREAM, PURCHASES):
        found = everything(kafka, topic, said["topics"][topic])
        assert sum(map(len, found.values())) == said["topics"][topic]


def test_real_time_is_stamped_with_the_present(kafka, livesegment) -> None:
    words = ["--events", "200", "--rate", "400", "--start", "now", "--acceleration", "1"]
    before_ms = generate_now_ms()
    done = livesegment("simulate", "--kafka", kafka, *words, "--json")
    found = everything(kafka, CLICKSTREAM, done.json["topics"][CLICKSTREAM])
    times = [orjson.loads(value)["event_time"] for pairs in found.values() for _, value in pairs]
    assert before_ms <= min(times) <= max(times) <= min(times) + 500


def generate_now_ms() -> int:
    import time

    return int(time.time() * 1_000)


def test_without_topics_it_says_which_and_what_to_do(start_broker, livesegment) -> None:
    done = livesegment("simulate", "--kafka", start_broker().address, "--events", "1")
    assert done.code == 1
    assert "no topic clickstream, purchases" in done.err
    assert "livesegment topics create" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "words", [["--rate", "0"], ["--rate", "fast"], ["--start", "yesterday"], ["--acceleration", "2", "--rate", "max"]]
)
def test_what_cannot_be_meant_is_wrong_usage(words, livesegment) -> None:
    done = livesegment("simulate", *words)
    assert done.code == WrongUsage.exit_code
    assert done.err.count("\n") == 1

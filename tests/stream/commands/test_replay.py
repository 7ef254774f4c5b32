"""`livesegment replay` against a real broker: every row once, in order, and --wait means applied and committed."""

from __future__ import annotations

import json
import subprocess
import sys

import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from schemas.topics import CLICKSTREAM, PURCHASES
from stream import topics
from stream.clients import kafka_admin
from stream.commands.replay import pacer
from stream.partitioner import partition_of
from stream.replay import Outgoing
from stream.settings import load

pytestmark = pytest.mark.broker


@pytest.fixture
def kafka(start_broker):
    settings = load(kafka=start_broker().address)
    with kafka_admin(settings) as admin:
        topics.create(admin, settings)
    return settings.kafka


@pytest.fixture
def shop(tmp_path):
    """A file of 600 rows: 500 views of 20 customers, then 100 order lines, every tenth without a customer."""
    path = tmp_path / "shop.csv"
    lines = ["event_id,event_time,event_type,buyer,product_id,price,quantity,order_id"]
    lines += [f"v{i},{1_700_000_000_000 + i},view_item,c{i % 20},p{i},1.5,," for i in range(500)]
    lines += [
        f"l{i},{1_700_000_001_000 + i},purchase,{f'c{i % 20}' if i % 10 else ''},p{i},2.5,{i + 1},o{i // 5}"
        for i in range(100)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def read(kafka, topic, count):
    consumer = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, number) for number in range(4)])
    consumer.seek_to_beginning()
    found = []
    for _ in range(200):
        for records in consumer.poll(timeout_ms=200).values():
            found += records
        if len(found) >= count:
            break
    consumer.close()
    return found


def test_every_row_is_sent_once_to_its_topic_and_partition_in_the_files_order(kafka, shop, livesegment) -> None:
    done = livesegment("replay", shop, "--kafka", kafka, "--map", "customer_id=buyer", "--json")
    assert done.code == 0, done.err
    assert done.json["rows"] == 600
    assert done.json["events"] == {CLICKSTREAM: 500, PURCHASES: 100}
    views, lines = read(kafka, CLICKSTREAM, 500), read(kafka, PURCHASES, 100)
    assert {orjson.loads(record.value)["event_id"] for record in views} == {f"v{i}" for i in range(500)}
    assert {orjson.loads(record.value)["event_id"] for record in lines} == {f"l{i}" for i in range(100)}
    assert {orjson.loads(record.value)["event_type"] for record in lines} == {"order_line"}
    for record in views + lines:
        event = orjson.loads(record.value)
        assert record.key == (event["customer_id"].encode() if "customer_id" in event else None)
        assert record.key is None or record.partition == partition_of("murmur2", record.key, 4)
    keyless = [record for record in lines if record.key is None]
    assert len(keyless) == 10
    assert {record.partition for record in keyless} == {0, 1, 2, 3}
    for number in range(4):
        times = [orjson.loads(record.value)["event_time"] for record in views if record.partition == number]
        assert times == sorted(times)


def test_wait_returns_only_when_the_jobs_group_has_committed_everything(kafka, shop) -> None:
    words = ["replay", str(shop), "--kafka", kafka, "--map", "customer_id=buyer", "--wait", "--json"]
    command = [sys.executable, "-m", "stream.commands", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        ends = {}
        for topic, count in ((CLICKSTREAM, 500), (PURCHASES, 100)):
            for record in read(kafka, topic, count):
                place = TopicPartition(topic, record.partition)
                ends[place] = max(ends.get(place, 0), record.offset + 1)
        job = KafkaConsumer(bootstrap_servers=kafka, group_id="livesegment", enable_auto_commit=False)
        job.assign(list(ends))
        *most, last = ends
        for place in most:
            job.commit({place: OffsetAndMetadata(ends[place], "", -1)})
        job.commit({last: OffsetAndMetadata(ends[last] - 1, "", -1)})
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        job.commit({last: OffsetAndMetadata(ends[last], "", -1)})
        out, err = process.communicate()
        job.close()
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["rows"] == 600


def test_a_replay_at_a_multiple_of_real_time_takes_that_share_of_it(kafka, shop, livesegment) -> None:
    done = livesegment("replay", shop, "--kafka", kafka, "--map", "customer_id=buyer", "--speed", "2", "--json")
    # The rows span 1.1 s; whatever else the machine does, it cannot be sooner than half of that.
    assert done.json["seconds"] >= 0.54


def test_pacing_keeps_every_record_in_order() -> None:
    records = [Outgoing(CLICKSTREAM, b"k", b"%d" % i, None if i % 3 else 1_000 + i) for i in range(5_000)]
    for factor in (None, 1e6):
        pace = pacer(factor)
        assert [record for group in pace(records) for record in group] == records
        assert all(len(group) <= 2_000 for group in pace(records))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["absent.csv"], 3, "absent.csv does not exist"),
        (["shop.csv"], 2, "--map customer_id=COLUMN"),
        (["shop.csv", "--map", "customer_id"], 2, "FIELD=COLUMN"),
        (["shop.csv", "--map", "customer_id=nobody"], 2, "no such column"),
        (["shop.csv", "--speed", "fast"], 2, "--speed"),
    ],
)
@pytest.mark.usefixtures("shop")
def test_a_mistake_is_one_clear_line(kafka, livesegment, words, code, says) -> None:
    done = livesegment("replay", *words, "--kafka", kafka)
    assert done.code == code
    assert says in done.err
    assert done.err.count("\n") == 1

from __future__ import annotations

import json

import pytest
from kafka import KafkaProducer, TopicPartition

from schemas.topics import CLICKSTREAM, DEAD_LETTERS, SEGMENT_METRICS
from stream.peek import peek
from stream.settings import load

pytestmark = pytest.mark.broker

NOW_MS = 1_700_000_000_000


def event(number: int, customer: str) -> dict:
    return {"event_id": f"e{number}", "event_type": "page_view", "customer_id": customer, "event_time": NOW_MS + number}


def send(kafka: str, values: list[bytes], topic: str = CLICKSTREAM, partition: int | None = None) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka, enable_idempotence=False)
    for value in values:
        key = json.loads(value)["customer_id"].encode() if value.startswith(b"{") else None
        producer.send(topic, value, key, partition=partition)
    producer.flush()
    producer.close()


def test_the_end_of_a_partition_is_right_where_the_broker_answers_wrongly(start_broker, livesegment) -> None:
    kafka = start_broker().address
    livesegment("topics", "create", "--kafka", kafka)
    send(kafka, [b"x"] * 10, SEGMENT_METRICS, 0)
    place = TopicPartition(SEGMENT_METRICS, 0)
    with peek(load(kafka=kafka)) as looking:
        assert looking.ends({place: 0}) == {place: 10}
        assert [record.offset for record in looking.last(SEGMENT_METRICS, 3)] == [7, 8, 9]
        assert len(looking.last(SEGMENT_METRICS, 99)) == 10


def test_every_event_is_accounted_for_and_the_counts_need_no_worker(start_up, livesegment, eventually) -> None:
    up = start_up("--no-simulate", "--clock", "event")
    up.wait_until_ready()
    events = [event(number, f"c{number % 7}") for number in range(50)]
    lines = [json.dumps(one).encode() for one in [*events, events[0], events[1]]]
    send(up.endpoints()["kafka"], [*lines, b"not json"])

    def state() -> dict:
        return livesegment("status", "--data-dir", up.data_dir, "--json").json

    def at_rest() -> bool:
        now = state()
        return now["events"]["read"] == 53 and now["lag"] == 0 and now["customers"] == 7

    assert eventually(at_rest)
    now = state()
    assert now["events"] == {"read": 53, "applied": 50, "duplicates": 2, "late": 0, "custom": 0, "dead_letters": 1}
    assert now["dead_letters"] == {"bad_json": 1}
    assert now["totals"] == {"orders": 0, "revenue_minor": 0, "refunds_minor": 0}
    assert now["model"] is None
    assert now["segments"] == [{"id": None, "name": "warming_up", "size": 7, "share": 1.0}]
    assert now["fenced"] is False
    assert [partition["partition"] for partition in now["partitions"]] == [0, 1, 2, 3]
    assert sum(partition["customers"] for partition in now["partitions"]) == 7
    assert "7" in livesegment("status", "--data-dir", up.data_dir).out

    found = livesegment("lookup", "c3", "--features", "--data-dir", up.data_dir, "--json").json
    assert (found["found"], found["name"], found["features"]["events"]) == (True, "warming_up", 7.0)
    assert found["features"]["last_seen"] == NOW_MS + 45
    unknown = livesegment("lookup", "nobody", "--features", "--data-dir", up.data_dir, "--json")
    assert (unknown.code, unknown.json["found"]) == (3, False)


def test_without_topics_status_says_what_to_do(start_broker, redis_url, livesegment) -> None:
    done = livesegment("status", "--kafka", start_broker().address, "--redis-url", redis_url)
    assert done.code == 1
    assert f"{DEAD_LETTERS}" in done.err
    assert "run `livesegment topics create`" in done.err
    assert "Traceback" not in done.err

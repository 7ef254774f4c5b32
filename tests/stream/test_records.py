"""Records come as aiokafka parsed them, on both brokers."""

from __future__ import annotations

import aiokafka
from aiokafka.structs import TopicPartition

from schemas.topics import CLICKSTREAM
from stream import topics
from stream.clients import kafka_admin
from stream.records import hand_on_as_parsed
from stream.settings import load


async def test_records_are_handed_on_as_they_were_parsed(either_broker: str) -> None:
    # aiokafka has no setting for it: private attributes that must not go away unnoticed.
    sent = [(b"k", b"v"), (None, b"w"), (b"k", None)]
    settings = load(kafka=either_broker)
    with kafka_admin(settings) as admin:
        topics.create(admin, settings)
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=either_broker) as producer:
        for key, value in sent:
            await producer.send_and_wait(CLICKSTREAM, value, key, partition=0, timestamp_ms=1_700_000_000_000)
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=either_broker, auto_offset_reset="earliest")
    await consumer.start()
    hand_on_as_parsed(consumer)
    consumer.assign([TopicPartition(CLICKSTREAM, 0)])
    found = []
    while len(found) < len(sent):
        for records in (await consumer.getmany(timeout_ms=1_000)).values():
            found += records
    await consumer.stop()
    assert not any(isinstance(record, aiokafka.ConsumerRecord) for record in found)
    said = [(record.offset, record.timestamp, record.key, record.value) for record in found]
    assert said == [(offset, 1_700_000_000_000, *pair) for offset, pair in enumerate(sent)]

"""Sends simulated events at a steady rate, in small batches as several shops' producers would. Run as a process."""

from __future__ import annotations

import asyncio
import sys
import time

import numpy as np

from schemas.topics import CLICKSTREAM, PURCHASES
from stream import shoppers
from stream.bench.lab import PARTITIONS
from stream.partitioner import partition_of
from stream.shoppers.config import DAY_MS, DEFAULT_START_MS

TICK_S = 0.01


async def main(bootstrap: str, rate_per_s: int, customers: int, seconds: float) -> None:
    """Send for so many seconds; every tick sends what is due."""
    import aiokafka  # noqa: PLC0415 (only this process needs it at the top)

    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks=1)
    await producer.start()
    records = made(int(rate_per_s * seconds), customers)
    began = time.monotonic()
    sent = 0
    try:
        while sent < len(records):
            due = min(len(records), int((time.monotonic() - began) * rate_per_s))
            if due > sent:
                for place, pairs in by_place(records[sent:due]).items():
                    batch = producer.create_batch()
                    for key, value in pairs:
                        batch.append(timestamp=None, key=key, value=value)
                    await producer.send_batch(batch, place[0], partition=place[1])
                sent = due
            await asyncio.sleep(TICK_S)
        await producer.flush()
    finally:
        await producer.stop()


def made(count: int, customers: int) -> list[tuple[str, int, bytes, bytes]]:
    """Make `count` records (topic, partition, key, value) of one seeded shop, after those that were preloaded."""
    later_ms = DEFAULT_START_MS + 30 * DAY_MS
    config = shoppers.Config(customers=customers, events=count, seed=2, start_ms=later_ms)
    out = []
    for chunk in shoppers.generate(config, np.random.default_rng(2)):
        due = [(record[2], CLICKSTREAM, record) for record in chunk.clickstream]
        due += [(record[2], PURCHASES, record) for record in chunk.purchases]
        due.sort(key=lambda one: one[0])
        for _, topic, (key, value, _, _) in due:
            out.append((topic, partition_of("murmur2", key or b"", PARTITIONS), key or b"", value or b""))
    return out


def by_place(
    records: list[tuple[str, int, bytes, bytes]],
) -> dict[tuple[str, int], list[tuple[bytes, bytes]]]:
    """Group records by topic and partition, in order."""
    places: dict[tuple[str, int], list[tuple[bytes, bytes]]] = {}
    for topic, partition, key, value in records:
        places.setdefault((topic, partition), []).append((key, value))
    return places


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))

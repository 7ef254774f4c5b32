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


async def main(bootstrap: str, rate_per_s: int, customers: int, seconds: float, seed: int | None = None) -> None:
    """Send for so many seconds; every tick sends what is due. With a seed, events are of that shop and of now."""
    import aiokafka  # noqa: PLC0415 (only this process needs it at the top)

    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks=1)
    await producer.start()
    count = int(rate_per_s * seconds)
    records = made(count, customers) if seed is None else made(count, customers, seed, rate_per_s)
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


def made(
    count: int, customers: int, seed: int = 2, rate_per_s: float | None = None
) -> list[tuple[str, int, bytes, bytes]]:
    """Make `count` records (topic, partition, key, value) of one seeded shop; two seeds share no event id.

    With a rate their times go on from now as they will be sent, else they are of an early month.
    """
    config = shoppers.Config(
        customers=customers,
        events=count,
        seed=seed,
        start_ms=int(time.time() * 1000) if rate_per_s else DEFAULT_START_MS + 30 * DAY_MS,
        rate_per_s=rate_per_s,
        acceleration=1.0 if rate_per_s else None,
    )
    out = []
    for chunk in shoppers.generate(config, np.random.default_rng(seed)):
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
    given = (int(word) for word in sys.argv[5:])
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), *given))

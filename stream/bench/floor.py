"""The floor: aiokafka getmany and json.loads over everything preloaded, and nothing else. Run as a process.

Prints its CPU seconds from the first fetch to the last record, and the records.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiokafka
from aiokafka.structs import TopicPartition


async def main(bootstrap: str, ends: dict[TopicPartition, int]) -> None:
    """Fetch up to the given ends."""
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=1 << 20
    )
    await consumer.start()
    consumer.assign(list(ends))
    await consumer.seek_to_beginning()
    left = sum(ends.values())
    loads = json.loads
    began = time.process_time()
    records = 0
    while left > 0:
        for batch in (await consumer.getmany(timeout_ms=1000)).values():
            for record in batch:
                loads(record.value)
            left -= len(batch)
            records += len(batch)
    spent = time.process_time() - began
    await consumer.stop()
    print(json.dumps({"cpu_s": spent, "records": records}))  # noqa: T201 (the answer)


if __name__ == "__main__":
    said = json.loads(sys.argv[2])
    asyncio.run(main(sys.argv[1], {TopicPartition(topic, number): end for topic, number, end in said}))

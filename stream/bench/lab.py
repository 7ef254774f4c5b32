"""A broker and a Redis of one measurement's own, records preloaded into them, and processes that are timed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiokafka
import numpy as np
import orjson
from kafka import KafkaConsumer, TopicPartition

from schemas.topics import CLICKSTREAM, PURCHASES
from stream import shoppers, topics
from stream.clients import kafka_admin
from stream.embedded.broker import broker
from stream.embedded.kafka import kafka
from stream.embedded.redis import redis, url
from stream.partitioner import partition_of
from stream.replay.applied import wait_until_applied
from stream.settings import Settings, load

MONTH_S = 30 * 86_400
PARTITIONS = 4
BATCH_BYTES = 256 * 1024
CUSTOMER_PREFIX = shoppers.Config().customer_prefix
READY_S = 60.0

Ends = dict[tuple[str, int], int]
BROKERS = {"embedded": broker, "kafka": kafka}
"""Brokers to measure on; Apache Kafka needs Java and Maven."""


@dataclass(slots=True)
class Load:
    """Records by (topic, partition), made once and sent to as many brokers as there are runs."""

    records: dict[tuple[str, int], list[tuple[bytes, bytes]]] = field(default_factory=dict)
    count: int = 0

    def add(self, topic: str, key: bytes, value: bytes) -> None:
        """Add one record to the partition that its key hashes to."""
        place = (topic, partition_of("murmur2", key, PARTITIONS))
        self.records.setdefault(place, []).append((key, value))
        self.count += 1


def shop(events: int, customers: int, seed: int = 1) -> Load:
    """Make simulated shoppers without disturbance, of the month before now: what every stage is fed."""
    made = Load()
    for key, value, topic in _shoppers(events, customers, seed):
        made.add(topic, key, value)
    return made


def halves(events: int, customers: int, seed: int = 1) -> tuple[Load, Load]:
    """Make the same in two loads: the first half of the time, and the second."""
    first, second = Load(), Load()
    for key, value, topic in _shoppers(events, customers, seed):
        (first if first.count < events // 2 else second).add(topic, key, value)
    return first, second


def acquainted(events: int, customers: int) -> Load:
    """Make `shop`'s, and one look at a product by each customer who did not come in that time: all are known then."""
    made = shop(events, customers)
    met = {key for pairs in made.records.values() for key, _ in pairs}
    began_ms, step_ms = int(time.time() - MONTH_S) * 1000, MONTH_S * 1000 // customers
    for number in range(customers):
        customer = f"{CUSTOMER_PREFIX}{number:07d}"
        if (key := customer.encode()) not in met:
            event = {
                "event_id": f"look-{customer}",
                "event_type": "view_item",
                "customer_id": customer,
                "event_time": began_ms + number * step_ms,
                "product_id": f"p{number % 5000}",
                "price": 19.99,
                "quantity": 1,
            }
            made.add(CLICKSTREAM, key, orjson.dumps(event))
    return made


def _shoppers(events: int, customers: int, seed: int) -> Iterator[tuple[bytes, bytes, str]]:
    month = shoppers.Config(
        customers=customers,
        events=events,
        rate_per_s=1.0,
        acceleration=MONTH_S / events,
        start_ms=int(time.time() - MONTH_S) * 1000,
    )
    for chunk in shoppers.generate(month, np.random.default_rng(seed)):
        for topic, records in ((CLICKSTREAM, chunk.clickstream), (PURCHASES, chunk.purchases)):
            for key, value, _, _ in records:
                yield key or b"", value or b"", topic


@dataclass(slots=True)
class Lab:
    """One broker and one Redis with the topics created."""

    settings: Settings
    folder: Path
    environment: dict[str, str]
    workers: int = 0

    def preload(self, given: Load) -> Ends:
        """Send a load; return the offsets after it."""
        return asyncio.run(send(self.settings.kafka, given.records))

    @contextlib.contextmanager
    def worker(self, *options: str, **environment: str) -> Iterator[Timed]:
        """Run a worker; on entry it has recovered, on exit it ended by SIGTERM."""
        self.workers += 1
        ready = self.folder / f"ready-{self.workers}"
        command = [sys.executable, "-m", "stream.commands", "worker", *options]
        env = {**self.environment, **environment, "LIVESEGMENT_READY_FILE": str(ready)}
        with timed(command, env, self.folder / f"worker-{self.workers}.log") as process:
            deadline = time.monotonic() + READY_S
            while not (ready.exists() and ready.read_text(encoding="ascii").endswith("\n")):
                if time.monotonic() > deadline or process.popen.poll() is not None:
                    raise RuntimeError(f"the worker did not start: {process.log.read_text(encoding='utf-8')[-2000:]}")
                time.sleep(0.02)
            process.before_s = float(ready.read_text(encoding="ascii"))
            yield process

    def wait(self, ends: Ends) -> None:
        """Return once everything is applied and committed."""
        wait_until_applied(self.settings, ends)

    @contextlib.contextmanager
    def feeding(self, rate_per_s: int, customers: int, seconds: float, seed: int | None = None) -> Iterator[None]:
        """Let shoppers shop at the rate for so long, from a process of their own (`feed`); on entry it sends."""
        words = [self.settings.kafka, str(rate_per_s), str(customers), str(seconds), *([str(seed)] if seed else [])]
        command = [sys.executable, "-m", "stream.bench.feed", *words]
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka, enable_auto_commit=False)
        places = [TopicPartition(CLICKSTREAM, number) for number in range(PARTITIONS)]
        before = consumer.end_offsets(places)
        process = subprocess.Popen(command, env=self.environment)  # noqa: S603 (our own command)
        try:
            deadline = time.monotonic() + READY_S
            while consumer.end_offsets(places) == before:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError("the shoppers did not start")
                time.sleep(0.05)
            yield
        finally:
            consumer.close()
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def lab(kind: str = "embedded") -> Iterator[Lab]:
    """Start a broker of that kind and a Redis; everything ends and is removed with the block."""
    with tempfile.TemporaryDirectory(prefix="livesegment-bench-") as name:
        folder = Path(name)
        with BROKERS[kind](folder) as served, redis(folder) as store:
            settings = load(kafka=served.address, redis_url=url(store), data_dir=folder, partitions=PARTITIONS)
            with kafka_admin(settings) as admin:
                topics.create(admin, settings)
            environment = {
                **os.environ,
                "LIVESEGMENT_KAFKA": settings.kafka,
                "LIVESEGMENT_REDIS_URL": settings.redis_url,
                "LIVESEGMENT_PARTITIONS": str(PARTITIONS),
                "LIVESEGMENT_SESSION_TIMEOUT_S": "6",
                "LIVESEGMENT_LOG_LEVEL": "warning",
            }
            yield Lab(settings, folder, environment)


@dataclass(slots=True)
class Timed:
    """A process whose CPU and memory are read from the kernel."""

    popen: subprocess.Popen[bytes]
    log: Path
    before_s: float = 0.0

    def cpu_s(self) -> float:
        """CPU seconds of all its threads since `before_s`."""
        stat = Path(f"/proc/{self.popen.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK") - self.before_s

    def resident_bytes(self) -> int:
        """Memory that is in use now."""
        return int(Path(f"/proc/{self.popen.pid}/statm").read_text(encoding="ascii").split()[1]) * 4096


@contextlib.contextmanager
def timed(command: list[str], env: Mapping[str, str], log: Path) -> Iterator[Timed]:
    """Run a command of ours; SIGTERM on exit, SIGKILL if that does not end it."""
    with log.open("wb") as out:
        popen = subprocess.Popen(command, env=dict(env), stderr=out)  # noqa: S603 (our own command)
    try:
        yield Timed(popen, log)
    finally:
        popen.send_signal(signal.SIGTERM)
        try:
            popen.wait(15)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


async def send(bootstrap: str, records: Mapping[tuple[str, int], Iterable[tuple[bytes, bytes]]]) -> Ends:
    """Send records in large batches, partition by partition; return the offsets after them."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=BATCH_BYTES)
    await producer.start()
    ends: Ends = {}
    try:
        for (topic, partition), pairs in records.items():
            batch, count = producer.create_batch(), 0
            acks = []
            for key, value in pairs:
                if batch.append(timestamp=None, key=key, value=value) is None:
                    acks.append((await producer.send_batch(batch, topic, partition=partition), count))
                    batch, count = producer.create_batch(), 0
                    batch.append(timestamp=None, key=key, value=value)
                count += 1
            if count:
                acks.append((await producer.send_batch(batch, topic, partition=partition), count))
            for future, size in acks:
                ends[topic, partition] = (await future).offset + size
    finally:
        await producer.stop()
    return ends

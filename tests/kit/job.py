"""A whole job for a test: topics, workers as real processes, shoppers sent and waited for, state read back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import redis
from kafka import KafkaConsumer, TopicPartition

from models.batch import SOURCES
from models.columns import COLUMNS, CustomerTable
from schemas.topics import CLICKSTREAM, PURCHASES, SEGMENT_CHANGES, SEGMENT_METRICS
from stream import shoppers, topics
from stream.changelog_reader import State, read_state
from stream.clients import kafka_admin
from stream.replay.applied import wait_until_applied
from stream.sender import Sender
from stream.settings import Settings, load

READY_S = 60.0
WORKER = (sys.executable, "-m", "stream.commands", "worker", "--clock", "event")


class Job:
    """One job on the given broker and Redis. A context manager: every worker it started ends with it."""

    def __init__(self, kafka: str, redis_url: str, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.settings: Settings = load(kafka=kafka, redis_url=redis_url, data_dir=folder)
        self.redis = redis.Redis.from_url(redis_url, decode_responses=True)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.ends: dict[tuple[str, int], int] = {}
        self._environment = {
            **os.environ,
            "LIVESEGMENT_KAFKA": kafka,
            "LIVESEGMENT_REDIS_URL": redis_url,
            "LIVESEGMENT_DATA_DIR": str(folder),
            "LIVESEGMENT_SESSION_TIMEOUT_S": "6",
            "LIVESEGMENT_COMMIT_INTERVAL_S": "0.5",
            "LIVESEGMENT_METRICS_INTERVAL_S": "1",
            **environment,
        }
        with kafka_admin(self.settings) as admin:
            topics.create(admin, self.settings)

    def start_worker(
        self, *options: str, ready: bool = True, command: Sequence[str] = WORKER
    ) -> subprocess.Popen[bytes]:
        """Start a worker process; return once it has recovered its partitions, unless not `ready`."""
        number = len(self.workers)
        ready_file = self.folder / f"ready-{number}"
        log = (self.folder / f"worker-{number}.log").open("wb")
        worker = subprocess.Popen(
            [*command, *options],
            env={**self._environment, "LIVESEGMENT_READY_FILE": str(ready_file)},
            stderr=log,
        )
        log.close()
        self.workers.append(worker)
        if ready:
            self.until(lambda: ready_file.exists() or worker.poll() is not None, READY_S, "a worker that is ready")
            assert worker.poll() is None, self.log(number)
        return worker

    def log(self, number: int = -1) -> str:
        """Everything that a worker wrote to standard error."""
        return (self.folder / f"worker-{number % len(self.workers)}.log").read_text(encoding="utf-8")

    def send(self, records: dict[str, Iterable[tuple[bytes | None, bytes | None]]]) -> None:
        """Send `(key, value)` records by topic, acknowledged."""
        with Sender(self.settings, records) as sender:
            for topic, pairs in records.items():
                sender.send(topic, pairs)
            sender.flush()
            # Nothing of the group's commits what it does not read, such as a changelog's row.
            self.ends.update({place: end for place, end in sender.ends().items() if place[0] in SOURCES})

    def shop(self, config: shoppers.Config, seed: int = 1) -> shoppers.Totals:
        """Send simulated shoppers; return what they did."""
        totals = shoppers.Totals()
        with Sender(self.settings, SOURCES) as sender:
            for chunk in shoppers.generate(config, np.random.default_rng(seed)):
                sender.send(CLICKSTREAM, [(key, value) for key, value, _, _ in chunk.clickstream])
                sender.send(PURCHASES, [(key, value) for key, value, _, _ in chunk.purchases])
                totals.add(chunk.totals)
            sender.flush()
            self.ends.update(sender.ends())
        return totals

    def wait(self) -> None:
        """Return once everything sent is applied and committed; the test's timeout bounds it."""
        wait_until_applied(self.settings, self.ends)

    def state(self) -> State:
        """Durable state, from the changelog."""
        return read_state(self.settings)

    def changes(self) -> list[dict[str, Any]]:
        """Every change event so far, in order within each partition."""
        return self._read(SEGMENT_CHANGES, self.settings.partitions)

    def readings(self) -> list[dict[str, Any]]:
        """Every reading of a metric so far."""
        return self._read(SEGMENT_METRICS, 1)

    def _read(self, topic: str, partitions: int) -> list[dict[str, Any]]:
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka, enable_auto_commit=False)
        sources = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(sources)
        consumer.seek_to_beginning()
        found: list[dict[str, Any]] = []
        quiet = 0
        while quiet < 3:
            fetched = consumer.poll(timeout_ms=500)
            quiet = 0 if fetched else quiet + 1
            found += [json.loads(record.value) for records in fetched.values() for record in records]
        consumer.close()
        return found

    @staticmethod
    def stop(worker: subprocess.Popen[bytes], timeout_s: float = 15.0) -> int:
        """SIGTERM; returns the exit code."""
        worker.send_signal(signal.SIGTERM)
        return worker.wait(timeout_s)

    @staticmethod
    def until(condition: object, timeout_s: float, what: str) -> None:
        """Wait for a condition; fail saying what was waited for."""
        deadline = time.monotonic() + timeout_s
        while not condition():  # type: ignore[operator]
            assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
        self.redis.close()


def customers(state: State) -> dict[str, np.ndarray]:
    """Row of every customer by id."""
    found = {}
    for partition in state.partitions:
        table: CustomerTable = partition.table
        rows = table.gather(np.arange(len(table)))
        found.update(zip(table.ids, rows, strict=True))
    return found


def totals(state: State) -> Counter[str]:
    """Sums of the counting columns over all customers, and of the counted positions."""
    names = ("events", "duplicates", "late", "custom", "orders", "spend_minor", "refunds_minor")
    sums: Counter[str] = Counter({name: sum(p.total(name) for p in state.partitions) for name in names})
    for partition in state.partitions:
        for position in partition.meta.topics.values():
            sums["read"] += position.read
            sums["letters"] += position.letters
    return sums


FEATURE_COLUMNS = tuple(range(COLUMNS.index("first_seen"), COLUMNS.index("next_purchases") + 1))
"""The columns that the events alone decide: everything but the published part."""

"""What a fault is, and what most faults need to know of a house."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import ClassVar, Protocol

from kafka import KafkaConsumer, TopicPartition

from schemas.snapshot import ModelSnapshot
from schemas.topics import SEGMENT_MODELS
from tests.proof.house import House


class Fault(Protocol):
    """One kind of fault: a class without state whose docstring says what breaks, and why it must not matter."""

    name: ClassVar[str]
    """How it is asked for on the command line, and what the table of results says."""
    kind: ClassVar[str]
    """What is hit: `worker`, `kafka`, `redis`, `network`, `model` or `input`; `refusal` where the job must stop."""
    needs: ClassVar[frozenset[str]]
    """What a house must have: `kafka` (Apache's, not the embedded one), `proxy`, `disk`."""

    def run(self, house: House, random: Random) -> None:
        """Break something, wait, heal it. Returns when what broke is whole; the job may still be catching up."""


def running(house: House) -> list[int]:
    """Slots in which a worker runs; waits for one where all are being restarted."""
    house.until(house.workers.pids, 60.0, "a running worker")
    return [slot.number for slot in house.workers.slots if slot.pid]


@contextmanager
def for_a_while(random: Random, heal: Callable[[], object], low_s: float = 1.0, high_s: float = 4.0) -> Iterator[None]:
    """Leave broken what the block broke for a random time, then heal it, also where the block failed half-way."""
    try:
        yield
        time.sleep(random.uniform(low_s, high_s))
    finally:
        heal()


def newest_model(house: House) -> ModelSnapshot | None:
    """Return the newest valid snapshot in the topic of models; None before the first."""
    consumer = KafkaConsumer(bootstrap_servers=house.settings.kafka, enable_auto_commit=False)
    source = TopicPartition(SEGMENT_MODELS, 0)
    newest: ModelSnapshot | None = None
    try:
        consumer.assign([source])
        consumer.seek_to_beginning(source)
        quiet = 0
        while quiet < 2:
            fetched = consumer.poll(timeout_ms=300)
            quiet = 0 if fetched else quiet + 1
            for record in fetched.get(source, []):
                snapshot = _read(record.value)
                if snapshot is not None and (newest is None or snapshot.version >= newest.version):
                    newest = snapshot
    finally:
        consumer.close()
    return newest


def _read(value: bytes | None) -> ModelSnapshot | None:
    try:
        return ModelSnapshot.model_validate(json.loads(value or b""))
    except ValueError:
        return None

"""A Kafka broker's log: offsets, producer ids and epochs with their fence, repeated batches, compaction by key.

After Kafka's own rules (KIP-98): a batch of an older epoch than the last one that wrote to this log partition is
refused; a batch whose sequence numbers are known is acknowledged where it stands and not written again.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka.errors import InvalidProducerEpoch, OutOfOrderSequenceNumber

KEPT_BATCHES = 5
"""Batches of a producer whose place a broker remembers."""


class Entry(NamedTuple):
    """One record, as consumers are given it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int = 0


Payload = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]


@dataclass(slots=True)
class Producing:
    """What a log partition knows of one producer id."""

    epoch: int
    following: int = 0
    recent: list[tuple[int, int]] = field(default_factory=list)
    """(first sequence number, offset) of its last batches."""


class Log:
    """One partition of one topic."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.end = 0
        self.producers: dict[int, Producing] = {}
        self.refused = 0
        """Batches of fenced producers."""

    def append(self, payloads: Sequence[Payload], timestamp: int = 0) -> int:
        """Write records; returns the first one's offset."""
        first = self.end
        for number, (key, value, headers) in enumerate(payloads):
            self.entries.append(Entry(first + number, key, value, headers, timestamp))
        self.end += len(payloads)
        return first

    def append_idempotent(self, producer: tuple[int, int], sequence: int, payloads: Sequence[Payload]) -> int:
        """Write a batch of an idempotent producer `(id, epoch)`. Raises InvalidProducerEpoch and OutOfOrder..."""
        number, epoch = producer
        known = self.producers.get(number)
        if known is not None and epoch < known.epoch:
            self.refused += 1
            raise InvalidProducerEpoch
        if known is None or epoch > known.epoch:
            if sequence != 0:
                raise OutOfOrderSequenceNumber
            known = self.producers[number] = Producing(epoch)
        for first, offset in known.recent:
            if first == sequence:
                return offset
        if sequence < known.following:
            return -1
        if sequence > known.following:
            raise OutOfOrderSequenceNumber
        offset = self.append(payloads)
        known.following = sequence + len(payloads)
        known.recent = [*known.recent, (sequence, offset)][-KEPT_BATCHES:]
        return offset

    def read(self, offset: int, most: int) -> list[Entry]:
        """Return records from an offset on."""
        low, high = 0, len(self.entries)
        while low < high:
            middle = (low + high) // 2
            if self.entries[middle].offset < offset:
                low = middle + 1
            else:
                high = middle
        return self.entries[low : low + most]

    def compact(self, rng: random.Random) -> int:
        """Drop older records of some keys below a random point, as a cleaner may at any time; returns how many."""
        limit = rng.randrange(self.end + 1)
        last = {entry.key: entry.offset for entry in self.entries if entry.offset < limit}
        spared = {key for key in sorted(last, key=str) if rng.random() < 0.2}
        kept = [e for e in self.entries if e.offset >= limit or e.key in spared or e.offset == last[e.key]]
        gone = len(self.entries) - len(kept)
        self.entries = kept
        return gone


class Broker:
    """All topics of the job, and the transactional ids."""

    def __init__(self, *, fences: bool) -> None:
        self.fences = fences
        self.logs: defaultdict[tuple[str, int], Log] = defaultdict(Log)
        self.on_append: Callable[[str, int, int, Sequence[Payload], str], None] = lambda *_: None
        self._ids: dict[str, tuple[int, int]] = {}

    def init_producer_id(self, name: str | None) -> tuple[int, int]:
        """Give a producer its id and epoch: under a transactional id always the same id, and the next epoch."""
        if name is None:
            self._ids[f"\0{len(self._ids)}"] = (len(self._ids), 0)
            return len(self._ids) - 1, 0
        number, epoch = self._ids.get(name, (len(self._ids), -1))
        self._ids[name] = number, epoch + 1
        return number, epoch + 1

    def produce(
        self, topic: str, partition: int, payloads: Sequence[Payload], by: str, numbered: tuple[Any, int] | None
    ) -> int:
        """Write a batch; `numbered` is `((id, epoch), sequence)` of an idempotent producer. Returns its offset."""
        log = self.logs[topic, partition]
        end = log.end
        offset = log.append(payloads) if numbered is None else log.append_idempotent(*numbered, payloads)
        if log.end > end:
            self.on_append(topic, partition, offset, payloads, by)
        return offset

"""Kafka records as aiokafka parsed them, without the copy that it makes of each for its callers (reference: spike, 6).

aiokafka makes a `ConsumerRecord` of eleven fields of each record, which costs as much as parsing its JSON does in C.
What we read of a record, the parsed one has by the same names.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Protocol

import aiokafka
from aiokafka.consumer.fetcher import FetchResult


class Record(Protocol):
    """What we read of one record."""

    @property
    def offset(self) -> int:
        """Position in its partition."""

    @property
    def timestamp(self) -> int:
        """When it was produced, ms."""

    @property
    def key(self) -> bytes | None:
        """Kafka key, undecoded."""

    @property
    def value(self) -> bytes | None:
        """Kafka value, undecoded; None is a tombstone."""


class _Fetched(OrderedDict[Any, Any]):
    """A fetcher's answers by partition, whose records are handed on as they were parsed."""

    def __setitem__(self, tp: Any, found: Any) -> None:
        if isinstance(found, FetchResult):
            found._partition_records._consumer_record = _as_parsed  # noqa: SLF001 (no setting; guarded by a test)
        super().__setitem__(tp, found)


def _as_parsed(_tp: Any, record: Record) -> Record:
    return record


def hand_on_as_parsed(consumer: aiokafka.AIOKafkaConsumer) -> None:
    """Have a started consumer that has fetched nothing yet return records as they were parsed."""
    consumer._fetcher._records = _Fetched()  # noqa: SLF001 (no setting; guarded by a test)

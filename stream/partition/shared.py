"""What all partitions of a worker share: settings, decoding, clock, metrics, and how to end the process."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Coroutine
from typing import Any

import structlog

from stream import worker_state
from stream.broker_away import in_our_words
from stream.decode import Decoder
from stream.errors import LivesegmentError
from stream.metrics import Metrics
from stream.partition.decoding import Decoding
from stream.partitioner import partition_of
from stream.settings import Settings

log = structlog.get_logger(__name__)


class Shared:
    """One per worker process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        decoder = Decoder(
            currency=settings.currency,
            currency_digits=settings.currency_digits,
            unknown_events=settings.unknown_events,
            future_tolerance_s=settings.future_tolerance_s,
            time_zone=settings.time_zone,
        )
        self.decoding = Decoding(decoder, self.now_ms)
        self.metrics = Metrics()

    @staticmethod
    def now_ms() -> int:
        """System time in milliseconds; the only clock that partitions are given."""
        return time.time_ns() // 1_000_000

    def belongs(self, customer: str, key: bytes | None, partition: int) -> bool:
        """Whether a new customer's Kafka key is its id and hashes to this partition: else it would live in two."""
        if key != customer.encode():
            return False
        settings = self.settings
        return settings.partitioner == "unchecked" or partition == partition_of(
            settings.partitioner, key, settings.partitions
        )

    async def guarded(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run `work`; anything unexpected ends the process with its reason, nothing acknowledged."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 (fail stop: the process ends here)
            fail_stop(error)


def fail_stop(error: BaseException) -> None:
    """End this process at once, with the reason on standard error. Faust would acknowledge the batch and go on."""
    error = in_our_words(error) if isinstance(error, Exception) else error
    if isinstance(error, LivesegmentError):
        reason, code, what = error.reason(), error.exit_code, str(error)
        log.error("worker_stopped", reason=what)
    else:
        reason, code, what = "unexpected", 1, f"unexpected {type(error).__name__}: {error}"
        log.error("worker_stopped", reason=what, exc_info=error)
    worker_state.stopping(reason, code, what)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

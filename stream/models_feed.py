"""Every worker follows topic segment-models, without a consumer group, and swaps the model between groups of events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import aiokafka
import structlog
from aiokafka.structs import TopicPartition
from pydantic import ValidationError

from models.assign import Model
from schemas.snapshot import ModelSnapshot
from schemas.topics import SEGMENT_MODELS
from stream.errors import WrongSettings
from stream.metrics import Metrics
from stream.security import kafka_options
from stream.settings import Settings

log = structlog.get_logger(__name__)

GATE_TIMEOUT_S = 30.0
FOLLOW_MS = 250
"""Longest that one reader keeps the other waiting: a learner that catches up, and the worker that follows."""
SOURCE = TopicPartition(SEGMENT_MODELS, 0)
VERSION = re.compile(rb'"version":\s*(\d{1,15})[,}\s]')
"""Says which of many snapshots is the newest without reading them all."""


class ModelsFeed:
    """Reads snapshots as they are published; a bad one is refused and the last good one kept.

    Of several snapshots of one version the first in the topic counts, for every reader: so two learners that both
    believe to be in charge cannot give one id to two segments.
    """

    def __init__(
        self,
        settings: Settings,
        features: Sequence[str],
        adopt: Callable[[Model, ModelSnapshot], None],
        metrics: Metrics,
    ) -> None:
        self.latest: ModelSnapshot | None = None
        """The snapshot that is served."""
        self.newest: ModelSnapshot | None = None
        """The newest one that could be read, even if it is of other features: its ids must not be used again."""
        self._metrics = metrics
        self._settings = settings
        self._features = tuple(features)
        self._adopt = adopt
        self._reading = asyncio.Lock()
        self._consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=settings.kafka,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **kafka_options(settings),
        )

    async def start(self) -> None:
        """Read to the topic's present end: a worker must not judge by no model while there is one."""
        await self._consumer.start()
        self._consumer.assign([SOURCE])
        await self._consumer.seek_to_beginning(SOURCE)
        await self.catch_up()

    async def catch_up(self) -> None:
        """Return once everything that is in the topic now has been read."""
        # Snapshots are produced one a batch, so even a broker that answers with the last batch's base offset is right.
        end = (await self._consumer.end_offsets([SOURCE]))[SOURCE]
        async with asyncio.timeout(GATE_TIMEOUT_S):
            while await self._consumer.position(SOURCE) < end:
                await self._read(FOLLOW_MS)

    async def follow(self) -> None:
        """Adopt what comes, for ever."""
        while True:
            await self._read(FOLLOW_MS)

    async def stop(self) -> None:
        """Close the connection."""
        await self._consumer.stop()

    async def _read(self, timeout_ms: int) -> None:
        async with self._reading:
            for records in (await self._consumer.getmany(timeout_ms=timeout_ms)).values():
                self._take_newest([record.value for record in records if record.value is not None])

    def _take_newest(self, values: Sequence[bytes]) -> None:
        """Take the newest good one of some snapshots: each is whole, so the others need not be looked at."""
        first: dict[int, bytes] = {}
        for value in values:
            said = VERSION.search(value)
            if said is None:
                self._refuse("it says no version")
            else:
                first.setdefault(int(said[1]), value)
        known = -1 if self.newest is None else self.newest.version
        for version in sorted(first, reverse=True):
            if version <= known:
                self._refuse(f"version {version} is not newer")
            elif self._take(first[version]):
                return

    def _take(self, value: bytes) -> bool:
        try:
            snapshot = ModelSnapshot.model_validate_json(value)
            if self.newest is None or snapshot.version > self.newest.version:
                self.newest = snapshot
            model = Model.from_snapshot(snapshot, self._features)
        except ValueError as error:
            return self._refuse(_reason(error))
        self.latest = snapshot
        self._adopt(model, snapshot)
        return True

    def _refuse(self, reason: str) -> bool:
        self._metrics.count("models_refused", 1)
        log.warning("model_refused", reason=reason, kept=self.latest.version if self.latest else None)
        return False


def pinned(path: Path, features: Sequence[str]) -> tuple[Model, ModelSnapshot]:
    """Load the snapshot that `--model FILE` pins. Raises WrongSettings."""
    try:
        snapshot = ModelSnapshot.model_validate_json(path.read_bytes())
        return Model.from_snapshot(snapshot, features), snapshot
    except OSError as error:
        raise WrongSettings(f"the model file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise WrongSettings(f"the model file {path} is not a model for these features: {_reason(error)}") from error


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)

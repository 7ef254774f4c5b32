"""Every worker follows topic segment-models, without a consumer group, and swaps the model between groups of events."""

from __future__ import annotations

import asyncio
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
from stream.settings import Settings

log = structlog.get_logger(__name__)

GATE_TIMEOUT_S = 30.0


class ModelsFeed:
    """Reads snapshots as they are published; a bad one is refused and the last good one kept."""

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
        self._consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=settings.kafka, enable_auto_commit=False, auto_offset_reset="earliest"
        )

    async def start(self) -> None:
        """Read to the topic's present end: a worker must not judge by no model while there is one."""
        await self._consumer.start()
        source = TopicPartition(SEGMENT_MODELS, 0)
        self._consumer.assign([source])
        await self._consumer.seek_to_beginning(source)
        # Snapshots are produced one a batch, so even a broker that answers with the last batch's base offset is right.
        end = (await self._consumer.end_offsets([source]))[source]
        async with asyncio.timeout(GATE_TIMEOUT_S):
            while await self._consumer.position(source) < end:
                await self._read(500)

    async def follow(self) -> None:
        """Adopt what comes, for ever."""
        while True:
            await self._read(1_000)

    async def stop(self) -> None:
        """Close the connection."""
        await self._consumer.stop()

    async def _read(self, timeout_ms: int) -> None:
        for records in (await self._consumer.getmany(timeout_ms=timeout_ms)).values():
            # Only the newest counts: each snapshot is whole.
            for record in reversed(records):
                if record.value is not None and self._take(record.value):
                    break

    def _take(self, value: bytes) -> bool:
        try:
            snapshot = ModelSnapshot.model_validate_json(value)
            model = Model.from_snapshot(snapshot, self._features)
        except ValueError as error:
            return self._refuse(_reason(error))
        if self.latest is not None and snapshot.version < self.latest.version:
            return self._refuse(f"version {snapshot.version} is older")
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

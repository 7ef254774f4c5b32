"""The learner's service: feature vectors in, model snapshots out. One worker runs it, the one partition's owner."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import aiokafka
import numpy as np
import structlog
from pydantic import ValidationError

from models.catalogue import FEATURES, MODEL_FEATURES
from models.learner.learner import Learner, LearnerConfig
from models.learner.seeding import seed
from schemas.sample import FeatureSample
from schemas.topics import SEGMENT_MODELS
from stream.metrics import Metrics
from stream.models_feed import ModelsFeed
from stream.settings import Settings
from stream.transport.message import Record

log = structlog.get_logger(__name__)


class LearnerService:
    """Feeds one `Learner` and publishes its snapshots; seeding runs in a thread, off the event loop."""

    def __init__(
        self, settings: Settings, feed: ModelsFeed, producer: aiokafka.AIOKafkaProducer, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._feed = feed
        self._producer = producer
        self._metrics = metrics
        self._config = LearnerConfig(
            features=tuple(MODEL_FEATURES),
            k=settings.clusters,
            warm_up=settings.warm_up_vectors,
            seed=settings.learner_seed,
            floor=settings.halflife_floor,
            plain_words={name: FEATURES[name].words for name in MODEL_FEATURES},
        )
        self._learner: Learner | None = None
        self._published_at = 0

    async def learn(self, records: Iterable[Record]) -> None:
        """Take the vectors of a batch of samples; seed and publish when due."""
        learner = self._current()
        for record in records:
            sample = self._read(record)
            if sample is not None:
                learner.add(np.asarray(sample.vectors, np.float64), sample.now)
                self._metrics.count("vectors_learnt", len(sample.vectors))
        if learner.ready_to_seed():
            found = await asyncio.to_thread(seed, learner.recent(), learner.k, learner.rng())
            succession = learner.adopt(found)
            if succession is not None:
                log.info("model_seeded", k=found.k, learnt=learner.learnt)
                await self._publish(learner)
        elif learner.serving and learner.learnt - self._published_at >= self._settings.snapshot_every_vectors:
            await self._publish(learner)

    def _current(self) -> Learner:
        """Return the learner in charge: restored where another worker published since, new where nobody did."""
        newest = self._feed.newest
        if self._learner is None or (newest is not None and newest.version > self._learner.version):
            self._learner = Learner(self._config) if newest is None else Learner.restore(self._config, newest)
            self._published_at = self._learner.learnt
        return self._learner

    def _read(self, record: Record) -> FeatureSample | None:
        try:
            sample = FeatureSample.model_validate_json(record.value or b"")
        except ValidationError:
            sample = None
        if sample is None or tuple(sample.features) != self._config.features:
            self._metrics.count("samples_refused", 1)
            return None
        return sample

    async def _publish(self, learner: Learner) -> None:
        snapshot = learner.snapshot(0)
        self._published_at = learner.learnt
        value = snapshot.model_dump_json().encode()
        await self._producer.send_and_wait(SEGMENT_MODELS, value=value, key=b"model", partition=0)
        log.info("model_published", version=snapshot.version, learnt=snapshot.learnt)

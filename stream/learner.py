"""The learner's service: feature vectors in, model snapshots out. One worker runs it, the one partition's owner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import aiokafka
import numpy as np
import structlog
from pydantic import ValidationError

from models import cards
from models.catalogue import MODEL_FEATURES
from models.learner.config import LearnerConfig
from models.learner.learner import Learner
from models.learner.panel import Sightings
from models.learner.work import Work
from schemas.sample import FeatureSample
from schemas.snapshot import ModelSnapshot
from schemas.topics import SEGMENT_MODELS
from stream.learner_metrics import fates, readings
from stream.metrics import Metrics
from stream.models_feed import ModelsFeed
from stream.readings import send
from stream.records import Record
from stream.settings import Settings

log = structlog.get_logger(__name__)

SLICE = 512
"""Vectors fed between two turns of the loop: some ten milliseconds."""


def config_of(settings: Settings) -> LearnerConfig:
    """Return what the settings ask of a learner."""
    return LearnerConfig(
        features=tuple(MODEL_FEATURES),
        k=settings.clusters,
        warm_up=settings.warm_up_vectors,
        seed=settings.learner_seed,
        floor=settings.halflife_floor,
        plain_words={name: cards.short(name) for name in MODEL_FEATURES},
        clusterer=settings.clusterer,
        challenge_every=settings.challenge_every_vectors,
    )


class LearnerService:
    """Feeds one `Learner` and publishes its snapshots; long work runs in a thread, off the event loop.

    Which snapshot is a version's is decided by the topic (`ModelsFeed`): a learner that was not first, because another
    worker took over meanwhile, drops what it has and goes on from the other's.
    """

    def __init__(
        self, settings: Settings, feed: ModelsFeed, producer: aiokafka.AIOKafkaProducer, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._feed = feed
        self._producer = producer
        self._metrics = metrics
        self._config = config_of(settings)
        self._learner: Learner | None = None
        self._published_at = 0
        self._customers: dict[int, int] = {}

    async def learn(self, records: Iterable[Record]) -> None:
        """Take the vectors of a batch of samples; seed, challenge and publish when due."""
        learner = await self._current()
        for record in records:
            sample = self._read(record)
            if sample is None:
                continue
            self._customers[sample.partition] = sample.customers
            vectors = np.asarray(sample.vectors, np.float64).reshape(-1, len(self._config.features))
            if sample.profiles:
                seen = Sightings(np.array(sample.keys, np.uint64), vectors, np.asarray(sample.profiles, np.float64))
                learner.meet(seen, sample.now, sum(self._customers.values()))
            for start in range(0, len(vectors), SLICE):
                learner.add(vectors[start : start + SLICE], sample.now, sum(self._customers.values()))
                await asyncio.sleep(0)
            self._metrics.count("vectors_learnt", len(vectors))
        work = learner.due()
        changed = await self._do(learner, work) if work is not None else False
        overdue = learner.learnt - self._published_at >= self._settings.snapshot_every_vectors
        if changed or (learner.serving and overdue):
            await self._publish(learner)

    async def _current(self) -> Learner:
        """Return the learner in charge: restored where another worker published since, new where nobody did."""
        if self._learner is None:
            await self._feed.catch_up()
        newest = self._feed.newest
        if self._learner is None or (newest is not None and newest.version > self._learner.version):
            self._learner = Learner(self._config) if newest is None else Learner.restore(self._config, newest)
            self._published_at = self._learner.learnt
            if newest is not None:
                log.info("learner_restored", version=newest.version, learnt=newest.learnt)
                # Its learner may have ended before it could tell.
                await send(self._producer, fates(newest), time.time_ns() // 1_000_000)
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

    async def _do(self, learner: Learner, work: Work) -> bool:
        """Do long work beside the loop; return whether the model changed."""
        outcome = await asyncio.to_thread(work.run)
        succession = learner.settle(outcome)
        if outcome.around:
            self._warn(learner)
        if succession is None:
            return False
        log.info(
            "model_adopted_by_learner",
            reason=outcome.reason,
            refined=outcome.refined,
            gain=round(outcome.gain, 4),
            born=list(succession.born),
            died=list(succession.died),
            learnt=learner.learnt,
        )
        return True

    def _warn(self, learner: Learner) -> None:
        """Say that k may be too large; it is never changed here."""
        for tried in learner.around:
            if tried.k == learner.k and tried.smallest_share < 0.02:
                log.warning(
                    "over_segmented",
                    k=tried.k,
                    smallest_share=round(tried.smallest_share, 4),
                    why="a segment has under 2 % of the customers; consider fewer (LIVESEGMENT_CLUSTERS)",
                )

    async def _publish(self, learner: Learner) -> None:
        snapshot: ModelSnapshot = await asyncio.to_thread(learner.snapshot, 0)
        self._published_at = learner.learnt
        value = snapshot.model_dump_json().encode()
        await self._producer.send_and_wait(SEGMENT_MODELS, value=value, key=b"model", partition=0)
        await self._feed.catch_up()
        if self._feed.newest != snapshot:
            self._learner = None
            log.warning("model_not_first", version=snapshot.version, why="another learner published it, or it is unfit")
            return
        log.info("model_published", version=snapshot.version, learnt=snapshot.learnt, bytes=len(value))
        await send(self._producer, readings(learner, snapshot), time.time_ns() // 1_000_000)

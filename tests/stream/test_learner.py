"""The learner's service: samples in, snapshots out, whoever is in charge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiokafka
import numpy as np
import orjson
import pytest

from models.catalogue import MODEL_FEATURES
from schemas.snapshot import ModelSnapshot
from schemas.topics import SEGMENT_MODELS
from stream import topics
from stream.clients import kafka_admin
from stream.embedded.server import Server
from stream.learner import LearnerService
from stream.metrics import Metrics
from stream.models_feed import ModelsFeed
from stream.settings import Settings, load
from tests.stream.partition.kit import Raw

pytestmark = pytest.mark.broker

WARM_UP = 200


@dataclass
class Service:
    """A learner's service, and the feed by which it hears of others."""

    learner: LearnerService
    feed: ModelsFeed
    metrics: Metrics

    async def published(self) -> ModelSnapshot | None:
        """The newest snapshot on the topic."""
        await self.feed.stop()
        latest = ModelsFeed(self.feed._settings, MODEL_FEATURES, lambda _model, _snapshot: None, Metrics())
        await latest.start()
        await latest.stop()
        return latest.latest


@pytest.fixture
def settings(start_broker: Callable[[], Server]) -> Settings:
    made = load(kafka=start_broker().address, warm_up_vectors=WARM_UP, snapshot_every_vectors=500, clusters=3)
    with kafka_admin(made) as admin:
        topics.create(admin, made)
    return made


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[aiokafka.AIOKafkaProducer]:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all") as made:
        yield made


async def service(settings: Settings, producer: aiokafka.AIOKafkaProducer) -> Service:
    metrics = Metrics()
    feed = ModelsFeed(settings, MODEL_FEATURES, lambda _model, _snapshot: None, metrics)
    await feed.start()
    return Service(LearnerService(settings, feed, producer, metrics), feed, metrics)


def sample(count: int, seed: int = 1, **changes: object) -> Raw:
    """A record of feature-samples: customers of three kinds."""
    rng = np.random.default_rng(seed)
    kinds = np.array([0.5, 20.0, 400.0])[rng.integers(0, 3, count)]
    vectors = rng.gamma(4.0, kinds[:, None] / 4.0, (count, len(MODEL_FEATURES)))
    said = {
        "format_version": 1,
        "partition": 0,
        "now": 1_700_000_000_000,
        "features": list(MODEL_FEATURES),
        "vectors": vectors,
        "customers": count,
    }
    return Raw(0, orjson.dumps(said | changes, option=orjson.OPT_SERIALIZE_NUMPY))


async def test_nothing_is_published_before_the_warm_up_and_a_named_model_after_it(
    settings: Settings, producer: aiokafka.AIOKafkaProducer
) -> None:
    made = await service(settings, producer)
    await made.learner.learn([sample(WARM_UP - 1)])
    assert (await producer.partitions_for(SEGMENT_MODELS)) == {0}
    assert await made.published() is None
    await made.learner.learn([sample(WARM_UP, seed=2)])
    found = await made.published()
    assert found is not None
    assert (found.version, found.k) == (1, 3)
    assert len({segment.name for segment in found.centroids}) == 3
    assert found.created_at == 1_700_000_000_000


async def test_a_snapshot_follows_after_so_many_vectors(
    settings: Settings, producer: aiokafka.AIOKafkaProducer
) -> None:
    made = await service(settings, producer)
    for seed in range(8):
        await made.learner.learn([sample(WARM_UP, seed=seed)])
    found = await made.published()
    assert found is not None
    assert found.version >= 2
    assert made.metrics.counters["vectors_learnt"] == 8 * WARM_UP


async def test_a_learner_that_takes_over_goes_on_from_what_was_published(
    settings: Settings, producer: aiokafka.AIOKafkaProducer
) -> None:
    first = await service(settings, producer)
    await first.learner.learn([sample(2 * WARM_UP)])
    before = await first.published()
    assert before is not None
    second = await service(settings, producer)
    for seed in range(4):
        await second.learner.learn([sample(WARM_UP, seed=seed)])
    after = await second.published()
    assert after is not None
    assert after.version > before.version
    assert {segment.id for segment in after.centroids} & {segment.id for segment in before.centroids}
    assert after.lineage.keys() >= before.lineage.keys()


@pytest.mark.parametrize(
    "record",
    [
        Raw(0, b"{"),
        Raw(0, None),
        sample(2, features=["views_hl7d"]),
        sample(1, vectors=[[1.0, 2.0]]),
        sample(1, vectors=[[None] * len(MODEL_FEATURES)]),
    ],
)
async def test_a_sample_that_does_not_fit_is_refused_and_counted(
    settings: Settings, producer: aiokafka.AIOKafkaProducer, record: Raw
) -> None:
    made = await service(settings, producer)
    await made.learner.learn([record])
    assert made.metrics.counters["samples_refused"] == 1
    assert made.metrics.counters["vectors_learnt"] == 0
    await made.feed.stop()

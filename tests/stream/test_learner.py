"""The learner's service: samples in, snapshots out, whoever is in charge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiokafka
import numpy as np
import orjson
import pytest

from models.catalogue import MODEL_FEATURES
from models.learner.learner import Learner
from schemas.metric import Metric
from schemas.snapshot import ModelSnapshot
from schemas.topics import SEGMENT_METRICS
from stream import topics
from stream.clients import kafka_admin
from stream.embedded.server import Server
from stream.learner import LearnerService
from stream.learner_metrics import readings
from stream.metrics import Metrics
from stream.models_feed import ModelsFeed
from stream.settings import Settings, load
from tests.stream.partition.kit import Raw, read

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
        latest = ModelsFeed(self.feed._settings, MODEL_FEATURES, lambda _model, _snapshot: None, Metrics())
        await latest.start()
        await latest.stop()
        return latest.latest

    async def go_on(self, times: int) -> ModelSnapshot:
        """Learn so many samples of a warm-up's length; the newest snapshot on the topic after them."""
        for seed in range(times):
            await self.learner.learn([sample(WARM_UP, seed=seed)])
        found = await self.published()
        assert found is not None
        return found


Start = Callable[[], Awaitable[Service]]


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


@pytest.fixture
async def service(settings: Settings, producer: aiokafka.AIOKafkaProducer) -> AsyncIterator[Start]:
    """A function that starts a learner's service, as a worker does."""
    feeds: list[ModelsFeed] = []

    async def start() -> Service:
        metrics = Metrics()
        feed = ModelsFeed(settings, MODEL_FEATURES, lambda _model, _snapshot: None, metrics)
        feeds.append(feed)
        await feed.start()
        return Service(LearnerService(settings, feed, producer, metrics), feed, metrics)

    yield start
    for feed in feeds:
        await feed.stop()


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


async def test_nothing_is_published_before_the_warm_up_and_a_named_model_after_it(service: Start) -> None:
    made = await service()
    await made.learner.learn([sample(WARM_UP - 1)])
    assert await made.published() is None
    await made.learner.learn([sample(WARM_UP, seed=2)])
    found = await made.published()
    assert found is not None
    assert (found.version, found.k) == (1, 3)
    assert len({segment.name for segment in found.centroids}) == 3
    assert found.created_at == 1_700_000_000_000


async def test_a_snapshot_follows_after_so_many_vectors(service: Start) -> None:
    made = await service()
    found = await made.go_on(8)
    assert found.version >= 2
    assert made.metrics.counters["vectors_learnt"] == 8 * WARM_UP


async def test_a_learner_that_takes_over_goes_on_from_what_was_published(service: Start) -> None:
    first = await service()
    await first.learner.learn([sample(2 * WARM_UP)])
    before = await first.published()
    assert before is not None
    second = await service()
    after = await second.go_on(4)
    assert after.version > before.version
    assert [segment.id for segment in after.centroids] == [segment.id for segment in before.centroids]
    assert after.lineage.keys() >= before.lineage.keys()
    assert after.history == before.history
    assert after.learnt > before.learnt


async def began(settings: Settings) -> list[str]:
    """The segments of which segment-metrics says that they began, as often as it does."""
    said = [Metric.model_validate_json(record.value) for record in await read(settings, SEGMENT_METRICS)]
    return sorted(each.labels["segment"] for each in said if each.name == "segment_began")


async def test_a_learner_that_takes_over_tells_again_which_segments_began_with_the_newest_model(
    settings: Settings, service: Start
) -> None:
    first = await service()
    await first.learner.learn([sample(2 * WARM_UP)])
    found = await first.published()
    assert found is not None
    born = {str(event.segment) for event in found.history if event.version == found.version}
    assert await began(settings) == sorted(born)
    second = await service()
    await second.learner.learn([sample(1)])
    assert await began(settings) == sorted([*born, *born])


async def test_of_two_learners_that_both_believe_to_be_in_charge_the_first_of_a_version_counts(service: Start) -> None:
    one, other = await service(), await service()
    await one.learner.learn([sample(2 * WARM_UP, seed=1)])
    # The other one read nothing since it started: it makes a version 1 of its own, and comes second.
    other.learner._learner = Learner(other.learner._config)
    await other.learner.learn([sample(2 * WARM_UP, seed=9)])
    assert other.feed.newest == one.feed.newest
    assert other.learner._learner is None
    after = await other.go_on(4)
    assert after.version >= 2
    assert after.history == one.feed.newest.history


@pytest.mark.parametrize("vectors", [150, 450, 700, 950, 1_300])
async def test_wherever_a_learner_ends_the_next_snapshot_goes_on_with_its_lineage(service: Start, vectors: int) -> None:
    seen: dict[int, list[int]] = {}
    for life in range(3):
        # A life that ends without a word, in the middle of whatever it did.
        made = await service()
        for part in range(vectors // 50):
            await made.learner.learn([sample(50, seed=100 * life + part)])
        found = await made.published()
        if found is not None:
            seen[found.version] = [segment.id for segment in found.centroids]
            assert found.next_id == 3 + sum(event.kind in ("born", "split") for event in found.history[3:])
    assert len({tuple(ids) for ids in seen.values()}) <= 1


@pytest.mark.parametrize("arrived", [False, True], ids=["before its model was written", "behind it"])
async def test_a_learner_that_ends_while_it_publishes_leaves_one_lineage(
    service: Start,
    producer: aiokafka.AIOKafkaProducer,
    monkeypatch: pytest.MonkeyPatch,
    *,
    arrived: bool,
) -> None:
    first = await service()
    await first.learner.learn([sample(2 * WARM_UP)])
    before = await first.published()
    assert before is not None
    write = producer.send_and_wait

    async def die(*given: object, **named: object) -> None:
        if arrived:
            await write(*given, **named)
        raise asyncio.CancelledError

    monkeypatch.setattr(producer, "send_and_wait", die)
    with pytest.raises(asyncio.CancelledError):
        await first.learner.learn([sample(WARM_UP, seed=seed) for seed in range(8)])
    monkeypatch.undo()
    left = await first.published()
    assert left is not None
    assert left.version == before.version + arrived
    second = await service()
    after = await second.go_on(8)
    assert after.version > left.version
    assert [segment.id for segment in after.centroids] == [segment.id for segment in before.centroids]
    assert (after.history, after.next_id) == (before.history, before.next_id)
    assert second.metrics.counters["models_refused"] == 0


async def test_every_reading_is_sent_with_the_model(settings: Settings, service: Start) -> None:
    made = await service()
    expected = {"drift_alarms", "psi_feature", "psi_shares", "centroid_shift", "novelty_share"}
    expected |= {"challenges", "segment_began", "small_segments", "k_silhouette", "k_stability"}
    sent: set[str] = set()
    seed = 0
    while not expected <= sent:
        # The first challenge, by which other numbers of segments are tried, too.
        assert seed * 500 <= made.learner._config.challenge_every, expected - sent
        seed += 1
        await made.learner.learn([sample(500, seed=seed, customers=5_000)])
        if made.feed.newest is not None and made.learner._learner is not None:
            sent |= {name for name, _, _ in readings(made.learner._learner, made.feed.newest)}
    consumer = aiokafka.AIOKafkaConsumer(
        SEGMENT_METRICS, bootstrap_servers=settings.kafka, auto_offset_reset="earliest"
    )
    async with consumer:
        first = await consumer.getone()
    assert Metric.model_validate_json(first.value).name in sent


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
async def test_a_sample_that_does_not_fit_is_refused_and_counted(service: Start, record: Raw) -> None:
    made = await service()
    await made.learner.learn([record])
    assert made.metrics.counters["samples_refused"] == 1
    assert made.metrics.counters["vectors_learnt"] == 0

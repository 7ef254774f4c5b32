"""Every worker follows the models: the newest good one, at start and while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiokafka
import pytest

from models.assign import Model
from models.catalogue import MODEL_FEATURES
from schemas.snapshot import ModelSnapshot
from schemas.topics import SEGMENT_MODELS
from stream import topics
from stream.clients import kafka_admin
from stream.embedded.server import Server
from stream.errors import WrongSettings
from stream.metrics import Metrics
from stream.models_feed import ModelsFeed, pinned
from stream.settings import Settings, load

Make = Callable[..., ModelSnapshot]


@pytest.fixture
def settings(start_broker: Callable[[], Server]) -> Settings:
    made = load(kafka=start_broker().address)
    with kafka_admin(made) as admin:
        topics.create(admin, made)
    return made


class Following:
    """A started feed and what it adopted."""

    def __init__(self, settings: Settings) -> None:
        self.adopted: list[int] = []
        self.metrics = Metrics()
        self.feed = ModelsFeed(settings, MODEL_FEATURES, self._adopt, self.metrics)
        self._heard = asyncio.Event()

    def _adopt(self, model: Model, snapshot: ModelSnapshot) -> None:
        assert model.version == snapshot.version
        self.adopted.append(snapshot.version)
        self._heard.set()

    async def until(self, version: int) -> None:
        while version not in self.adopted:
            self._heard.clear()
            await self._heard.wait()


@asynccontextmanager
async def following(settings: Settings) -> AsyncIterator[Following]:
    made = Following(settings)
    await made.feed.start()
    running = asyncio.create_task(made.feed.follow())
    yield made
    running.cancel()
    await asyncio.wait([running])
    await made.feed.stop()


async def publish(settings: Settings, *values: bytes) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        for value in values:
            await producer.send_and_wait(SEGMENT_MODELS, value=value, key=b"model", partition=0)


def dumped(snapshot: ModelSnapshot) -> bytes:
    return snapshot.model_dump_json().encode()


@pytest.mark.broker
async def test_a_worker_starts_with_the_newest_model_there_is(settings: Settings, snapshot: Make) -> None:
    await publish(settings, *(dumped(snapshot(version)) for version in (1, 2, 3)))
    made = Following(settings)
    await made.feed.start()
    assert made.adopted[-1] == 3
    assert made.feed.latest == snapshot(3)
    await made.feed.stop()


@pytest.mark.broker
async def test_a_worker_starts_without_a_model_where_there_is_none(settings: Settings) -> None:
    made = Following(settings)
    await made.feed.start()
    assert made.feed.latest is None
    await made.feed.stop()


@pytest.mark.broker
async def test_models_are_adopted_as_they_come_and_bad_ones_refused_and_counted(
    settings: Settings, snapshot: Make
) -> None:
    async with following(settings) as made:
        await publish(settings, dumped(snapshot(4)))
        await made.until(4)
        other = dumped(snapshot(5, ("views_hl7d", "orders_hl180d")))
        for bad in (b"{", b"\xff", b"[]", b'{"format_version": 2}', other, dumped(snapshot(3))):
            await publish(settings, bad)
        await publish(settings, dumped(snapshot(6)))
        await made.until(6)
        assert made.feed.latest == snapshot(6)
        assert 5 not in made.adopted
        assert 3 not in made.adopted
        # Refused are those that were looked at: of several at once only the newest is.
        assert made.metrics.counters["models_refused"] <= 6


@pytest.mark.broker
async def test_of_two_models_of_one_version_the_first_counts_however_they_are_read(
    settings: Settings, snapshot: Make
) -> None:
    first, second = snapshot(4), snapshot(4).model_copy(update={"learnt": 77})
    await publish(settings, dumped(snapshot(3)), dumped(first), dumped(second))
    late = Following(settings)
    await late.feed.start()
    await late.feed.stop()
    assert late.feed.latest == late.feed.newest == first


@pytest.mark.broker
async def test_a_model_of_other_features_is_not_served_but_known_so_that_its_ids_stay_its_own(
    settings: Settings, snapshot: Make
) -> None:
    await publish(settings, dumped(snapshot(3)), dumped(snapshot(4, ("views_hl7d", "orders_hl180d"))))
    made = Following(settings)
    await made.feed.start()
    await made.feed.stop()
    assert made.feed.latest == snapshot(3)
    assert made.feed.newest == snapshot(4, ("views_hl7d", "orders_hl180d"))


def test_a_pinned_model_is_read_from_its_file(tmp_path: Path, snapshot: Make) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(dumped(snapshot(9)))
    model, read = pinned(path, MODEL_FEATURES)
    assert (model.version, read) == (9, snapshot(9))


@pytest.mark.parametrize(
    ("content", "why"), [(None, "cannot be read"), (b"{", "is not a model"), (b'{"k": 1}', "is not a model")]
)
def test_a_pinned_model_that_is_none_is_refused_in_one_line(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "model.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WrongSettings, match=why) as refused:
        pinned(path, MODEL_FEATURES)
    assert "\n" not in str(refused.value)

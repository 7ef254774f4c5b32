"""What a worker sends the learner, and says of itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import aiokafka
import numpy as np
import pytest
import redis.asyncio

from models.catalogue import MODEL_FEATURES
from schemas.metric import Metric
from schemas.sample import FeatureSample
from schemas.topics import FEATURE_SAMPLES, SEGMENT_METRICS
from stream.partition.owner import Owner
from stream.partition.partition import Partition
from stream.reporting import Reporter
from stream.settings import Settings
from tests.stream.partition.kit import owning, read, work
from tests.stream.partition.test_sweep import shopping

pytestmark = pytest.mark.broker


@pytest.fixture
async def partition(settings: Settings, client: redis.asyncio.Redis) -> AsyncIterator[Partition]:
    """The only partition of a worker."""
    async with owning(settings, client) as owned:
        yield owned


@pytest.fixture
async def reporter(settings: Settings, client: redis.asyncio.Redis, partition: Partition) -> AsyncIterator[Reporter]:
    """The worker's reporter, which sends when a test says so."""
    owner = Owner(partition.shared, client, fenced=False)
    owner.partitions[0] = partition
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer:
        yield Reporter(owner, producer, sampling=True)


async def test_a_sample_does_not_show_old_customers_before_new_ones(
    settings: Settings, partition: Partition, reporter: Reporter
) -> None:
    await work(partition, shopping(0, *((f"c{number}", "view_item", number) for number in range(1_000))))
    await reporter._send_samples(500)
    (sample,) = [FeatureSample.model_validate_json(record.value) for record in await read(settings, FEATURE_SAMPLES)]
    age = np.array(sample.vectors)[:, MODEL_FEATURES.index("days_since_seen")]
    assert len(age) == 500
    halves = age[:250].mean(), age[250:].mean()
    assert abs(halves[0] - halves[1]) < 0.3 * age.std()


async def test_the_longest_delay_of_a_sweep_that_looked_at_somebody_is_reported_once(
    settings: Settings, partition: Partition, reporter: Reporter
) -> None:
    await work(partition, shopping(0, ("c1", "add_to_cart", 0), ("c2", "view_item", 40)))
    # The first looks at both; nobody is left for the second, whatever it was late by.
    for late_s in (90.0, 9_000.0):
        await partition.sweep.once(time.monotonic() - late_s)
    for _ in range(2):
        await reporter._send_metrics()
    said = [Metric.model_validate_json(record.value) for record in await read(settings, SEGMENT_METRICS)]
    by_name = {name: [each.value for each in said if each.name == name] for name in ("sweep_delay_ms", "cart_triggers")}
    longest_ms, none = by_name["sweep_delay_ms"]
    assert (90_000 <= longest_ms < 9_000_000, none, by_name["cart_triggers"]) == (True, 0.0, [1.0, 1.0])

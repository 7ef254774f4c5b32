"""What a worker sends the learner."""

from __future__ import annotations

import aiokafka
import numpy as np
import pytest
import redis.asyncio

from models.catalogue import MODEL_FEATURES
from schemas.sample import FeatureSample
from schemas.topics import FEATURE_SAMPLES
from stream.partition.owner import Owner
from stream.reporting import Reporter
from stream.settings import Settings
from tests.stream.partition.kit import owning, work
from tests.stream.partition.test_sweep import shopping
from tests.stream.partition.test_takeover import read

pytestmark = pytest.mark.broker


async def test_a_sample_does_not_show_old_customers_before_new_ones(
    settings: Settings, client: redis.asyncio.Redis
) -> None:
    async with (
        owning(settings, client) as partition,
        aiokafka.AIOKafkaProducer(bootstrap_servers=settings.kafka) as producer,
    ):
        owner = Owner(partition.shared, client, fenced=False)
        owner.partitions[0] = partition
        await work(partition, shopping(0, *((f"c{number}", "view_item", number) for number in range(1_000))))
        await Reporter(owner, producer, sampling=True)._send_samples(500)
    (sample,) = [FeatureSample.model_validate_json(record.value) for record in await read(settings, FEATURE_SAMPLES)]
    age = np.array(sample.vectors)[:, MODEL_FEATURES.index("days_since_seen")]
    assert len(age) == 500
    halves = age[:250].mean(), age[250:].mean()
    assert abs(halves[0] - halves[1]) < 0.3 * age.std()

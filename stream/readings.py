"""Readings of metrics on their way to segment-metrics: the one shape in which a worker and its learner say them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import TypeAlias

import aiokafka
import orjson

from schemas.metric import METRICS, MetricName
from schemas.topics import SEGMENT_METRICS

Reading: TypeAlias = tuple[MetricName, float, dict[str, str]]
"""Name, value, labels."""


async def send(producer: aiokafka.AIOKafkaProducer, readings: Iterable[Reading], now_ms: int) -> None:
    """Send readings taken at `now_ms`, labelled with this process; acknowledged at return. Raises KafkaError."""
    worker = f"{os.uname().nodename}:{os.getpid()}"
    pending = []
    for name, value, labels in readings:
        said = {
            "name": name,
            "value": float(value),
            "unit": METRICS[name].unit,
            "at": now_ms,
            "labels": {"worker": worker, **labels},
        }
        pending.append(await producer.send(SEGMENT_METRICS, value=orjson.dumps(said), key=name.encode(), partition=0))
    await asyncio.gather(*pending)

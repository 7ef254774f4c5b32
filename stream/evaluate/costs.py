"""What learning costs: CPU a vector, a snapshot's bytes, and how long the event loop waits while a model is seeded."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from models.learner.config import LearnerConfig
from models.learner.feeding import BLOCK, Feeder
from models.learner.learner import Learner
from models.learner.seeding import seed
from stream.evaluate.beds import FEATURES, bed
from stream.evaluate.school import School

VECTORS = 40_000
RUNS = 5
LAG_ROUNDS = 10


def costs() -> Iterator[dict[str, Any]]:
    """Yield the figures; CPU time of this thread, the median of some runs."""
    raw = bed(VECTORS, 1.0, 1).vectors
    found = seed(raw[:1000], 6, np.random.default_rng(1))
    scaled = found.transform.apply(raw)
    feeding = []
    for _ in range(RUNS):
        feeder = Feeder(found.centroids, found.counts.astype(float), 0.005)
        began = time.thread_time()
        for start in range(0, VECTORS - BLOCK, BLOCK):
            feeder.feed(scaled[start : start + BLOCK])
        feeding.append((time.thread_time() - began) / VECTORS * 1e6)
    feed_us = float(np.median(feeding))
    yield {"stage": "feeding", "us_a_vector": round(feed_us, 2), "held": feed_us <= 5.0}
    everything = []
    for _ in range(RUNS):
        school = School(LearnerConfig(FEATURES, 6), 2000)
        began = time.thread_time()
        school.teach(raw, 0)
        everything.append((time.thread_time() - began) / VECTORS * 1e6)
    all_us = float(np.median(everything))
    yield {"stage": "everything", "us_a_vector": round(all_us, 2), "held": all_us <= 60.0}
    share = all_us * 200 / 1e6
    yield {"stage": "core_at_200_vectors_a_second", "share": round(share, 4), "held": share < 0.05}
    assert school.snapshot is not None
    size = len(school.snapshot.model_dump_json())
    yield {"stage": "snapshot", "bytes": size, "held": size <= 65_536}
    lag_ms = asyncio.run(_lag_ms())
    yield {"stage": "loop_lag_while_seeding", "ms": round(lag_ms, 1), "held": lag_ms < 50.0}


async def _lag_ms() -> float:
    """Median over some rounds of the longest that the loop was late while work ran in a thread."""
    sys.setswitchinterval(0.0005)
    raw = bed(6_000, 1.0, 2).vectors
    longest = []
    for _ in range(LAG_ROUNDS):
        learner = Learner(LearnerConfig(FEATURES, 6))
        learner.add(raw[:4000], 0)
        work = learner.due()
        assert work is not None
        running = asyncio.create_task(asyncio.to_thread(work.run))
        late = 0.0
        while not running.done():
            began = time.monotonic()
            await asyncio.sleep(0.001)
            late = max(late, time.monotonic() - began - 0.001)
        longest.append(late * 1000)
    return float(np.median(longest))

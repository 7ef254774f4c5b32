"""What learning costs: CPU a vector, a snapshot's bytes, and how long the loop waits for the learner's long work."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from models.catalogue import MODEL_FEATURES
from models.learner.config import LearnerConfig
from models.learner.feeding import BLOCK, Feeder
from models.learner.guard import look_around
from models.learner.heads import DAY_MS
from models.learner.learner import Learner
from models.learner.panel import Sightings
from models.learner.seeding import seed
from models.learner.work import Work
from models.transform import Floats
from schemas.sample import PROFILE
from stream.evaluate.beds import bed
from stream.evaluate.school import School

VECTORS = 40_000
CUSTOMERS = 1_000
"""Met once a day, so that every prediction's outcomes are learnt from, too: far more of them than a shop has."""
RUNS = 5
LAG_ROUNDS = 10
SNAPSHOT_EVERY = 2_000


def costs() -> Iterator[dict[str, Any]]:
    """Yield the figures; CPU time of this thread, the median of some runs."""
    raw = vectors(VECTORS, 1)
    feed_us = _feeding_us(raw)
    yield {"stage": "feeding", "us_a_vector": round(feed_us, 2), "held": feed_us <= 5.0}
    config = LearnerConfig(MODEL_FEATURES, 6)
    began = time.thread_time()
    look_around(raw[: config.window], 6, np.random.default_rng(1))
    look_us = (time.thread_time() - began) / config.look_every * 1e6
    taught = [_taught(config, raw) for _ in range(RUNS)]
    all_us = float(np.median([spent_us for spent_us, _ in taught])) + look_us
    yield {
        "stage": "everything",
        "us_a_vector": round(all_us, 2),
        "of_it_other_k": round(look_us, 2),
        "outcomes": sum(head.labels for head in taught[-1][1].learner.heads),
        "held": all_us <= 60.0,
    }
    share = all_us * 200 / 1e6
    yield {"stage": "core_at_200_vectors_a_second", "share": round(share, 4), "held": share < 0.05}
    snapshot = taught[-1][1].snapshot
    assert snapshot is not None
    size = len(snapshot.model_dump_json())
    yield {"stage": "snapshot", "bytes": size, "held": size <= 65_536}
    for name, work in works(vectors(6_000, 2)).items():
        late_ms = [asyncio.run(_late_ms(work)) for _ in range(LAG_ROUNDS)]
        yield {
            "stage": f"loop_lag_{name}",
            "median_ms": round(float(np.median(late_ms)), 1),
            "longest_ms": round(max(late_ms), 1),
            "held": max(late_ms) < 50.0,
        }


def vectors(count: int, number: int) -> Floats:
    """(count, F) of the catalogue's width: a bed's features again and again, each time with noise of its own."""
    made = bed(count, 1.0, number).vectors
    copies = np.tile(made, -(-len(MODEL_FEATURES) // made.shape[1]))[:, : len(MODEL_FEATURES)]
    noisy: Floats = copies * np.random.default_rng(number).lognormal(0.0, 0.3, copies.shape)
    return noisy


def works(raw: Floats) -> dict[str, Work]:
    """Each kind of long work, on as many vectors as the learner would give it."""
    learner = Learner(LearnerConfig(MODEL_FEATURES, 6))
    learner.add(raw[: learner.config.window], 0)
    first = learner.due()
    assert first is not None
    found = first.run().seeding
    assert found is not None
    challenge = replace(first, reason="challenge", incumbent=(found.transform, found.centroids))
    return {
        "seed": first,
        "challenge": challenge,
        "drift": replace(challenge, reason="drift", vectors=raw[-learner.config.warm_up :], mood="alarmed"),
        "look_around": replace(challenge, look_around=True),
    }


def _feeding_us(raw: Floats) -> float:
    found = seed(raw[:1000], 6, np.random.default_rng(1))
    scaled = found.transform.apply(raw)
    spent = []
    for _ in range(RUNS):
        feeder = Feeder(found.centroids, found.counts.astype(float), 0.005)
        began = time.thread_time()
        for start in range(0, VECTORS - BLOCK, BLOCK):
            feeder.feed(scaled[start : start + BLOCK])
        spent.append((time.thread_time() - began) / VECTORS * 1e6)
    return float(np.median(spent))


def _taught(config: LearnerConfig, raw: Floats) -> tuple[float, School]:
    """Meet customers as points and as persons, day after day; return microseconds a vector, and who learnt."""
    school = School(config, SNAPSHOT_EVERY)
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 2**53, CUSTOMERS).astype(np.uint64)
    profiles = np.zeros((CUSTOMERS, len(PROFILE)))
    spent_s = 0.0
    for day, start in enumerate(range(0, len(raw), CUSTOMERS), 1):
        for share, names in ((0.05, ("last_seen",)), (0.02, ("last_seen", "last_order_at", "orders"))):
            came = rng.random(CUSTOMERS) < share
            for name in names:
                column = profiles[:, PROFILE.index(name)]
                column[came] = column[came] + 1 if name == "orders" else day * DAY_MS - 1
        seen = Sightings(keys, raw[start : start + CUSTOMERS], profiles.copy())
        began = time.thread_time()
        school.learner.meet(seen, day * DAY_MS, CUSTOMERS)
        school.teach(seen.vectors, day * DAY_MS, len(raw))
        spent_s += time.thread_time() - began
    return spent_s / len(raw) * 1e6, school


async def _late_ms(work: Work) -> float:
    """Longest that the loop was late while some work ran in a thread."""
    # As a worker has it.
    sys.setswitchinterval(0.0005)
    running = asyncio.create_task(asyncio.to_thread(work.run))
    late = 0.0
    while not running.done():
        began = time.monotonic()
        await asyncio.sleep(0.001)
        late = max(late, time.monotonic() - began - 0.001)
    return late * 1000

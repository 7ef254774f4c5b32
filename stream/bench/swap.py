"""A model swapped under live load: what an event costs a worker while new models arrive, and while none does.

One worker with its learner at rest. A swap judges every customer anew, by design, and plans when time alone may change
each of them next: what that costs does not depend on how many events come, so `cpu_ms_per_swap` is the figure to
reckon with at other rates. The learner at rest takes up each model too, as it does where another worker published it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from kafka import KafkaConsumer, TopicPartition

from schemas.snapshot import ModelSnapshot
from schemas.topics import SEGMENT_MODELS
from stream.bench.lab import PARTITIONS, Lab, Timed, acquainted, lab, send
from stream.bench.live import readings

RATE_PER_S = 2_000
CUSTOMERS = 20_000
EVENTS = 200_000
"""Of the month before, in which all customers are met and a model is learnt."""
ROUNDS = 8
WINDOW_S = 12
SWAPS = 4
"""In a window, evenly, the first at its beginning: the last one's work ends within it too."""
WARM_UP_S, SETTLE_S, READ_S = 30, 3, 5
LEARN_S = 60
JITTER = 0.1
"""How far a centroid is moved, standard deviations of a feature: two variations are .14 apart, and the nearest two of
the first eight models that a learner published were .15 (measured)."""
SEED = 3
LEARNING = {"LIVESEGMENT_SAMPLE_RATE_PER_S": "10000"}
RESTING = {
    "LIVESEGMENT_SAMPLE_RATE_PER_S": "1",
    "LIVESEGMENT_SNAPSHOT_EVERY_VECTORS": "1000000",
    "LIVESEGMENT_CHALLENGE_EVERY_VECTORS": "1000000",
    "LIVESEGMENT_METRICS_INTERVAL_S": "1",
    "LIVESEGMENT_LOG_LEVEL": "info",
}
"""A learner that is hardly fed; and each partition says when it has judged everybody by a model."""


@dataclass(slots=True)
class Window:
    """One stretch of time."""

    swaps: int
    cpu_s: float
    seconds: float
    swept: float
    """Customers looked at by sweeps, those of the last swap included."""
    said: list[dict[str, Any]]
    """The worker's log of it."""
    found: dict[str, list[float]]
    """The worker's metrics of it."""

    @property
    def events(self) -> float:
        """Events applied in it."""
        return statistics.mean(self.found["events_per_s"]) * self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU, us an event."""
        return self.cpu_s / self.events * 1e6

    @property
    def p99_ms(self) -> float:
        """From produce to Redis, the median of its seconds."""
        return statistics.median(self.found["event_to_redis_p99_ms"])


def measure(broker: str) -> Iterator[dict[str, Any]]:
    """Alternate windows with swaps and without; a line for each round, and one for all of them."""
    with lab(broker) as here:
        with here.worker(**LEARNING):
            here.wait(here.preload(acquainted(EVENTS, CUSTOMERS)))
            _served(here)
        rounds: list[tuple[Window, Window]] = []
        feed_s = WARM_UP_S + ROUNDS * 2 * (WINDOW_S + SETTLE_S + READ_S) + 20
        with here.worker(**RESTING) as worker, here.feeding(RATE_PER_S, CUSTOMERS, feed_s, SEED):
            time.sleep(WARM_UP_S)
            # Not before: the learner may have published once more when its worker ended.
            models = _variations(_served(here))
            for number in range(ROUNDS):
                # The one that comes second may profit from the first, so they take turns.
                order = (True, False) if number % 2 == 0 else (False, True)
                found = {swapping: _window(here, worker, models if swapping else None) for swapping in order}
                rounds.append((found[True], found[False]))
                yield _line("swap/round", rounds[-1:])
        yield _line("swap", rounds) | {"rounds": ROUNDS, "ratio_spread": _spread(rounds)}


def _window(here: Lab, worker: Timed, models: Iterator[ModelSnapshot] | None) -> Window:
    """Measure one window, in which `models` arrive, and let the worker come to rest. Raises RuntimeError."""
    logged = worker.log.stat().st_size
    began, began_ms, cpu_s = time.monotonic(), time.time() * 1000, worker.cpu_s()
    for number in range(SWAPS):
        if models is not None:
            value = next(models).model_dump_json().encode()
            asyncio.run(send(here.settings.kafka, {(SEGMENT_MODELS, 0): [(b"model", value)]}))
        time.sleep(max(0.0, began + (number + 1) * WINDOW_S / SWAPS - time.monotonic()))
    cpu_s, seconds, ended_ms = worker.cpu_s() - cpu_s, time.monotonic() - began, time.time() * 1000
    time.sleep(SETTLE_S)
    lines = worker.log.read_bytes()[logged:].splitlines()
    said = [orjson.loads(line) for line in lines if line.startswith(b"{")]
    refused = [line["reason"] for line in said if line["event"] == "model_refused"]
    if refused:
        raise RuntimeError(f"the worker refused a model, so nothing was measured: {refused[0]}")
    swaps = SWAPS if models is not None else 0
    # From the report before it to the one after its sweeps.
    swept = readings(here, began_ms - 1_500, time.time() * 1000)["swept_customers"]
    return Window(swaps, cpu_s, seconds, swept[-1] - swept[0], said, readings(here, began_ms, ended_ms))


def _served(here: Lab) -> ModelSnapshot:
    """Return the newest model of the learner, once there is one that no other follows. Raises RuntimeError."""
    consumer = KafkaConsumer(bootstrap_servers=here.settings.kafka, enable_auto_commit=False)
    source = TopicPartition(SEGMENT_MODELS, 0)
    consumer.assign([source])
    consumer.seek_to_beginning(source)
    newest, deadline = None, time.monotonic() + LEARN_S
    while time.monotonic() < deadline:
        fetched = consumer.poll(timeout_ms=3_000)
        if newest is not None and not fetched:
            break
        for record in fetched.get(source, []):
            newest = record.value
    consumer.close()
    if newest is None:
        raise RuntimeError(f"no model was learnt within {LEARN_S} s")
    return ModelSnapshot.model_validate_json(newest)


def _variations(served: ModelSnapshot) -> Iterator[ModelSnapshot]:
    """Make the next versions of a model, without end: its centroids moved a little, all else as it is."""
    rng, version = np.random.default_rng(SEED), served.version
    while True:
        version += 1
        moved = []
        for segment in served.centroids:
            shifted = np.array(segment.centroid) + rng.normal(0.0, JITTER, len(segment.centroid))
            # A worker refuses a model with a centroid outside the clip.
            kept = shifted.clip(-served.clip, served.clip).tolist()
            moved.append(segment.model_copy(update={"centroid": kept}))
        yield served.model_copy(update={"version": version, "centroids": moved})


def _line(stage: str, rounds: list[tuple[Window, Window]]) -> dict[str, Any]:
    swapping, resting = ([each[at] for each in rounds] for at in (0, 1))
    with_us, without_us = (statistics.median(one.cpu_us for one in some) for some in (swapping, resting))
    swaps = sum(one.swaps for one in swapping)
    adopted = [line["moved"] for one in swapping for line in one.said if line["event"] == "model_adopted"]
    customers = statistics.mean(
        sum(one.found["customers"]) / len(one.found["events_per_s"]) for one in (*swapping, *resting)
    )
    more_s = sum(one.cpu_s for one in swapping) - sum(one.cpu_us * 1e-6 * two.events for two, one in rounds)
    swept = sum(one.swept for one in swapping) - sum(one.swept for one in resting)
    return {
        "stage": stage,
        "events": round(sum(one.events for one in (*swapping, *resting))),
        "events_per_s": round(sum(one.events for one in swapping) / sum(one.seconds for one in swapping)),
        "customers": round(customers),
        "cpu_us_per_event_with_swaps": round(with_us, 1),
        "cpu_us_per_event_without": round(without_us, 1),
        "ratio": round(with_us / without_us, 3),
        "event_to_redis_p99_ms_with_swaps": round(statistics.median(one.p99_ms for one in swapping), 1),
        "event_to_redis_p99_ms_without": round(statistics.median(one.p99_ms for one in resting), 1),
        "swaps": swaps,
        "swap_every_s": WINDOW_S / SWAPS,
        "cpu_ms_per_swap": round(more_s / swaps * 1000, 1),
        "customers_judged_per_swap": round(len(adopted) / PARTITIONS * customers / swaps),
        "customers_moved_per_swap": round(sum(adopted) / swaps),
        "customers_swept_per_swap": round(swept / swaps),
    }


def _spread(rounds: list[tuple[Window, Window]]) -> list[float]:
    """Least and most of the rounds' ratios."""
    ratios = [swapping.cpu_us / resting.cpu_us for swapping, resting in rounds]
    return [round(min(ratios), 3), round(max(ratios), 3)]

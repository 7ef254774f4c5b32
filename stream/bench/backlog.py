"""Working off a preloaded backlog: the floor, the job, the job at many customers, stock Faust."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from stream.bench.lab import Ends, Lab, halves, lab, shop

EVENTS = 1_000_000
CUSTOMERS = 20_000
RUNS = 3
GROWTH = (10_000, 1_000_000)
STOCK_EVENTS = 40_000


def floor_and_job(broker: str) -> Iterator[dict[str, Any]]:
    """Alternate fetching-and-parsing with the whole durable job over the same records.

    Twice: by the clock of production, and as a replay, in which a month passes within seconds.
    """
    given = shop(EVENTS, CUSTOMERS)
    floors, jobs, replays = [], [], []
    for _ in range(RUNS):
        with lab(broker) as here:
            ends = here.preload(given)
            floors.append(floor(here, ends))
            jobs.append(job(here, ends))
        with lab(broker) as here:
            replays.append(job(here, here.preload(given), clock="event"))
    for stage, runs in (("floor", floors), ("job", jobs), ("job_on_event_time", replays)):
        yield _line(stage, given.count, runs)
    for stage, runs in (("job_to_floor", jobs), ("job_on_event_time_to_floor", replays)):
        yield {"stage": stage, "events": given.count, "ratio": round(_median(runs) / _median(floors), 3)}


def growth(broker: str) -> Iterator[dict[str, Any]]:
    """CPU per event at few customers and at a million, alternated, once the job has met them."""
    loads = {customers: halves(2 * EVENTS, customers) for customers in GROWTH}
    runs: dict[int, list[tuple[float, float]]] = {customers: [] for customers in GROWTH}
    for _ in range(RUNS - 1):
        for customers, (before, given) in loads.items():
            with lab(broker) as here:
                job(here, here.preload(before))
                runs[customers].append(job(here, here.preload(given)))
    for customers, found in runs.items():
        yield {**_line("growth", EVENTS, found), "customers": customers}
    few, many = (_median(runs[customers]) for customers in GROWTH)
    yield {"stage": "growth_ratio", "events": EVENTS, "ratio": round(many / few, 3)}


def stock(broker: str) -> Iterator[dict[str, Any]]:
    """Stock Faust doing the same job per event: agent, table, one HSET."""
    given = shop(STOCK_EVENTS, CUSTOMERS)
    with lab(broker) as here:
        here.preload(given)
        command = [sys.executable, "-m", "stream.bench.stock", here.settings.kafka, here.settings.redis_url]
        said = _ask([*command, str(given.count)], here)
    yield _line("stock", given.count, [(said["cpu_s"], said["seconds"])])


def floor(here: Lab, ends: Ends) -> tuple[float, float]:
    """CPU and wall seconds of the floor."""
    began = time.monotonic()
    said = json.dumps([[topic, number, end] for (topic, number), end in ends.items()])
    answer = _ask([sys.executable, "-m", "stream.bench.floor", here.settings.kafka, said], here)
    return answer["cpu_s"], time.monotonic() - began


def job(here: Lab, ends: Ends, clock: str = "wall") -> tuple[float, float]:
    """CPU and wall seconds of a worker from the first event until all is durable and committed."""
    with here.worker("--clock", clock) as worker:
        began = time.monotonic()
        here.wait(ends)
        return worker.cpu_s(), time.monotonic() - began


def _ask(command: list[str], here: Lab) -> dict[str, Any]:
    done = subprocess.run(command, env=here.environment, capture_output=True, text=True, check=False)  # noqa: S603 (ours)
    if done.returncode:
        raise RuntimeError(f"{command[2]} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _median(runs: list[tuple[float, float]]) -> float:
    return statistics.median(cpu for cpu, _ in runs)


def _line(stage: str, events: int, runs: list[tuple[float, float]]) -> dict[str, Any]:
    cpus = sorted(cpu / events * 1e6 for cpu, _ in runs)
    return {
        "stage": stage,
        "events": events,
        "events_per_s": round(events / statistics.median(wall for _, wall in runs)),
        "cpu_us_per_event": round(statistics.median(cpus), 2),
        "cpu_us_per_event_min": round(cpus[0], 2),
        "cpu_us_per_event_max": round(cpus[-1], 2),
        "runs": len(runs),
    }

"""Runs of many seeds, one after the other or on several processes, and what is printed of one that fails."""

from __future__ import annotations

import gc
import multiprocessing
import traceback
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.simulation.memory import keep_zeros_cheap
from tests.simulation.world import World

TRACE_LINES = 120
"""Last lines of a failed run's trace that are shown."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one seed came to."""

    seed: int
    digest: str
    faults: dict[str, int]
    refused: int
    """Writes of zombies that the broker refused."""
    changes: int
    repeats: int
    """Changes and cart triggers that a subscriber had seen before."""
    triggers: dict[str, int]
    """Cart triggers by kind."""
    forks: int
    """Reminders told twice because nothing fenced an older owner."""
    failure: str = ""
    trace: tuple[str, ...] = ()


def run(seed: int, faults: int) -> Result:
    """Run one seed with so many faults."""
    keep_zeros_cheap()
    world = World(seed, faults)
    failure = ""
    with warnings.catch_warnings():
        # Killed processes leave coroutines that nobody awaits.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            world.run()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is the result)
            failure = "".join(traceback.format_exception(error)[-6:])
        refused = sum(log.refused for log in world.broker.logs.values())
        result = Result(
            seed,
            world.digest(),
            dict(world.kinds),
            refused,
            world.subscriber.distinct,
            world.subscriber.repeats + world.triggers.repeats,
            world.triggers.kinds,
            world.triggers.forks,
            failure,
            tuple(map(str, world.trace[-TRACE_LINES:])) if failure else (),
        )
        world.close()
        del world
        gc.collect(1)
    return result


def _run(job: tuple[int, int]) -> Result:
    return run(*job)


def run_all(seeds: Iterable[int], faults: int, jobs: int = 1) -> Iterator[Result]:
    """Run seeds, results in order of completion."""
    work = [(seed, faults) for seed in seeds]
    if jobs == 1:
        yield from map(_run, work)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(_run, work, chunksize=5)


def report(result: Result, faults: int) -> str:
    """A failed run for people: the seed, the last lines of its trace, what is wrong, how to see it again."""
    again = f"python -m tests.simulation --seeds {result.seed}:{result.seed + 1} --faults {faults}"
    return "\n".join([*result.trace, "", result.failure.rstrip(), "", f"seed {result.seed} FAILED; again: {again}"])

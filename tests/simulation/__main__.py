"""`python -m tests.simulation --seeds A:B [--faults N] [--jobs J]`: exit code 1 and a readable trace if one fails."""

# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter

from tests.simulation.run import report, run_all

PROGRESS_SEEDS = 100


def _seeds(text: str) -> tuple[int, int]:
    first, _, end = text.partition(":")
    return int(first), int(end or int(first) + 1)


def run_seeds(first: int, end: int, faults: int, jobs: int) -> int:
    """Run seeds `first` to before `end`; print progress, the first failure, and what the runs had; the exit code."""
    kinds: Counter[str] = Counter()
    triggers: Counter[str] = Counter()
    done = refused = changes = repeats = forks = 0
    for result in run_all(range(first, end), faults, jobs):
        done += 1
        kinds.update(result.faults)
        triggers.update(result.triggers)
        refused, changes, repeats = refused + result.refused, changes + result.changes, repeats + result.repeats
        forks += result.forks
        if result.failure:
            print(report(result, faults))
            return 1
        if done % PROGRESS_SEEDS == 0:
            print(f"{done} of {end - first} seeds, {kinds.total()} faults", file=sys.stderr, flush=True)
    width = max(map(len, kinds), default=0)
    for kind, count in sorted(kinds.items()):
        print(f"{kind:{width}} {count}")
    print(
        f"{done} seeds ({first}:{end}), {kinds.total()} faults of {len(kinds)} kinds, {changes} changes, "
        f"{triggers.total()} cart triggers ({', '.join(f'{triggers[kind]} {kind}' for kind in sorted(triggers))}), "
        f"{repeats} sent again unchanged, {refused} writes of zombies refused, "
        f"{forks} reminders told twice without a fence: 0 violations"
    )
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=_seeds, default=(0, 100), help="A:B runs A to before B; A runs one")
    parser.add_argument("--faults", type=int, default=20, help="faults of each run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    given = parser.parse_args()
    first, end = given.seeds
    return run_seeds(first, end, given.faults, given.jobs)


if __name__ == "__main__":
    sys.exit(main())

"""The whole proof, in parts that can run apart: their results are merged into docs/proof.json and docs/proof.md.

    make prove                          # all parts, about 90 minutes
    make prove ARGS="--part 2/6"        # one of them
    make prove ARGS="--part 2/6 --minutes 2 --out /tmp/proof.json"     # a short try, written elsewhere

Parts 1 to 5 are chaos runs (`tests.proof.chaos`) with every kind of fault that heals: SIGKILL at every failpoint five
times each, ten STOP/CONT cycles beyond the session, the whole deck of faults, 420,000 events, then the oracle. The odd
ones have the embedded Valkey, the even ones Debian's Redis. Part 6 fills Kafka's disk (where this may be mounted) and
runs 10,000 seeds of the simulation. The seed of a part is the day's number and the part's, and stands in the result:
run it again with `--seed`.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tests.proof.chaos import Plan, note, run
from tests.proof.faults import HEALING
from tests.proof.house import debian_redis, is_root
from tests.proof.prove_page import OUT, record
from tests.proof.reconcile import ROOT

PARTS = 6
WHOLE_MINUTES = 15.0
"""What a part may take; less is asked for in proportion."""
CHAOS = Plan(minutes=0.0, workers=2, rounds=5, pauses=10, least_events=420_000, least_faults=len(HEALING) + 7)
DISK = Plan(minutes=1.0, workers=2, faults=("disk_full", "kill", "flushall"), least_faults=6, least_events=30_000)
SEEDS = 10_000
FAULTS = 20
_SUMMED_UP = re.compile(r"(?P<seeds>\d+) seeds .*?, (?P<faults>\d+) faults of .*: 0 violations")


def part_of(number: int, seed: int, share: float) -> dict[str, Any]:
    """Run one part, or `share` of it, and return its result."""
    began = time.monotonic()
    if number < PARTS:
        # Each kind of Redis in turn, where both are here.
        kind: Literal["valkey", "debian"] = "debian" if number % 2 == 0 and debian_redis() else "valkey"
        runs = [chaos(scaled(replace(CHAOS, seed=seed, redis=kind), share))]
        simulated: dict[str, Any] = {}
    else:
        # A small disk has to be mounted, for which one has to be root.
        runs = [chaos(scaled(replace(DISK, seed=seed), share))] if is_root() else []
        simulated = simulate(seed, max(10, int(SEEDS * share)))
    exact = all(found["verdict"] == "exact" for found in runs) and simulated.get("verdict", "exact") == "exact"
    return {
        "part": f"{number}/{PARTS}",
        "seed": seed,
        "date": datetime.now(tz=UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": commit(),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "runs": runs,
        "simulation": simulated,
        "verdict": "exact" if exact else "differs",
    }


def scaled(plan: Plan, share: float) -> Plan:
    """Return a plan of this share of the work."""
    if share >= 1.0:
        return plan
    return replace(
        plan,
        rounds=round(plan.rounds * share),
        pauses=max(1, round(plan.pauses * share)),
        least_events=int(plan.least_events * share),
        least_faults=max(3, round(plan.least_faults * share)),
    )


def chaos(plan: Plan) -> dict[str, Any]:
    """Make one chaos run; its logs are kept where it was not exact."""
    folder = Path(tempfile.mkdtemp(prefix="livesegment-prove-"))
    found = asdict(run(plan, folder))
    if found["verdict"] == "exact":
        shutil.rmtree(folder, ignore_errors=True)
    else:
        note(f"seed {plan.seed}: not exact; the logs are in {folder}")
    return found


def simulate(seed: int, seeds: int) -> dict[str, Any]:
    """Run seeds of the deterministic simulation, at least FAULTS faults each; its last line sums them up."""
    first = seed * SEEDS
    command = [sys.executable, "-m", "tests.simulation", "--seeds", f"{first}:{first + seeds}", "--faults", str(FAULTS)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    found = _SUMMED_UP.match(last)
    if done.returncode or found is None:
        sys.stderr.write(done.stdout)
        return {"seeds": 0, "faults": 0, "said": last, "verdict": "differs"}
    return {"seeds": int(found["seeds"]), "faults": int(found["faults"]), "said": last, "verdict": "exact"}


def commit() -> str:
    """Short name of the commit that was proved; a mark where files differ from it."""
    try:
        command = ["git", "describe", "--always", "--dirty"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def main(arguments: list[str] | None = None) -> int:
    """Run the parts that were asked for; 0 where each was exact."""
    parser = argparse.ArgumentParser(prog="make prove ARGS=", description="Prove that nothing is lost or doubled.")
    parser.add_argument("--part", default="", help=f"n/{PARTS}; all without")
    parser.add_argument("--minutes", type=float, default=WHOLE_MINUTES, help="of each part; less than 15 does less")
    parser.add_argument("--seed", type=int, default=None, help="instead of the day's")
    parser.add_argument("--out", type=Path, default=OUT, help="where the result goes, beside it the page")
    given = parser.parse_args(arguments)
    if given.part and not re.fullmatch(rf"[1-{PARTS}]/{PARTS}", given.part):
        parser.error(f"--part is 1/{PARTS} to {PARTS}/{PARTS}")
    numbers = [int(given.part[0])] if given.part else list(range(1, PARTS + 1))
    good = True
    for number in numbers:
        seed = given.seed if given.seed is not None else datetime.now(tz=UTC).toordinal() * 10 + number
        found = part_of(number, seed, min(1.0, given.minutes / WHOLE_MINUTES))
        record(given.out, found["part"], found)
        good = good and found["verdict"] == "exact"
        sys.stdout.write(json.dumps({name: found[name] for name in ("part", "seed", "minutes", "verdict")}) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

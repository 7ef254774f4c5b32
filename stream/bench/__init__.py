"""What it costs: CPU per event against merely fetching, latency, memory. `livesegment bench`.

Figures are CPU time of the measured process (user + system, all threads), never wall time alone: machines are noisy.
Runs of compared stages alternate and medians are reported.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from stream.bench import backlog, lapse, leaving, live, memory, parts, passing, rto, swap
from stream.bench.lab import BROKERS
from stream.errors import WrongUsage

Lines = Iterator[dict[str, Any]]

STAGES: dict[str, Callable[[str], Lines]] = {
    "job": backlog.floor_and_job,
    "growth": backlog.growth,
    "live": live.measure,
    "stock": backlog.stock,
    "stages": parts.measure,
    "memory": memory.measure,
    "rto": rto.measure,
    "sweep": passing.measure,
    "sweep_latency": leaving.latency,
    "carts": leaving.storm,
    "lapse": lapse.measure,
    "swap": swap.measure,
}
"""Stage -> what measures it; `floor` is measured with `job`, alternating."""


def run(stages: list[str], broker: str = "embedded") -> int:
    """Run the named stages, all if none, and print one JSON line for each figure. Raises WrongUsage."""
    wanted = ["job" if stage == "floor" else stage for stage in stages] or list(STAGES)
    unknown = [stage for stage in wanted if stage not in STAGES]
    if unknown:
        raise WrongUsage(f"there is no stage {unknown[0]!r}", action=f"choose from floor, {', '.join(STAGES)}")
    if broker not in BROKERS:
        raise WrongUsage(f"there is no broker {broker!r}", action=f"choose from {', '.join(BROKERS)}")
    for stage in dict.fromkeys(wanted):
        print(f"measuring {stage} ...", file=sys.stderr, flush=True)  # noqa: T201 (progress for a person)
        for line in STAGES[stage](broker):
            print(json.dumps(line), flush=True)  # noqa: T201 (the command's answer)
    return 0

"""Seeds run without a violation, one seed is one run, and seeds that once failed are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.run import report, run, run_all

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SEEDS = int(os.environ.get("LIVESEGMENT_SIMULATION_SEEDS", "1000"))
"""About 90 s on two cores; the proof is worth them."""
FAULTS = 20


def regressions() -> list[tuple[int, int]]:
    """Seeds and faults of runs that failed once, with what they found."""
    lines = (HERE / "regressions.txt").read_text(encoding="utf-8").splitlines()
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(("seed", "faults"), regressions())
def test_a_seed_that_found_a_bug_finds_none_any_more(seed: int, faults: int) -> None:
    result = run(seed, faults)
    assert not result.failure, report(result, faults)


@pytest.mark.timeout(1_200)
def test_no_seed_breaks_what_the_protocol_promises() -> None:
    kinds: dict[str, int] = {}
    triggers: dict[str, int] = {}
    refused = changes = 0
    for result in run_all(range(SEEDS), FAULTS, os.cpu_count() or 1):
        assert not result.failure, report(result, FAULTS)
        assert sum(result.faults.values()) >= FAULTS
        for kind, count in result.faults.items():
            kinds[kind] = kinds.get(kind, 0) + count
        for kind, count in result.triggers.items():
            triggers[kind] = triggers.get(kind, 0) + count
        refused, changes = refused + result.refused, changes + result.changes
    # Else the runs prove nothing.
    assert len(kinds) >= 20
    assert refused > 0
    assert changes > SEEDS
    assert min(triggers.get(kind, 0) for kind in ("abandoned", "withdrawn", "recovered")) > SEEDS // 10


def test_one_seed_is_one_run_whatever_python_hashes_by() -> None:
    code = "from tests.simulation.run import run; print(*(run(seed, 20).digest for seed in (3, 4, 5, 6)))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": keyed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for keyed in ("1", "2")
    }
    assert len(digests) == 1
    assert digests == {" ".join(run(seed, 20).digest for seed in (3, 4, 5, 6)) + "\n"}

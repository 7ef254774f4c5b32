"""The page of the proof adds up the parts, and a part that ran again replaces itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stream.failpoints import POINTS
from tests.proof.prove_page import record


def part(number: int, **changes: Any) -> dict[str, Any]:
    run = {"events": 500_000, "customers": 3_000, "faults": 100, "kinds": 30, "lost": 0, "doubled": 0}
    run |= {"redis_regressions": 0, "version_gaps": 0, "zombie_writes_refused": 9, "detail": {"failed": {}}}
    run |= {"made": {"pause": 10, "kill": 3, **{f"point:{point}": 4 for point in POINTS}}, "verdict": "exact"}
    said = {"part": f"{number}/6", "seed": number, "date": "2026-01-02 03:04", "commit": "abc", "minutes": 14.0}
    return said | {"runs": [run | changes], "simulation": {}, "verdict": run["verdict"]}


def test_parts_are_added_up_against_the_goals(tmp_path: Path) -> None:
    out = tmp_path / "proof.json"
    for number in range(1, 6):
        record(out, f"{number}/6", part(number))
    page = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "| events reconciled | 2,500,000 | 2,000,000 |" in page
    assert f"| SIGKILLs at the rarest of {len(POINTS)} failpoints | 20 ({POINTS[0]}) | 20 |" in page
    assert "| STOP/CONT cycles beyond the session | 50 | 50 |" in page
    assert "| lost | 0 | 0 |" in page
    assert page.count("| 2026-01-02 03:04 |") == 5


def test_a_part_that_ran_again_counts_once(tmp_path: Path) -> None:
    out = tmp_path / "proof.json"
    record(out, "1/6", part(1))
    record(out, "1/6", part(1, lost=7))
    page = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "| events reconciled | 500,000 |" in page
    assert "| lost | 7 | 0 |" in page


def test_a_fault_that_did_not_heal_says_so(tmp_path: Path) -> None:
    out = tmp_path / "proof.json"
    record(out, "1/6", part(1, detail={"failed": {"kill": "not healed"}}))
    page = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "| kill | 3 | failed |" in page
    assert "| pause | 10 | healed |" in page


def test_the_soak_is_one_more_result(tmp_path: Path) -> None:
    out = tmp_path / "proof.json"
    soak = {"minutes": 60.0, "rate_per_s": 5_000, "customers": 20_000, "events": 18_000_000, "memory_mb": 312.4}
    record(out, "1/6", part(1))
    record(out, "soak", soak | {"memory_mb_per_h": 1.25, "descriptors": 60, "descriptors_more": 0})
    page = out.with_suffix(".md").read_text(encoding="utf-8")
    assert "| its Theil-Sen slope after the first sixth | 1.2 MB an hour | at most 10 |" in page

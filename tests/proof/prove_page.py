"""The proof's results: docs/proof.json is merged part by part, docs/proof.md is made from it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from stream.failpoints import POINTS

OUT = Path(__file__).parents[2] / "docs" / "proof.json"
GOALS = {
    "kinds": 20,
    "faults": 60,
    "least_point": 20,
    "pauses": 50,
    "events": 2_000_000,
    "seeds": 10_000,
}


def record(out: Path, name: str, value: dict[str, Any]) -> None:
    """Merge one part's result (or the soak's) into the file, and write the page beside it."""
    known: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    known[name] = value
    out.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(page(known), encoding="utf-8")


def page(known: dict[str, Any]) -> str:
    """The page that says what was proved, when, and with which seeds."""
    parts = [part for name, part in sorted(known.items()) if name != "soak"]
    lines = [*_HEAD, *_sums(parts), "", *_parts(parts), "", *_faults(parts)]
    if "soak" in known:
        lines += ["", *_soak(known["soak"])]
    return "\n".join(lines) + "\n"


_HEAD = (
    "# The proof",
    "",
    "Generated from `docs/proof.json` by `make prove` and `make soak`; do not edit.",
    "",
    "Real Apache Kafka, real Redis, real workers, simulated shoppers with known duplicates, disorder and poison; then",
    "faults in an order that a seed decides; then rest, and an oracle that reads both source topics back from Kafka,",
    "recomputes every customer one event at a time and compares state, changes, dead letters and Redis.",
    "[exactness.md](exactness.md) says what is promised.",
    "",
    "`make prove` runs all of it, `make prove ARGS='--part 2/6'` a part, `make chaos ARGS='--seed S'` one more run.",
    "",
)


def _sums(parts: list[dict[str, Any]]) -> list[str]:
    runs = [run for part in parts for run in part["runs"]]
    made = _made(runs)
    process = [run for run in runs if run["events"] >= 100_000] or runs
    rarest = min(POINTS, key=lambda point: made[f"point:{point}"])
    seeds = sum(part["simulation"].get("seeds", 0) for part in parts)
    rows = [
        ("events reconciled", f"{sum(run['events'] for run in runs):,}", f"{GOALS['events']:,}"),
        ("customers reconciled, over all runs", f"{sum(run['customers'] for run in runs):,}", ""),
        ("faults of processes, network, broker, Redis, models, input", f"{made.total():,}", ""),
        ("fewest of a large run", f"{min((run['faults'] for run in process), default=0)}", f"{GOALS['faults']}"),
        ("fewest kinds of a large run", f"{min((run['kinds'] for run in process), default=0)}", f"{GOALS['kinds']}"),
        (
            f"SIGKILLs at the rarest of {len(POINTS)} failpoints",
            f"{made[f'point:{rarest}']} ({rarest})",
            f"{GOALS['least_point']}",
        ),
        ("STOP/CONT cycles beyond the session", f"{made['pause']}", f"{GOALS['pauses']}"),
        ("stale writes refused", f"{sum(run['zombie_writes_refused'] for run in runs)}", "above 0"),
        ("simulation seeds, of 20 faults or more each", f"{seeds:,}", f"{GOALS['seeds']:,}"),
        ("lost", f"{sum(run['lost'] for run in runs)}", "0"),
        ("doubled", f"{sum(run['doubled'] for run in runs)}", "0"),
        ("falls seen in Redis", f"{sum(run['redis_regressions'] for run in runs)}", "0"),
        ("gaps in versions", f"{sum(run['version_gaps'] for run in runs)}", "0"),
    ]
    return ["| what | figure | goal |", "| --- | --- | --- |", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]


def _parts(parts: list[dict[str, Any]]) -> list[str]:
    lines = ["| part | date (UTC) | commit | seed | minutes | events | faults | verdict |", "| --- " * 8 + "|"]
    for part in parts:
        events, faults = (sum(run[name] for run in part["runs"]) for name in ("events", "faults"))
        cells = [part[name] for name in ("part", "date", "commit", "seed", "minutes")]
        lines.append("| " + " | ".join(map(str, [*cells, f"{events:,}", faults, part["verdict"]])) + " |")
    return lines


def _faults(parts: list[dict[str, Any]]) -> list[str]:
    made = _made([run for part in parts for run in part["runs"]])
    failed = {name for part in parts for run in part["runs"] for name in run["detail"]["failed"]}
    rows = [
        f"| {name} | {times} | {'failed' if name in failed else 'healed'} |" for name, times in sorted(made.items())
    ]
    return ["| fault | times | |", "| --- | --- | --- |", *rows]


def _made(runs: list[dict[str, Any]]) -> Counter[str]:
    made: Counter[str] = Counter()
    for run in runs:
        made.update(run["made"])
    return made


def _soak(soak: dict[str, Any]) -> list[str]:
    rows = [
        ("minutes at the load", f"{soak['minutes']:g}", "60"),
        ("customers", f"{soak['customers']:,}", ""),
        ("events", f"{soak['events']:,}", ""),
        ("events a second", f"{soak['events'] / soak['minutes'] / 60:,.0f}", f"{soak['rate_per_s']:,}"),
        ("memory at the end", f"{soak['memory_mb']:.0f} MB", ""),
        ("its Theil-Sen slope after the first sixth", f"{soak['memory_mb_per_h']:.1f} MB an hour", "at most 10"),
        (
            "open files at the end, and more than at the start",
            f"{soak['descriptors']}, {soak['descriptors_more']}",
            "flat",
        ),
    ]
    return [
        "## Soak",
        "",
        "| what | figure | goal |",
        "| --- | --- | --- |",
        *(f"| {a} | {b} | {c} |" for a, b, c in rows),
    ]

"""A seeded chaos run: real processes, simulated shoppers, random faults; then rest, and the oracle's verdict.

    make chaos ARGS="--seed 7 --minutes 5 --faults kill,pause,flushall --workers 2 --broker kafka"

The seed decides which faults come in which order with which parameters, and what the shoppers do; how the processes
interleave it cannot decide, so a seed that failed may need a few runs to fail again. Notes go to standard error, then a
table fault -> count -> verdict; the last line of standard output is one JSON object. Exit code 0 where nothing was
lost, doubled, seen to fall in Redis or skipped in the changes, and every worker came back; else 1, with the first
customer that differs and both its histories, and the logs are kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

from schemas.topics import SEGMENT_MODELS
from stream import shoppers
from stream.embedded.supervisor import Child, stop
from stream.failpoints import POINTS
from tests.kit.snapshots import make_snapshot
from tests.proof.chaos_schedule import Outcome, Schedule
from tests.proof.fault import Fault
from tests.proof.faults import FAULTS, HEALING, possible
from tests.proof.house import House
from tests.proof.reconcile import Report as Verdict
from tests.proof.reconcile import reconcile
from tests.proof.traffic import Traffic

WARM_UP_S = 8.0
"""Before the first fault: a model is learnt, customers have segments to move between."""
SETTLE_S = 240.0
EVEN_SPAN_S = 18 * 3_600
"""Event time of a run whose seed is even. Below 24 hours together with what faults send as of now: later repeats would
be late, and are then counted again by definition."""
REFUSED = ("a newer owner exists", "a newer owner claimed it", "somebody else wrote to its changelog")
"""What a worker says whose stale write was refused, in `stream.partition.log` and `stream.redis_view.view`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. The same plan makes the same faults."""

    seed: int = 1
    minutes: float = 3.0
    """Of faults; starting, coming to rest and judging come on top."""
    faults: tuple[str, ...] = ()
    """By name; none given means every kind that heals and that this machine allows."""
    workers: int = 2
    broker: Literal["kafka", "embedded"] = "kafka"
    redis: Literal["valkey", "debian"] = "valkey"
    rate_per_s: int = 700
    least_events: int = 0
    """More are sent at the end where fewer came together."""
    least_faults: int = 0
    """At least so many of the deck, however long it takes."""
    rounds: int = 0
    """SIGKILLs at every failpoint, before the other faults."""
    pauses: int = 0
    """STOP/CONT cycles beyond the session, beside those of the deck."""
    calm: bool = False
    """Wait after every fault until the job has healed."""


@dataclass(slots=True)
class Result:
    """What the last line says, and what `prove` adds up."""

    seed: int
    faults: int = 0
    kinds: int = 0
    events: int = 0
    customers: int = 0
    lost: int = 0
    doubled: int = 0
    redis_regressions: int = 0
    zombie_writes_refused: int = 0
    version_gaps: int = 0
    verdict: str = "differs"
    made: dict[str, int] = field(default_factory=dict)
    """Faults by name; failpoints as `point:NAME`."""
    detail: dict[str, Any] = field(default_factory=dict)


def run(plan: Plan, folder: Path) -> Result:
    """Run one plan in `folder`; notes, table and histories go to standard error."""
    random = Random(plan.seed)
    environment = {"LIVESEGMENT_WARM_UP_VECTORS": "300", "LIVESEGMENT_SNAPSHOT_EVERY_VECTORS": "1000"}
    disk = "disk_full" in plan.faults
    result = Result(plan.seed)
    with House(folder, kafka=plan.broker, redis=plan.redis, workers=plan.workers, disk=disk, **environment) as house:
        chosen = chosen_faults(plan.faults, house)
        schedule = Schedule(house, random, note)
        watcher = watch(house)
        config = shop(plan)
        with Traffic(house.settings, config, rate_per_s=plan.rate_per_s, seed=plan.seed) as traffic:
            house.workers.until_ready()
            parts = f"{plan.workers} workers on {plan.broker} and {plan.redis}"
            note(f"seed {plan.seed}: {parts}, {len(chosen)} kinds of fault")
            # Until the learner has one, a model of the tests: changes are to be lost from the first second on.
            house.job.send({SEGMENT_MODELS: [(b"model", make_snapshot(1).model_dump_json().encode())]})
            time.sleep(WARM_UP_S)
            disturb(plan, schedule, chosen)
        note(f"{traffic.records:,} records sent, {traffic.failures} portions again")
        missing = plan.least_events - sum(house.ends().values())
        if missing > 0:
            house.job.shop(replace(config, seed=plan.seed + 1_000_000, events=missing), seed=plan.seed + 1)
        judge(house, schedule, watcher, result)
        report_exits(house)
    return result


def shop(plan: Plan) -> shoppers.Config:
    """The shoppers of a plan: odd seeds follow behaviour through months, even ones stay within a day."""
    config = shoppers.Config(customers=3_000, seed=plan.seed, duplicates=0.02, disorder_s=60, poison=0.002, drift=True)
    if plan.seed % 2:
        return config
    # Generous: shoppers who outran the clock would be refused as of the future.
    expected_s = 3 * (60 * (plan.minutes + 5) + 10 * (plan.rounds * len(POINTS) / plan.workers + plan.pauses))
    start_ms = int((time.time() - EVEN_SPAN_S - 7_200) * 1_000)
    return replace(config, rate_per_s=plan.rate_per_s, acceleration=EVEN_SPAN_S / expected_s, start_ms=start_ms)


def disturb(plan: Plan, schedule: Schedule, chosen: Sequence[type[Fault]]) -> None:
    """Make every fault of the plan."""
    if plan.rounds:
        patience_s = 60 + 30 * plan.rounds * len(POINTS) / plan.workers
        schedule.kill_at_points(plan.rounds, until=time.monotonic() + patience_s)
    for _ in range(plan.pauses):
        schedule.make(FAULTS["pause"], calm=False)
    if chosen:
        until = time.monotonic() + plan.minutes * 60
        schedule.run(chosen, until=until, least=plan.least_faults, calm=plan.calm)


def judge(house: House, schedule: Schedule, watcher: Child, result: Result) -> None:
    """Wait for rest, end the workers, ask the oracle, and fill the result in."""
    note("waiting for rest")
    settled = ""
    try:
        house.settle(SETTLE_S)
    except Exception as error:  # noqa: BLE001 (whatever it is, the oracle is asked and the result says so)
        settled = str(error)
        note(f"the job does not come to rest: {settled}")
    house.workers.resize(0)
    stop([watcher], 5.0)
    watched = json.loads((house.folder / "watch.json").read_text(encoding="utf-8"))
    note("asking the oracle")
    began = time.monotonic()
    verdict = reconcile(house.settings)
    note(f"{verdict.events:,} records of {verdict.customers:,} customers judged in {time.monotonic() - began:.0f} s")
    for name in (name.name for name in fields(Result) if name.name in Verdict.__slots__):
        setattr(result, name, getattr(verdict, name))
    result.made = {name: outcome.times for name, outcome in schedule.outcomes.items()}
    result.made |= {f"point:{point}": times for point, times in sorted(schedule.points.items())}
    result.faults, result.kinds = sum(result.made.values()), len(result.made)
    result.redis_regressions = watched["regressions"] + watched["across_wipes"]
    result.zombie_writes_refused = refused(house.workers.log_files())
    failed = {name: outcome.failed for name, outcome in schedule.outcomes.items() if outcome.failed}
    exact = verdict.exact and not result.redis_regressions and not settled and not failed
    result.verdict = "exact" if exact else "differs"
    said = asdict(verdict)
    first = said.pop("first")
    result.detail = {**said, "watched": watched, "failed": failed, "settled": settled}
    sys.stderr.write(table(schedule.outcomes, schedule.points, exact=exact))
    for line in [*verdict.findings, *watched["findings"], first]:
        sys.stderr.write(f"{line}\n" if line else "")


def chosen_faults(names: Sequence[str], house: House) -> list[type[Fault]]:
    """The faults of these names, or every healing one that the house has everything for."""
    if not names:
        return possible(house)
    return [FAULTS[name] for name in names if FAULTS[name].needs <= house.has]


def watch(house: House) -> Child:
    """Start the watcher of Redis."""
    words = [
        "-m",
        "tests.proof.watch",
        "--redis",
        house.settings.redis_url,
        "--report",
        str(house.folder / "watch.json"),
    ]
    words += ["--partitions", str(house.settings.partitions)]
    watcher = Child("watch", [sys.executable, *words], house.folder / "watch.log")
    watcher.start()
    return watcher


def refused(logs: Iterable[Path]) -> int:
    """Count the lines in which a worker says that a stale write of its was refused."""
    lines = (line for log in logs for line in log.read_text(encoding="utf-8", errors="replace").splitlines())
    return sum(any(words in line for words in REFUSED) for line in lines)


def report_exits(house: House) -> None:
    """Say how often workers ended and why."""
    counts = Counter(
        f"code {end.code}: {end.reason.splitlines()[-1][:110] if end.reason else ''}" for end in house.workers.exits
    )
    for words, times in counts.most_common():
        note(f"{times:>4} x {words}")


def table(outcomes: dict[str, Outcome], points: Counter[str], *, exact: bool) -> str:
    """Fault -> count -> verdict, a line each."""
    verdict = "exact" if exact else "differs"
    lines = [f"{'fault':<22}{'kind':<10}{'times':>6}  {'slowest':>8}  verdict"]
    for name, outcome in sorted(outcomes.items()):
        slowest = f"{outcome.slowest_s:.1f} s" if outcome.slowest_s else ""
        said = outcome.failed[:80].splitlines()[0] if outcome.failed else verdict
        lines.append(f"{name:<22}{outcome.kind:<10}{outcome.times:>6}  {slowest:>8}  {said}")
    lines += [
        f"{'point:' + point:<22}{'failpoint':<10}{times:>6}  {'':>8}  {verdict}"
        for point, times in sorted(points.items())
    ]
    return "\n".join(lines) + "\n"


def note(words: str) -> None:
    """Say how far it is, to people."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {words}\n")
    sys.stderr.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run one plan from the command line."""
    plan, keep = parse(arguments)
    folder = Path(tempfile.mkdtemp(prefix="livesegment-chaos-"))
    try:
        result = run(plan, folder)
    except BaseException:
        note(f"seed {plan.seed}; the logs are in {folder}")
        raise
    if result.verdict == "exact" and not keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        note(f"seed {plan.seed}; the logs are in {folder}")
    said = asdict(result)
    for inner in ("made", "detail"):
        said.pop(inner)
    sys.stdout.write(json.dumps(said) + "\n")
    return 0 if result.verdict == "exact" else 1


def parse(arguments: list[str] | None) -> tuple[Plan, bool]:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=", description="Break a running job, then judge it.")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000, help="of faults and shoppers")
    parser.add_argument("--minutes", type=float, default=3.0, help="of faults")
    parser.add_argument(
        "--faults", default="", help=f"names, with commas; of {', '.join(fault.name for fault in HEALING)}"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--broker", choices=("kafka", "embedded"), default="kafka")
    parser.add_argument("--redis", choices=("valkey", "debian"), default="valkey")
    parser.add_argument("--rate", type=int, default=700, help="events per second")
    parser.add_argument("--events", type=int, default=0, help="send more at the end where fewer came together")
    parser.add_argument("--points", type=int, default=0, help="rounds of SIGKILL at every failpoint")
    parser.add_argument("--pauses", type=int, default=0, help="STOP/CONT cycles beside those of the faults")
    parser.add_argument("--calm", action="store_true", help="let the job heal after every fault")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a run that was exact, too")
    given = parser.parse_args(arguments)
    names = tuple(name for name in given.faults.split(",") if name)
    unknown = [name for name in names if name not in {fault.name for fault in HEALING}]
    if unknown:
        parser.error(f"no healing fault is called {', '.join(unknown)}")
    plan = Plan(
        seed=given.seed,
        minutes=given.minutes,
        faults=names,
        workers=given.workers,
        broker=given.broker,
        redis=given.redis,
        rate_per_s=given.rate,
        least_events=given.events,
        rounds=given.points,
        pauses=given.pauses,
        calm=given.calm,
    )
    return plan, given.keep


if __name__ == "__main__":
    sys.exit(main())

"""The oracle's verdict on a whole job at rest: nothing lost, nothing doubled, everybody agrees.

    python -m tests.proof.reconcile --kafka 127.0.0.1:9092 --redis redis://127.0.0.1:6379/0

It reads both source topics back from the broker, lets every event happen again one customer at a time
(`tests.oracle`), and compares every customer with

- the changelog's recovered state (at rest, after the flush that precedes a commit, that is the workers' memory too);
- the change events: versions from 1 without a gap, each starting where the one before ended, repeats equal byte by
  byte, the last one equal to the state;
- Redis: every field of every record, no record too many;
- the dead letters and the partition's own counts: every record ended as exactly one of applied, duplicate, dead letter.

Integers, times, bits and labels must be equal; decayed sums within 1e-9 of the sum of their absolute terms. Each
partition is read by a process of its own, since they share nothing. Prints one JSON object; exit code 1 where anything
differs, with the first customer's histories on standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import redis

from schemas.redis_keys import segment_key
from schemas.topics import CHANGELOG
from stream.changelog_reader import read_state
from stream.errors import LivesegmentError
from stream.settings import Settings, load
from tests.oracle.reading import Rules
from tests.proof import reconcile_state as against
from tests.proof.reconcile_topics import letter_faults, read_changes, read_partition, recompute

ROOT = Path(__file__).parents[2]
SHOWN = 20
"""Findings listed one by one; the others are counted."""
SLICE = 1_000


@dataclass(slots=True)
class Report:
    """What was compared and what differs; of one partition, or added up of all."""

    events: int = 0
    """Records of the source topics."""
    applied: int = 0
    duplicates: int = 0
    letters: int = 0
    late: int = 0
    customers: int = 0
    changes: int = 0
    resent: int = 0
    """Changes and dead letters that were sent again, as the same."""
    lost: int = 0
    doubled: int = 0
    version_gaps: int = 0
    other_meetings: int = 0
    differing: dict[str, int] = field(default_factory=dict)
    """Findings by kind: lost, doubled, state, counts, change, redis, letter, changelog."""
    findings: list[str] = field(default_factory=list)
    """The first of them."""
    first: str = ""
    """Both histories of the first customer that differs."""

    @property
    def exact(self) -> bool:
        """Whether nothing differs."""
        return not (self.differing or self.lost or self.doubled or self.version_gaps)

    def note(self, findings: list[against.Finding]) -> None:
        """Add findings."""
        counts = Counter(self.differing)
        counts.update(kind for kind, _, _ in findings)
        self.differing = dict(counts)
        self.findings += [": ".join(part for part in finding if part) for finding in findings][
            : SHOWN - len(self.findings)
        ]

    def add(self, other: Report) -> None:
        """Add another partition's report."""
        for name, value in asdict(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        self.differing = dict(Counter(self.differing) + Counter(other.differing))
        self.findings = (self.findings + other.findings)[:SHOWN]
        self.first = self.first or other.first


def reconcile(settings: Settings, processes: int | None = None) -> Report:
    """Compare everything; the job must be at rest. AssertionError where a partition could not be judged."""
    total = Report()
    waiting = list(range(settings.partitions))
    running: dict[int, subprocess.Popen[str]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < (processes or os.cpu_count() or 1):
                number = waiting.pop(0)
                running[number] = _judge(settings, number)
            number, process = next(iter(running.items()))
            said, _ = process.communicate()
            del running[number]
            assert said, f"the judge of partition {number} ended with {process.returncode} and no report"
            total.add(Report(**json.loads(said)))
    finally:
        for process in running.values():
            process.kill()
            process.communicate()
    total.note(strangers(settings, total.customers))
    return total


def _judge(settings: Settings, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.proof.reconcile", "--partition", str(number)]
    command += ["--kafka", settings.kafka, "--redis", settings.redis_url, "--partitions", str(settings.partitions)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def judge_partition(settings: Settings, number: int) -> Report:
    """Compare one partition."""
    rules = Rules(settings.currency, settings.currency_digits, settings.unknown_events)
    ledger = recompute(settings.kafka, number, settings.partitions, rules)
    state = read_state(settings, only={number}).partitions[0]
    changes = read_changes(settings.kafka, number)
    compared = against.compare_customers(state, ledger)
    letters, letters_again = letter_faults(settings.kafka, number, ledger)
    log = read_partition(settings.kafka, CHANGELOG, number)
    counts = ledger.shop.counts
    report = Report(
        events=sum(ledger.records.values()),
        applied=counts.applied,
        duplicates=counts.event_repeat + counts.order_repeat,
        letters=len(ledger.letters),
        late=counts.late,
        customers=len(ledger.shop.customers),
        changes=sum(map(len, changes.seen.values())),
        resent=changes.repeats + letters_again,
        lost=compared.lost,
        doubled=compared.doubled,
        version_gaps=changes.gaps,
        other_meetings=compared.other_meetings,
    )
    findings = [
        *compared.findings,
        *against.compare_counts(state, ledger),
        *against.compare_changes(state, changes),
        *against.compare_redis(state, dict(records_of(settings, state.table.ids))),
        *(("letter", "", words) for words in letters),
        *against.linear(log),
    ]
    report.note(findings)
    named = next((customer for _, customer, _ in findings if customer), None)
    if named is not None:
        words = [f"  {kind}: {what}" for kind, customer, what in findings if customer == named]
        report.first = "\n".join([f"{named} differs:", *words, against.history_of(named, ledger, log)])
    return report


def records_of(settings: Settings, customers: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(customer, its record in Redis, {} where there is none)."""
    with redis.Redis.from_url(settings.redis_url, decode_responses=True) as client:
        for start in range(0, len(customers), SLICE):
            names = customers[start : start + SLICE]
            pipeline = client.pipeline(transaction=False)
            for name in names:
                pipeline.hgetall(segment_key(name))
            yield from zip(names, pipeline.execute(), strict=True)


def strangers(settings: Settings, customers: int) -> list[against.Finding]:
    """Records in Redis of nobody."""
    with redis.Redis.from_url(settings.redis_url) as client:
        there = sum(1 for _ in client.scan_iter(match=segment_key("*"), count=SLICE))
    return [("redis", "", f"{there} records for {customers} customers")] if there > customers else []


def main(arguments: list[str] | None = None) -> int:
    """Judge a job; 0 where everything agrees."""
    parser = argparse.ArgumentParser(prog="reconcile", description="Recompute a job from its topics and compare.")
    parser.add_argument("--kafka", required=True, help="host:port of the broker")
    parser.add_argument("--redis", required=True, help="redis:// address")
    parser.add_argument("--partitions", type=int, default=None, help="of the job (default 4)")
    parser.add_argument("--partition", type=int, default=None, help="judge only this one, and print its report")
    given = parser.parse_args(arguments)
    settings = load(kafka=given.kafka, redis_url=given.redis, partitions=given.partitions)
    try:
        report = reconcile(settings) if given.partition is None else judge_partition(settings, given.partition)
    except LivesegmentError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    said: dict[str, Any] = asdict(report)
    if given.partition is None:
        sys.stderr.write(f"{said.pop('first')}\n" if report.first else "")
        said["verdict"] = "exact" if report.exact else "differs"
    sys.stdout.write(json.dumps(said) + "\n")
    return 0 if report.exact else 1


if __name__ == "__main__":
    sys.exit(main())

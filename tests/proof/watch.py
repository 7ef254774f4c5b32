"""Redis as its readers see it while things break: a process that polls records and notes whatever falls.

    python -m tests.proof.watch --redis redis://127.0.0.1:6379/0 --report watch.json

It looks at a sample of customers many times a second. `rev` and `ver` of a record may only rise, one `rev` has one
content, and a record never disappears, unless Redis lost everything in between: then the boot id of the customer's
partition is another one, and the record must come back no older. What falls across a wipe is counted apart. At SIGTERM
it writes its report and ends.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

import redis
from redis.exceptions import RedisError

from schemas.redis_keys import partition_key, segment_key
from stream.partitioner import partition_of

SAMPLE = 200
"""Customers that are watched: the first that are met."""
LOOK_S = 0.05
TIMEOUT_S = 1.0
SHOWN = 20


@dataclass(slots=True)
class Report:
    """What was seen."""

    polls: int = 0
    customers: int = 0
    moves: int = 0
    """Records that were seen to change."""
    wipes: int = 0
    """Boot ids that were seen to change."""
    unanswered: int = 0
    regressions: int = 0
    across_wipes: int = 0
    """Falls with a wipe in between."""
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as it was last seen, and under which boot id."""

    fields: dict[str, str]
    boot: str | None


class Watcher:
    """Compares every look with the one before."""

    def __init__(self, partitions: int) -> None:
        self.report = Report()
        self.watched: list[str] = []
        self._partitions = partitions
        self._seen: dict[str, Seen] = {}
        self._boots: list[str | None] = [None] * partitions

    def watch(self, customer: str) -> None:
        """Add a customer while there is room."""
        if len(self.watched) < SAMPLE and customer not in self._seen:
            self._seen[customer] = Seen({}, None)
            self.watched.append(customer)
            self.report.customers += 1

    def look(self, boots: list[str | None], records: list[dict[str, str]]) -> None:
        """Take in the boot id of every partition and the record of every watched customer, as of one moment."""
        self.report.polls += 1
        for number, boot in enumerate(boots):
            if boot != self._boots[number]:
                self.report.wipes += self._boots[number] is not None
                self._boots[number] = boot
        for customer, fields in zip(self.watched, records, strict=True):
            boot = boots[partition_of("murmur2", customer.encode(), self._partitions)]
            self._compare(customer, self._seen[customer], Seen(fields, boot))

    def _compare(self, customer: str, before: Seen, now: Seen) -> None:
        wiped = now.boot is None or before.boot != now.boot
        if not now.fields:
            if before.fields and not wiped:
                self._note(customer, before, now, wiped=False)
                self._seen[customer] = now
            # After a wipe the record before it is remembered: nothing may fall across it either.
            return
        if before.fields:
            old, new = _numbers(before.fields), _numbers(now.fields)
            fell = new[0] < old[0] or new[1] < old[1]
            if fell or (new == old and now.fields != before.fields):
                self._note(customer, before, now, wiped=wiped)
            self.report.moves += new != old
        self._seen[customer] = now

    def _note(self, customer: str, before: Seen, now: Seen, *, wiped: bool) -> None:
        if wiped:
            self.report.across_wipes += 1
        else:
            self.report.regressions += 1
        if len(self.report.findings) < SHOWN:
            words = "across a wipe" if wiped else "under one boot id"
            self.report.findings.append(f"{customer} {words}: {before.fields} became {now.fields}")


def _numbers(fields: dict[str, str]) -> tuple[int, int]:
    return int(fields["rev"]), int(fields["ver"])


def follow(url: str, partitions: int, stop: threading.Event) -> Report:
    """Look until told to stop; a Redis that does not answer is asked again."""
    watcher = Watcher(partitions)
    client = redis.Redis.from_url(
        url, decode_responses=True, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
    )
    cursor = 0
    while not stop.wait(LOOK_S):
        try:
            if len(watcher.watched) < SAMPLE:
                cursor, keys = client.scan(cursor, match=segment_key("*"), count=SAMPLE)
                for key in keys:
                    watcher.watch(key.removeprefix(segment_key("")))
            # One transaction: a wipe between the boot ids and the records would look like a fall.
            pipeline = client.pipeline(transaction=True)
            for number in range(partitions):
                pipeline.hget(partition_key(number), "boot")
            for customer in watcher.watched:
                pipeline.hgetall(segment_key(customer))
            said = pipeline.execute()
        except (RedisError, OSError):
            watcher.report.unanswered += 1
            continue
        watcher.look(said[:partitions], said[partitions:])
    return watcher.report


def main() -> int:
    """Watch until SIGTERM or SIGINT; 0 where nothing fell."""
    parser = argparse.ArgumentParser(prog="watch", description="Watch records in Redis for anything that falls.")
    parser.add_argument("--redis", required=True, help="redis:// address")
    parser.add_argument("--partitions", type=int, default=4, help="of the job")
    parser.add_argument("--report", type=Path, required=True, help="file for the report")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    report = follow(given.redis, given.partitions, stop)
    given.report.write_text(json.dumps(asdict(report)) + "\n", encoding="utf-8")
    return 1 if report.regressions or report.across_wipes else 0


if __name__ == "__main__":
    sys.exit(main())

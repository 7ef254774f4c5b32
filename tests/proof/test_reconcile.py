"""The oracle can fail: one column, one event, one change or one Redis field wrong, and it names the customer.

A proof that never says no proves nothing. Every test here breaks the evidence of a finished job in one place.
"""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from models import rows
from models.columns import COL, POSITION
from schemas.redis_keys import segment_key
from schemas.topics import CHANGELOG, CLICKSTREAM
from stream import shoppers
from stream.changelog_reader import PartitionState
from stream.embedded.broker import broker
from stream.embedded.redis import redis, url
from tests.kit.job import Job
from tests.proof.reconcile import Report, judge_partition, main, reconcile
from tests.proof.reconcile_topics import Changes

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

ORACLE = Path(__file__).parents[1] / "oracle"
SHOP = shoppers.Config(customers=200, events=6_000, duplicates=0.02, disorder_s=60, poison=0.01)
EVENT = '{"event_type":"view_item","event_id":"%s","customer_id":"%s","event_time":%d,"product_id":"p9"}'


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A job at rest: events applied, a model learnt, changes sent, its worker gone; found exact before it is given."""
    folder = tmp_path_factory.mktemp("rest")
    with (
        broker(folder / "broker") as kafka,
        redis(folder / "redis") as store,
        Job(kafka.address, url(store), folder, LIVESEGMENT_WARM_UP_VECTORS="300") as job,
    ):
        worker = job.start_worker()
        job.shop(SHOP)
        job.wait()
        job.until(lambda: all((p.table.column("segment") >= 0).all() for p in job.state().partitions), 60.0, "segments")
        job.shop(shoppers.Config(customers=200, events=2_000, seed=8), seed=8)
        job.wait()
        assert job.stop(worker) == 0
        expect_exact(reconcile(job.settings))
        yield job


@dataclass
class Victim:
    """One customer of the job, and ways to falsify what is known of it. What was falsified is mended at the end."""

    job: Job
    partition: PartitionState
    slot: int

    @property
    def name(self) -> str:
        return self.partition.table.ids[self.slot]

    def row(self) -> np.ndarray:
        return self.partition.table.gather(np.array([self.slot]))

    def write_row(self, row: np.ndarray) -> None:
        """Append this row of the customer to the changelog."""
        self.partition.table.scatter(np.array([self.slot]), row)
        self.job.send({CHANGELOG: rows.encode(self.partition.table, np.array([self.slot]))})

    def judged(self) -> Report:
        return judge_partition(self.job.settings, self.partition.number)


@pytest.fixture
def victim(rest: Job) -> Iterator[Victim]:
    """A customer with changes, an order and a cart's history."""
    for partition in rest.state().partitions:
        table = partition.table
        fit = (table.column("ver") > 1) & (table.column("orders") > 0) & (table.column("duplicates") > 0)
        if fit.any():
            found = Victim(rest, partition, int(np.flatnonzero(fit)[0]))
            break
    before = found.row()
    record = rest.redis.hgetall(segment_key(found.name))
    yield found
    found.write_row(before)
    rest.redis.delete(segment_key(found.name))
    rest.redis.hset(segment_key(found.name), mapping=record)


def expect_named(report: Report, victim: Victim, *words: str) -> None:
    assert not report.exact
    assert report.first.startswith(f"{victim.name} differs:")
    assert any(victim.name in finding and all(word in finding for word in words) for finding in report.findings)


def expect_exact(report: Report) -> None:
    assert report.exact, report
    assert report.events == report.applied + report.duplicates + report.letters
    assert report.duplicates > 50
    assert report.letters > 20
    assert report.changes > report.customers > 150
    assert report.other_meetings == 0


@pytest.mark.parametrize(
    "column", ["events", "spend_minor", "last_seen", "views_hl7d", "cart_watch", "next_purchases", "ring0", "products"]
)
def test_one_wrong_column_is_found(victim: Victim, column: str) -> None:
    row = victim.row()
    place = POSITION[column]
    if column in {"ring0", "products"}:
        row.view(np.uint64)[0, place] ^= np.uint64(2)
    else:
        row[0, place] += max(1e-6 * abs(row[0, place]), 1e-3) if column == "views_hl7d" else 1
    victim.write_row(row)
    expect_named(victim.judged(), victim, column)


def test_an_event_that_was_never_applied_is_lost(victim: Victim) -> None:
    row = victim.row()
    row[0, [COL.events, COL.next_clickstream]] -= 1
    victim.write_row(row)
    report = victim.judged()
    assert (report.lost, report.doubled) == (1, 0)
    expect_named(report, victim, "events")


def test_an_event_that_was_applied_twice_is_doubled(victim: Victim) -> None:
    row = victim.row()
    row[0, COL.events] += 1
    row[0, COL.duplicates] -= 1
    victim.write_row(row)
    report = victim.judged()
    assert (report.lost, report.doubled) == (0, 1)
    expect_named(report, victim, "duplicates")


def test_a_change_that_was_never_sent_is_found(victim: Victim) -> None:
    row = victim.row()
    row[0, COL.ver] += 1
    victim.write_row(row)
    expect_named(victim.judged(), victim, "change", "state (ver, segment, previous)")


def test_another_label_than_that_of_the_last_change_is_found(victim: Victim) -> None:
    row = victim.row()
    row[0, COL.segment] += 1
    victim.write_row(row)
    expect_named(victim.judged(), victim, "state (ver, segment, previous)")


@pytest.mark.parametrize("field", ["segment", "name", "since", "cart", "confidence", "as_of", "model", "ver", "rev"])
def test_one_wrong_field_in_redis_is_found(victim: Victim, field: str) -> None:
    victim.job.redis.hset(segment_key(victim.name), field, "0.123")
    expect_named(victim.judged(), victim, "redis", field)


def test_a_record_that_redis_lost_is_found(victim: Victim) -> None:
    victim.job.redis.delete(segment_key(victim.name))
    expect_named(victim.judged(), victim, "redis")


def test_a_record_of_nobody_in_redis_is_found(rest: Job) -> None:
    rest.redis.hset(segment_key("nobody"), "ver", "1")
    report = reconcile(rest.settings)
    rest.redis.delete(segment_key("nobody"))
    assert not report.exact
    assert any("records for" in finding for finding in report.findings)


def test_a_changelog_that_goes_backwards_is_found_although_its_end_is_right(victim: Victim) -> None:
    right, older = victim.row(), victim.row()
    older[0, [COL.rev, COL.ver]] -= 1
    victim.write_row(older)
    victim.write_row(right)
    expect_named(victim.judged(), victim, "says less than that at")


def change(ver: int, previous: int | None, current: int) -> bytes:
    said = {"id": f"c1:{ver}", "customer_id": "c1", "ver": ver, "epoch": 1, "previous": previous, "current": current}
    said |= {"previous_name": "a", "current_name": "b", "reason": "behaviour", "model": 1, "event_time": 1}
    return json.dumps(said).encode()


def changes(*values: bytes) -> Changes:
    found = Changes()
    for value in values:
        found.take(b"c1", value)
    return found


def test_changes_in_order_with_an_exact_repeat_are_right() -> None:
    found = changes(change(1, None, 2), change(2, 2, 5), change(1, None, 2), change(3, 5, 2))
    assert (found.faults, found.gaps, found.repeats) == ([], 0, 1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([change(1, None, 2), change(3, 2, 5)], "ver 3 follows ver 1"),
        ([change(2, None, 2)], "ver 2 follows ver 0"),
        ([change(1, None, 2), change(2, 3, 5)], "starts at 3"),
        ([change(1, None, 2), change(1, None, 3)], "two contents"),
        ([change(1, None, 2), change(2, 2, 2)], "moves nowhere"),
    ],
)
def test_a_gap_a_broken_link_and_a_second_content_are_found(values: list[bytes], words: str) -> None:
    found = changes(*values)
    assert [customer for customer, what in found.faults if words in what] == ["c1"]
    assert found.gaps == ("follows" in words)


def test_a_foreign_key_of_a_change_is_found() -> None:
    found = Changes()
    found.take(b"c2", change(1, None, 2))
    assert "under key b'c2'" in found.faults[0][1]


def test_the_oracle_shares_no_code_with_what_it_checks() -> None:
    for module in ("shop.py", "reading.py", "columns.py"):
        tree = ast.parse((ORACLE / module).read_text(encoding="utf-8"))
        named = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        named += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
        assert {name.partition(".")[0] for name in named} & {"stream", "models"} == set(), module
        assert {name for name in named if name.startswith("tests.")} <= {"tests.oracle.shop"}, module


def test_an_event_that_no_worker_saw_makes_the_command_fail(rest: Job, capsys: pytest.CaptureFixture[str]) -> None:
    name = rest.state().partitions[0].table.ids[0]
    rest.send({CLICKSTREAM: [(name.encode(), (EVENT % ("unseen", name, int(time.time() * 1000))).encode())]})
    assert main(["--kafka", rest.settings.kafka, "--redis", rest.settings.redis_url]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["verdict"] == "differs"
    assert json.loads(said.out)["lost"] == 1
    assert f"{name} differs:" in said.err
    worker = rest.start_worker()
    rest.wait()
    assert rest.stop(worker) == 0

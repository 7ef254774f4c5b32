"""The whole job as real processes on a real broker and a real Redis: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.columns import COL
from schemas.metric import METRICS
from schemas.redis_keys import partition_key, segment_key
from stream import shoppers
from stream.commands import run
from stream.embedded.redis import url
from stream.embedded.server import Server
from tests.kit.expect import (
    expect_customer_is_explained,
    expect_gapless_versions,
    expect_records_equal_state,
    expect_same_features,
    expect_segments_are_told,
)
from tests.kit.job import Job, customers, totals

pytestmark = pytest.mark.timeout(240)

# Disorder of a minute: more would put some repeats beyond the newest 16 ids of their customer, the documented horizon.
SHOP = shoppers.Config(customers=3_000, events=40_000, duplicates=0.02, disorder_s=60, poison=0.002)

ON_KAFKA_FIRST = pytest.mark.parametrize(
    "start_either_broker",
    [
        pytest.param("embedded", marks=[pytest.mark.broker, pytest.mark.acceptance]),
        pytest.param("kafka", marks=pytest.mark.kafka),
    ],
    indirect=True,
)
"""With every change on Apache Kafka; on the embedded broker, where `up`'s tests show the same, by `make acceptance`."""


@pytest.fixture
def job(start_broker: Callable[[], Server], start_redis: Callable[[], Server], tmp_path: Path) -> Iterator[Job]:
    """A job on the embedded broker."""
    with Job(start_broker().address, url(start_redis()), tmp_path, LIVESEGMENT_WARM_UP_VECTORS="300") as started:
        yield started


@pytest.fixture
def either_job(
    start_either_broker: Callable[[], Server], start_redis: Callable[[], Server], tmp_path: Path
) -> Iterator[Job]:
    """A job on the embedded broker, then one on Apache Kafka: for what proves delivery."""
    with Job(start_either_broker().address, url(start_redis()), tmp_path, LIVESEGMENT_WARM_UP_VECTORS="300") as started:
        yield started


@ON_KAFKA_FIRST
def test_every_record_ends_as_applied_duplicate_or_dead_letter(either_job: Job) -> None:
    either_job.start_worker()
    sent = either_job.shop(SHOP)
    either_job.wait()
    counted = totals(either_job.state())
    assert counted["read"] == sent.records
    assert counted["events"] == sent.events.total()
    assert counted["duplicates"] == sent.duplicates
    assert counted["letters"] == sent.poison.total()
    assert counted["orders"] == sent.orders
    assert counted["spend_minor"] == sent.revenue_minor
    assert counted["refunds_minor"] == sent.refunds_minor


@ON_KAFKA_FIRST
def test_a_worker_killed_again_and_again_leaves_the_columns_of_an_undisturbed_run(
    either_job: Job, start_broker: Callable[[], Server], start_redis: Callable[[], Server], tmp_path: Path
) -> None:
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    with Job(start_broker().address, url(start_redis()), folder) as undisturbed:
        undisturbed.shop(SHOP)
        undisturbed.start_worker()
        undisturbed.wait()
        expected = customers(undisturbed.state())
    either_job.shop(SHOP)
    for after_s in (0.3, 0.6, 0.1):
        worker = either_job.start_worker()
        time.sleep(after_s)
        worker.kill()
        worker.wait()
    last = either_job.start_worker()
    either_job.wait()
    assert either_job.stop(last) == 0
    found = customers(either_job.state())
    expect_same_features(found, expected)
    assert expect_records_equal_state(either_job) == len(expected)
    expect_gapless_versions(either_job)


@ON_KAFKA_FIRST
def test_sigterm_commits_and_leaves_and_the_next_worker_reads_nothing_again(either_job: Job) -> None:
    first = either_job.start_worker()
    either_job.shop(SHOP)
    either_job.wait()
    before = customers(either_job.state())
    began = time.monotonic()
    assert either_job.stop(first, timeout_s=10.0) == 0
    assert time.monotonic() - began < 10.0
    changes = expect_gapless_versions(either_job)
    either_job.start_worker()
    time.sleep(2.0)
    after = customers(either_job.state())
    assert after.keys() == before.keys()
    assert "resent" not in either_job.log()
    assert expect_gapless_versions(either_job) >= changes


def test_a_worker_that_joins_and_one_that_leaves_lose_and_double_nothing(either_job: Job) -> None:
    first = either_job.start_worker()
    sent = either_job.shop(SHOP)
    second = either_job.start_worker()
    sent.add(either_job.shop(shoppers.Config(customers=3_000, events=20_000, seed=8), seed=2))
    assert either_job.stop(first) == 0
    either_job.wait()
    assert second.poll() is None, either_job.log()
    counted = totals(either_job.state())
    assert counted["read"] == sent.records
    assert counted["events"] == sent.events.total()
    assert counted["duplicates"] == sent.duplicates
    expect_gapless_versions(either_job)
    assert either_job.stop(second) == 0
    expect_records_equal_state(either_job)


def test_of_two_workers_one_is_killed_and_the_other_takes_its_partitions(either_job: Job) -> None:
    killed, left = either_job.start_worker(), either_job.start_worker()
    sent = either_job.shop(SHOP)
    killed.kill()
    sent.add(either_job.shop(shoppers.Config(customers=3_000, events=20_000, seed=8), seed=2))
    either_job.wait()
    assert left.poll() is None, either_job.log()
    counted = totals(either_job.state())
    assert counted["read"] == sent.records
    assert counted["events"] == sent.events.total()
    assert counted["duplicates"] == sent.duplicates
    expect_gapless_versions(either_job)
    assert either_job.stop(left) == 0
    expect_records_equal_state(either_job)


@pytest.mark.broker
def test_a_wiped_redis_is_noticed_and_rebuilt_while_the_worker_runs(job: Job) -> None:
    worker = job.start_worker()
    job.shop(SHOP)
    job.wait()
    expected = len(customers(job.state()))
    job.redis.flushall()
    complete = [partition_key(number) for number in range(job.settings.partitions)]
    job.until(lambda: all(job.redis.hget(key, "complete") for key in complete), 30.0, "a complete view")
    assert job.stop(worker) == 0
    assert expect_records_equal_state(job) == expected


@pytest.mark.broker
def test_a_redis_that_is_away_is_waited_for(job: Job) -> None:
    job.start_worker()
    job.redis.config_set("timeout", 0)
    job.redis.execute_command("CLIENT", "PAUSE", "1500", "ALL")
    sent = job.shop(SHOP)
    job.wait()
    assert totals(job.state())["events"] == sent.events.total()


@pytest.mark.broker
def test_a_model_is_learnt_and_everybody_gets_a_named_segment_that_is_explained(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = job.start_worker()
    job.shop(SHOP)
    job.wait()
    everybody = customers(job.state())
    job.until(
        lambda: all(row[COL.segment] >= 0 for row in customers(job.state()).values()), 60.0, "a segment for everybody"
    )
    assert job.stop(worker) == 0
    names = {job.redis.hget(segment_key(customer), "name") for customer in everybody}
    assert len(names) > 2
    assert "warming_up" not in names
    assert expect_gapless_versions(job) >= len(everybody)
    assert expect_records_equal_state(job) == len(everybody)

    def livesegment(*words: str, code: int = 0) -> str:
        assert run([*words, "--kafka", job.settings.kafka, "--data-dir", str(job.folder)]) == code
        return capsys.readouterr().out

    ids = expect_segments_are_told(job, list(everybody), livesegment)
    for customer in sorted(everybody)[:3]:
        expect_customer_is_explained(job, customer, ids, livesegment)
    livesegment("explain", "nobody", code=3)


@pytest.mark.broker
def test_what_operators_watch_is_on_the_topic_of_metrics_and_is_true(job: Job) -> None:
    worker = job.start_worker()
    sent = job.shop(SHOP)
    job.wait()
    # A round of readings after the last event.
    time.sleep(2.5)
    assert job.stop(worker) == 0
    readings = job.readings()
    # The learner reports at times of its own.
    newest = max(said["at"] for said in readings if said["name"] == "customers")
    sums: Counter[str] = Counter()
    for said in readings:
        assert said["unit"] == METRICS[said["name"]].unit
        if said["at"] == newest:
            sums[said["name"]] += said["value"]
    state = job.state()
    everybody = len(customers(state))
    assert (sums["events_applied"], sums["customers"]) == (sent.events.total(), everybody)
    assert sums["segment_customers"] == everybody
    assert sums["duplicates"] == sent.duplicates
    assert sums["lag_records"] == 0
    # The shoppers look at products of categories, each of which is named once in each partition where it was met.
    assert sums["category_names"] == sum(len(partition.table.categories.names) for partition in state.partitions) > 0


@pytest.mark.broker
def test_a_stopped_broker_ends_nothing_and_loses_nothing(
    start_broker: Callable[[], Server], start_redis: Callable[[], Server], tmp_path: Path
) -> None:
    server = start_broker()
    with Job(server.address, url(start_redis()), tmp_path) as job:
        job.start_worker()
        sent = job.shop(SHOP)
        pid = server.child.pid
        assert pid is not None
        signal_group(pid, signal.SIGSTOP)
        time.sleep(2.0)
        signal_group(pid, signal.SIGCONT)
        job.wait()
        assert totals(job.state())["events"] == sent.events.total()


def signal_group(pid: int, number: int) -> None:
    os.killpg(os.getpgid(pid), number)

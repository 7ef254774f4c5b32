"""The whole job at length: five kills during 400,000 events with duplicates and disorder leave no trace."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stream import shoppers
from stream.embedded.redis import url
from stream.embedded.server import Server
from tests.kit.expect import expect_gapless_versions, expect_records_equal_state, expect_same_features
from tests.kit.job import Job, customers, totals

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

SHOP = shoppers.Config(customers=20_000, events=400_000, duplicates=0.01, disorder_s=60, poison=0.001)
KILLS = 5


def test_five_kills_in_400_000_events_leave_the_columns_of_a_run_without(
    start_broker: Callable[[], Server], start_redis: Callable[[], Server], tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("disturbed", "undisturbed")]
    found = []
    for folder in folders:
        folder.mkdir()
        with Job(start_broker().address, url(start_redis()), folder) as job:
            sent = job.shop(SHOP)
            for _ in range(KILLS if folder is folders[0] else 0):
                worker = job.start_worker()
                time.sleep(0.4)
                worker.kill()
                worker.wait()
            last = job.start_worker()
            job.wait()
            assert job.stop(last) == 0
            counted = totals(job.state())
            assert counted["read"] == sent.records
            assert counted["events"] == sent.events.total()
            assert counted["duplicates"] == sent.duplicates
            assert counted["letters"] == sent.poison.total()
            assert (counted["orders"], counted["spend_minor"]) == (sent.orders, sent.revenue_minor)
            found.append(customers(job.state()))
            assert expect_records_equal_state(job) == len(found[-1])
            assert expect_gapless_versions(job) > 0
    disturbed, undisturbed = found
    expect_same_features(disturbed, undisturbed)

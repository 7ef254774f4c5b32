"""SIGKILL at every step of the protocol: the columns are those of an undisturbed run, Redis and changes agree."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from schemas.topics import CLICKSTREAM, PURCHASES, SEGMENT_MODELS
from stream import shoppers
from stream.embedded.redis import url
from stream.embedded.server import Server
from stream.failpoints import POINTS
from stream.replay.applied import wait_until_applied
from tests.kit.expect import expect_gapless_versions, expect_records_equal_state, expect_same_features
from tests.kit.job import Job, customers
from tests.kit.snapshots import make_snapshot
from tests.proof.house import House

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

SHOP = shoppers.Config(customers=400, events=12_000, duplicates=0.02, disorder_s=60, poison=0.002)
LATER_MS = {"rows_sent": 2, "changes_sent": 2, "triggers_sent": 2}
"""Here the second kill comes while the request is under way: at once, it would never leave the process."""
EARLY = ("init_producer", "marker", "changelog_read", "redis_claimed", "resent", "model_swapped")
"""Steps of a take-over, one of each partition: the second kill is in the third partition's."""

Pairs = list[tuple[bytes | None, bytes | None]]


def plans() -> list[str]:
    """Two kills at every point: at its first hit, and amid the work."""
    made = []
    for point in POINTS:
        later = f"kill:{3 if point in EARLY else 5}"
        made += [f"{point}=kill:1", f"{point}={later}:{LATER_MS[point]}" if point in LATER_MS else f"{point}={later}"]
    return made


class Ended(Exception):  # noqa: N818 (no error: what is waited for)
    """A worker ended."""


def ended_or_rested(house: House, number: int) -> bool:
    """Wait until a worker ended as exit `number`; False where it has nothing left to do and lives."""
    deadline = time.monotonic() + 60.0

    def look(left: int) -> None:
        if len(house.workers.exits) > number:
            raise Ended
        assert time.monotonic() < deadline, f"{left} records are still to be applied; {house.workers.ends()}"

    with contextlib.suppress(Ended):
        wait_until_applied(house.settings, house.job.ends, look)
    return len(house.workers.exits) > number


def slices(count: int) -> Iterator[dict[str, Pairs]]:
    """The same events each time, cut into `count` portions."""
    chunks = list(shoppers.generate(SHOP, np.random.default_rng(1)))
    topics: dict[str, Pairs] = {
        CLICKSTREAM: [(key, value) for chunk in chunks for key, value, _, _ in chunk.clickstream],
        PURCHASES: [(key, value) for chunk in chunks for key, value, _, _ in chunk.purchases],
    }
    for number in range(count):
        yield {
            topic: pairs[number * len(pairs) // count : (number + 1) * len(pairs) // count]
            for topic, pairs in topics.items()
        }


def test_a_worker_killed_at_every_step_leaves_the_columns_of_an_undisturbed_run(
    start_broker: Callable[[], Server],
    start_redis: Callable[[], Server],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    with Job(start_broker().address, url(start_redis()), folder) as undisturbed:
        undisturbed.send(next(slices(1)))
        undisturbed.start_worker()
        undisturbed.wait()
        expected = customers(undisturbed.state())
    planned = plans()
    settings = {"SESSION_TIMEOUT_S": "2", "HEARTBEAT_S": "0.3", "COMMIT_INTERVAL_S": "0.3", "GROUP_MAX_RECORDS": "100"}
    environment = {f"LIVESEGMENT_{name}": value for name, value in settings.items()}
    with House(tmp_path / "house", workers=0, proxies=False, **environment) as house:
        house.job.send({SEGMENT_MODELS: [(b"model", make_snapshot(1).model_dump_json().encode())]})
        house.workers.plans.extend(planned)
        house.workers.resize(1)
        portions = slices(4 * len(planned))
        for number in range(len(planned)):
            # How often a portion passes a point depends on how it falls into groups: where it was too little, one more.
            house.job.send(next(portions))
            while not ended_or_rested(house, number):
                house.job.send(next(portions))
        for portion in portions:
            house.job.send(portion)
        house.settle()
        assert [end.reason for end in house.workers.exits] == ["killed by SIGKILL"] * len(planned)
        house.workers.resize(0)
        found = customers(house.job.state())
        expect_same_features(found, expected)
        assert expect_records_equal_state(house.job) == len(expected)
        assert expect_gapless_versions(house.job) > 0

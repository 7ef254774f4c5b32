"""Each kind of fault once, while events flow: what heals ends exact, what must be refused is refused and loses nothing.

Kinds that CI's chaos run has (`test_chaos`) are not repeated here, the others wait for `make acceptance`, and
`make prove` runs all of them many times. The oracle (`reconcile`) reads the events back from the broker and computes
every customer anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

from models.columns import POSITION
from stream import shoppers
from stream.changelog_reader import read_state
from tests.kit.job import customers
from tests.proof.faults import HEALING, REFUSED, possible
from tests.proof.faults_refused import Refused, TopicRecreated, UnknownRow
from tests.proof.house import House, is_root
from tests.proof.reconcile import reconcile
from tests.proof.reconcile_state import DECIDED
from tests.proof.test_chaos import KINDS
from tests.proof.traffic import Traffic

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600), pytest.mark.usefixtures("_kafka_fetched")]

SHOP = shoppers.Config(customers=500, duplicates=0.01, disorder_s=60, poison=0.002)


class Hurried(Random):
    """Every fault lasts as short as it may: `make chaos` has the time for more."""

    def uniform(self, a: float, b: float) -> float:
        return min(a, b)


def test_there_are_faults_of_every_sort_and_no_two_have_one_name() -> None:
    assert len({fault.name for fault in (*HEALING, *REFUSED)}) == len(HEALING) + len(REFUSED)
    assert {fault.kind for fault in HEALING} == {"worker", "kafka", "redis", "network", "model", "input"}
    assert len(HEALING) >= 20


@pytest.mark.acceptance
def test_after_every_other_fault_that_heals_the_job_is_exact(tmp_path: Path) -> None:
    with House(tmp_path, workers=2, disk=is_root(), LIVESEGMENT_WARM_UP_VECTORS="300") as house:
        house.workers.until_ready()
        random = Hurried(1)
        with Traffic(house.settings, SHOP, rate_per_s=300, seed=1) as traffic:
            house.until(lambda: traffic.records > 1_000, 60.0, "the first events")
            for fault in possible(house):
                if fault.name in {*KINDS, "pause"}:
                    continue
                fault().run(house, random)
                house.workers.until_ready()
        house.settle()
        house.workers.resize(0)
        report = reconcile(house.settings)
        assert report.exact, report.first or report.findings
        assert report.events >= traffic.records


@pytest.fixture
def rest(tmp_path: Path) -> Iterator[House]:
    """A job at rest, its worker waiting for more."""
    with House(tmp_path, proxies=False) as house:
        house.job.shop(shoppers.Config(customers=500, events=5_000, duplicates=0.01, disorder_s=60, poison=0.002))
        house.settle()
        yield house


@pytest.mark.parametrize("fault", REFUSED, ids=lambda fault: fault.name)
def test_what_must_be_refused_is_refused_with_its_reason_and_loses_nothing(rest: House, fault: type[Refused]) -> None:
    before, committed = customers(read_state(rest.settings)), rest.committed()
    if fault is not TopicRecreated:
        # Events that wait while nobody works: they must go on waiting.
        rest.workers.restarting = False
        rest.workers.kill()
        rest.job.shop(shoppers.Config(customers=500, events=1_000, seed=8), seed=2)
    ended = len(rest.workers.exits)
    fault().run(rest, Random(1))
    rest.workers.restarting = True
    rest.until(lambda: any(fault.says in end.reason for end in rest.workers.exits[ended:]), 60.0, fault.says)
    rest.workers.resize(0)
    refused = [end for end in rest.workers.exits[ended:] if fault.says in end.reason]
    assert {end.code for end in refused} == {1}
    assert all("Operator action" in end.reason for end in refused)
    assert all(offset in (0, committed[place]) for place, offset in rest.committed().items())
    if fault is UnknownRow:
        return
    # Only what events decide: a first model may have come to customers at rest meanwhile.
    decided = [POSITION[name] for name in DECIDED]
    for customer, row in customers(read_state(rest.settings)).items():
        bits, bits_before = row.view(np.uint64), before[customer].view(np.uint64)
        np.testing.assert_array_equal(bits[decided], bits_before[decided], err_msg=customer)

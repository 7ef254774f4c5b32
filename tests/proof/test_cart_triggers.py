"""Carts over SIGKILLs and rebalances: each reminder once, none of what was bought in time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from kafka import KafkaConsumer, TopicPartition

from schemas.cart_trigger import CartTrigger
from schemas.topics import CART_TRIGGERS, CLICKSTREAM
from stream.embedded.kafka import jars
from stream.errors import EmbeddedFailed
from stream.partitioner import partition_of
from stream.settings import Settings
from tests.oracle.abandoned import ending
from tests.proof.carts import MINUTE_MS, Careers, clock
from tests.proof.house import House

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

FEW, MANY = 400, 14_000
"""Customers: of `MANY`, 20,000 carts, half of them in partitions where the oracle knows all that must be told."""
CARTS_EACH = 10 / 7
PORTIONS = 8
PARTITIONS = 4
RESENT = "triggers_acked=kill:3"
"""The first worker ends where triggers are sent and it has noted nowhere that they are."""
DELAYS_MS, GRACE_MS = (30 * MINUTE_MS, 120 * MINUTE_MS), MINUTE_MS
ENVIRONMENT = {
    "LIVESEGMENT_CART_REMINDERS_S": "1800,7200",
    "LIVESEGMENT_CART_GRACE_S": "60",
    "LIVESEGMENT_SESSION_TIMEOUT_S": "6",
    "LIVESEGMENT_GROUP_MAX_RECORDS": "200",
}
DAY_MS = 24 * 60 * MINUTE_MS


@pytest.mark.parametrize("customers", [FEW, pytest.param(MANY, marks=pytest.mark.acceptance)])
def test_each_abandoned_cart_is_told_once_on_apache_kafka(tmp_path: Path, customers: int) -> None:
    try:
        jars()
    except EmbeddedFailed as error:
        pytest.skip(str(error))
    told_as_the_oracle_says(tmp_path, "kafka", customers)


@pytest.mark.acceptance
@pytest.mark.parametrize("customers", [FEW, MANY])
def test_each_abandoned_cart_is_told_once_on_the_embedded_broker(tmp_path: Path, customers: int) -> None:
    told_as_the_oracle_says(tmp_path, "embedded", customers)


def told_as_the_oracle_says(folder: Path, kafka: Literal["kafka", "embedded"], customers: int) -> None:
    careers = Careers(6, customers, apart)
    with House(folder, kafka=kafka, workers=0, proxies=False, **ENVIRONMENT) as house:
        assert house.settings.partitions == PARTITIONS
        house.workers.plans.extend([RESENT] * 2)
        house.workers.resize(2)
        for number, portion in enumerate(careers.slices(PORTIONS)):
            house.job.send(portion)
            disturb(house, number)
        now_ms = careers.end_ms + DAY_MS
        others = [f"clock-{number}" for number in range(64)]
        assert len({partition_of("murmur2", name.encode(), PARTITIONS) for name in others}) == PARTITIONS
        house.job.send({CLICKSTREAM: clock(others, now_ms)})
        house.settle(600)
        reader = Reader(house.settings)
        # Whatever a sweep still had to say, it has said.
        reader.settle()
        killed = len(house.workers.exits)
    expected = {name: ending(events, DELAYS_MS, GRACE_MS, now_ms) for name, events in careers.by_customer.items()}
    assert sum(each.carts for each in expected.values()) >= customers * CARTS_EACH
    assert killed >= PORTIONS // 2
    together = {name: each for name, each in expected.items() if not apart(name)}
    read = {(name, told.opened, told.number): told.due for name, each in together.items() for told in each.reminders}
    standing = {place: due for place, due in reader.standing.items() if place[0] in together}
    assert standing.keys() == read.keys()
    # An order told late can make another cart of what was one, whose silence is then counted from its last use.
    assert [place for place, due in standing.items() if read[place] != due and place[0] not in careers.late] == []
    recovered = {(name, it.opened): (it.number, it.value) for name, each in together.items() for it in each.recovered}
    # A recovery whose reminder was withdrawn afterwards did not happen.
    found = {cart: said for cart, said in reader.recovered.items() if (*cart, said[0]) in standing}
    assert found == recovered
    # Else nothing was proved about what arrives late, and about what is sent again.
    assert reader.kinds["withdrawn"] > customers // 70
    assert len(found) > customers // 14
    assert reader.repeats > 0


def apart(customer: str) -> bool:
    """Whether a customer's orders come by a topic of their own, in half of the partitions.

    Topics are read at their own pace, and both move their partition's clock. So what is told of these customers depends
    on it: an order that is read before the cart was filled ends no cart. There only the reader's rules are checked.
    """
    return partition_of("murmur2", customer.encode(), PARTITIONS) < PARTITIONS // 2


def disturb(house: House, number: int) -> None:
    """Kill one or all, have one more join, or have it leave; each while events are under way."""
    what = number % 4
    if what == 0:
        house.workers.until_ready()
        house.workers.kill(number // 4 % 2)
    elif what == 1:
        house.workers.resize(3)
    elif what == 2:
        house.workers.until_ready()
        house.workers.kill()
    else:
        house.workers.until_ready()
        house.workers.resize(2)


class Reader:
    """Reads cart-triggers as a subscriber is told to: it drops ids that it has seen."""

    def __init__(self, settings: Settings) -> None:
        self.standing: dict[tuple[str, int, int], int] = {}
        self.recovered: dict[tuple[str, int], tuple[int, int]] = {}
        self.kinds: Counter[str] = Counter()
        self.repeats = 0
        self._seen: dict[str, bytes] = {}
        self._consumer = KafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False)
        places = [TopicPartition(CART_TRIGGERS, number) for number in range(settings.partitions)]
        self._consumer.assign(places)
        self._consumer.seek_to_beginning()

    def read(self) -> None:
        """Take what has come."""
        for records in self._consumer.poll(timeout_ms=500, max_records=100_000).values():
            for record in records:
                self._take(record.value)

    def settle(self) -> None:
        """Read until nothing comes any more."""
        quiet = 0
        while quiet < 6:
            before = len(self._seen) + self.repeats
            self.read()
            quiet = quiet + 1 if len(self._seen) + self.repeats == before else 0
        self._consumer.close()

    def _take(self, value: bytes) -> None:
        said = CartTrigger.model_validate_json(value)
        if said.id in self._seen:
            assert self._seen[said.id] == value, "two contents under one id"
            self.repeats += 1
            return
        self._seen[said.id] = value
        self.kinds[said.kind] += 1
        place = (said.customer_id, said.opened, said.reminder)
        if said.kind == "abandoned":
            assert place not in self.standing, f"told twice: {said}"
            self.standing[place] = said.due
        elif said.kind == "withdrawn":
            assert self.standing.pop(place) == said.due
        else:
            self.recovered[place[:2]] = (said.reminder, said.value_minor)

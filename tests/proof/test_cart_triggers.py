"""Ten thousand carts over SIGKILLs and rebalances: each reminder once, none of what was bought in time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from kafka import KafkaConsumer, TopicPartition

from schemas.cart_trigger import CartTrigger
from schemas.kinds import Kind
from schemas.topics import CART_TRIGGERS, CLICKSTREAM
from stream.embedded.kafka import jars
from stream.errors import EmbeddedFailed
from stream.partitioner import partition_of
from stream.settings import Settings
from tests.oracle.abandoned import ending
from tests.oracle.shop import Event
from tests.proof.carts import MINUTE_MS, Careers, clock
from tests.proof.house import House

pytestmark = [pytest.mark.kafka, pytest.mark.acceptance, pytest.mark.timeout(900)]

CUSTOMERS = 7_000
CARTS = 10_000
PORTIONS = 12
DELAYS_MS, GRACE_MS = (30 * MINUTE_MS, 120 * MINUTE_MS), MINUTE_MS
ENVIRONMENT = {
    "LIVESEGMENT_CART_REMINDERS_S": "1800,7200",
    "LIVESEGMENT_CART_GRACE_S": "60",
    "LIVESEGMENT_SESSION_TIMEOUT_S": "6",
    "LIVESEGMENT_GROUP_MAX_RECORDS": "500",
}
DAY_MS = 24 * 60 * MINUTE_MS


def test_of_ten_thousand_carts_each_abandoned_one_is_told_once_on_apache_kafka(tmp_path: Path) -> None:
    try:
        jars()
    except EmbeddedFailed as error:
        pytest.skip(str(error))
    told_as_the_oracle_says(tmp_path, "kafka")


def test_of_ten_thousand_carts_each_abandoned_one_is_told_once_on_the_embedded_broker(tmp_path: Path) -> None:
    told_as_the_oracle_says(tmp_path, "embedded")


def told_as_the_oracle_says(folder: Path, kafka: Literal["kafka", "embedded"]) -> None:
    careers = Careers(6, CUSTOMERS)
    with House(folder, kafka=kafka, workers=2, proxies=False, **ENVIRONMENT) as house:
        for number, portion in enumerate(careers.slices(PORTIONS)):
            house.job.send(portion)
            disturb(house, number)
        now_ms = careers.end_ms + DAY_MS
        others = [f"clock-{number}" for number in range(64)]
        partitions = house.settings.partitions
        assert len({partition_of("murmur2", name.encode(), partitions) for name in others}) == partitions
        house.job.send({CLICKSTREAM: clock(others, now_ms)})
        house.settle()
        expected = {name: ending(events, DELAYS_MS, GRACE_MS, now_ms) for name, events in careers.by_customer.items()}
        count = sum(len(each.reminders) for each in expected.values())
        reader = Reader(house.settings)
        house.until(lambda: reader.read() or len(reader.standing) > count * 0.98, 60, f"{count} reminders that stand")
        # Whatever a sweep still had to say, it has said.
        reader.settle()
        killed = len(house.workers.exits)
    assert sum(each.carts for each in expected.values()) >= CARTS
    assert killed >= PORTIONS // 2
    read = {
        (name, reminder.opened, reminder.number): reminder.due
        for name, each in expected.items()
        for reminder in each.reminders
    }
    assert reader.standing.keys() <= read.keys()
    # The topics are read at their own pace. An order that is read after a cart was over, and would have split it, says
    # that there were two carts; but of one that is over nobody is reminded any more.
    missing = read.keys() - reader.standing.keys()
    assert [place for place in missing if not split(careers.by_customer[place[0]], place[1])] == []
    assert len(missing) <= len(read) // 50
    differ = [place for place, due in reader.standing.items() if read[place] != due and place[0] not in careers.late]
    assert [place for place in differ if not split(careers.by_customer[place[0]], place[1])] == []
    recovered = {
        (name, recovery.opened): (recovery.number, recovery.value)
        for name, each in expected.items()
        for recovery in each.recovered
    }
    found = {cart: said for cart, said in reader.recovered.items() if (*cart, said[0]) in reader.standing}
    assert found.items() <= recovered.items()
    assert [cart for cart in recovered.keys() - found.keys() if (*cart, 1) not in missing] == []
    # Else nothing was proved about what arrives late, and about what is sent again.
    assert reader.kinds["withdrawn"] > 100
    assert len(found) > 1_000
    assert reader.repeats > 0


def split(events: list[Event], opened: int) -> bool:
    """Whether an order came before a cart that was opened then."""
    return any(event.kind is Kind.PURCHASE and event.time < opened for event in events)


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

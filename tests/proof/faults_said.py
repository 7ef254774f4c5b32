"""Faults of what is said to the job: models that cannot be used, events that nobody should send."""

from __future__ import annotations

import json
import time
from random import Random

from schemas.topics import CLICKSTREAM, PURCHASES, SEGMENT_MODELS
from tests.kit.snapshots import make_snapshot
from tests.proof.fault import newest_model, running
from tests.proof.house import House

NOTHING = frozenset[str]()
DAY_MS = 86_400_000
SHAPES = 200
"""Events of a fault of input."""


class CorruptModel:
    """Snapshots that are no JSON, no object, or lack parts: refused, the last good one goes on serving."""

    name, kind, needs = "corrupt_model", "model", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Publish some."""
        good = make_snapshot(1_000_000).model_dump(mode="json")
        lacking = {key: value for key, value in good.items() if key != random.choice(["centroids", "mean", "lineage"])}
        broken = [b"", b"\xff\xfe", b"[]", b"null", json.dumps(lacking).encode(), json.dumps(good).encode()[:-7]]
        house.job.send({SEGMENT_MODELS: [(b"model", value) for value in broken]})


class FutureModel:
    """A snapshot of a format, and one of features, that this program does not know."""

    name, kind, needs = "future_model", "model", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Publish them."""
        del random
        future = {**make_snapshot(1_000_000).model_dump(mode="json"), "format_version": 99}
        other = make_snapshot(1_000_001, ("a_feature_of_tomorrow", "another")).model_dump(mode="json")
        house.job.send({SEGMENT_MODELS: [(b"model", json.dumps(value).encode()) for value in (future, other)]})


class SwappedModel:
    """The model changes between a crash and the replay of what was under way: a change once sent stays as it was."""

    name, kind, needs = "swapped_model", "model", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Kill every worker, publish another model of the same segments, let the workers come back."""
        running(house)
        house.workers.restarting = False
        try:
            house.workers.kill()
            before = newest_model(house) or make_snapshot(1)
            moved = before.model_dump(mode="json")
            moved["version"] = before.version + 1
            for centroid in moved["centroids"]:
                centroid["centroid"] = [value + random.gauss(0.0, 0.3) for value in centroid["centroid"]]
            house.job.send({SEGMENT_MODELS: [(b"model", json.dumps(moved).encode())]})
        finally:
            house.workers.restarting = True


class Schemas:
    """Senders of yesterday and of tomorrow: optional fields missing, unknown fields, unknown events, other shapes."""

    name, kind, needs = "schemas", "input", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Send events of every shape, mixed."""
        now = time.time_ns() // 1_000_000 - 30 * DAY_MS
        clicks, orders = [], []
        for number in range(SHAPES):
            customer, at, own = (
                f"s{random.randrange(40)}",
                now + random.randrange(DAY_MS),
                f"{random.getrandbits(64):x}",
            )
            shape = (
                {"event_type": "view_item", "customer_id": customer, "event_time": at},
                {
                    "event_type": "view_item",
                    "customer_id": customer,
                    "event_time": at,
                    "event_id": own,
                    "new": {"a": [1]},
                },
                {"event_type": "event_of_tomorrow", "customer_id": customer, "event_time": at, "event_id": own},
                {"type": "page", "userId": customer, "messageId": own, "timestamp": _iso(at), "properties": {}},
                {"event_name": "level_up", "client_id": "1.2", "user_id": customer, "timestamp_micros": at * 1000},
            )[number % 5]
            clicks.append((customer.encode(), json.dumps(shape).encode()))
            if number % 5 == 0:
                order = {"event_type": "purchase", "customer_id": customer, "event_time": at, "order_id": own}
                orders.append((customer.encode(), json.dumps({**order, "value": 12.5, "currency": "USD"}).encode()))
        house.job.send({CLICKSTREAM: clicks, PURCHASES: orders})


class FutureTimes:
    """Event times far ahead: refused as dead letters, and no clock of the job moves by them."""

    name, kind, needs = "future_times", "input", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Send events of the coming ten years, some just beyond what is tolerated."""
        now = time.time_ns() // 1_000_000
        ahead = [now + random.choice([3_600_000, 400_000, DAY_MS, 3_650 * DAY_MS]) for _ in range(SHAPES)]
        house.job.send({CLICKSTREAM: [view(random, at) for at in ahead]})


class ClockJump:
    """A sender's clock jumps back by a year, forward to now, and back again: late events are events."""

    name, kind, needs = "clock_jump", "input", NOTHING

    def run(self, house: House, random: Random) -> None:
        """Send events in three jumps."""
        now = time.time_ns() // 1_000_000
        for back_ms in (365 * DAY_MS, 0, 30 * DAY_MS):
            times = [now - back_ms - random.randrange(3_600_000) for _ in range(SHAPES)]
            house.job.send({CLICKSTREAM: [view(random, at) for at in times]})


def view(random: Random, at_ms: int) -> tuple[bytes, bytes]:
    """Return `(key, value)` of somebody looking at something."""
    customer = f"t{random.randrange(40)}"
    said = {"event_type": "view_item", "customer_id": customer, "event_time": at_ms, "product_id": "p1"}
    return customer.encode(), json.dumps({**said, "event_id": f"{random.getrandbits(64):x}"}).encode()


def _iso(at_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ms / 1000))


SAID = (CorruptModel, FutureModel, SwappedModel, Schemas, FutureTimes, ClockJump)

"""Faults of Kafka that only a broker with a disk can have."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from random import Random

from kafka.admin import ConfigResource, ConfigResourceType

from schemas.topics import CHANGELOG
from stream.clients import kafka_admin
from tests.proof.fault import running
from tests.proof.house import House, signal_server

KAFKA = frozenset({"kafka"})


class BrokerRestart:
    """Kafka ends in order and starts again with its data: requests under way fail or are sent again."""

    name, kind, needs = "broker_restart", "kafka", KAFKA

    def run(self, house: House, random: Random) -> None:
        """Restart the broker after a moment."""
        house.kafka_down()
        time.sleep(random.uniform(0.0, 2.0))
        house.kafka_up()


class BrokerKill:
    """SIGKILL of Kafka: what it acknowledged is in the page cache and survives; what it did not is sent again."""

    name, kind, needs = "broker_kill", "kafka", KAFKA

    def run(self, house: House, random: Random) -> None:
        """Kill the broker and start it again after a moment."""
        house.kafka_down(kill=True)
        time.sleep(random.uniform(0.0, 3.0))
        house.kafka_up()


class BrokerPause:
    """SIGSTOP of Kafka for longer than a session: on waking it has to tell a silent worker from a dead one."""

    name, kind, needs = "broker_pause", "kafka", KAFKA

    def run(self, house: House, random: Random) -> None:
        """Pause the broker."""
        signal_server(house.kafka, signal.SIGSTOP)
        try:
            time.sleep(random.uniform(3.0, 9.0))
        finally:
            signal_server(house.kafka, signal.SIGCONT)


class DiskFull:
    """The disk below Kafka fills up: the broker gives its log folder up and ends; with room again it starts anew."""

    name, kind, needs = "disk_full", "kafka", frozenset({"kafka", "disk"})

    def run(self, house: House, random: Random) -> None:
        """Fill the disk, wait until the broker has noticed or a few seconds, make room, start it again."""
        filler = house.disk / "filler"
        try:
            fill(filler)
            deadline = time.monotonic() + random.uniform(4.0, 8.0)
            while house.kafka.child.pid and time.monotonic() < deadline:
                fill(filler)
                time.sleep(0.1)
        finally:
            filler.unlink(missing_ok=True)
            house.kafka_up()


class Compaction:
    """Kafka compacts the changelog as soon and as hard as it can, and then a worker has to recover from the rest."""

    name, kind, needs = "compaction", "kafka", KAFKA

    def run(self, house: House, random: Random) -> None:
        """Have the changelog's closed segments cleaned, then kill a worker."""
        eager = {"segment.ms": "500", "min.cleanable.dirty.ratio": "0.01", "min.compaction.lag.ms": "0"}
        with kafka_admin(house.settings) as admin:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, CHANGELOG, eager)])
        # The cleaner looks every half second (see stream/embedded/kafka.py); a segment closes at the next write.
        time.sleep(random.uniform(3.0, 5.0))
        house.workers.kill(random.choice(running(house)))


def fill(path: Path) -> None:
    """Write to a file until its disk takes no more."""
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        for size in (65_536, 512):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


BROKER = (BrokerRestart, BrokerKill, BrokerPause, DiskFull, Compaction)

"""Faults after which going on would lose something: the worker must stop, say why, and leave everything as it is."""

from __future__ import annotations

from random import Random
from typing import ClassVar, Final, Protocol

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from schemas.topics import CHANGELOG, CLICKSTREAM
from stream import topics
from stream.clients import kafka_admin
from tests.proof.fault import Fault
from tests.proof.house import House

KAFKA = frozenset({"kafka"})


class Refused(Fault, Protocol):
    """A fault with the words that the worker must end with."""

    says: ClassVar[str]


class TopicRecreated:
    """A source topic is deleted and created again: its offsets start over, and rows would pass new events for old."""

    name, kind, needs = "topic_recreated", "refusal", KAFKA
    says = "was deleted and created again"

    def run(self, house: House, random: Random) -> None:
        """Delete and create the topic of clicks, while the workers run."""
        del random
        with kafka_admin(house.settings) as admin:
            admin.delete_topics([CLICKSTREAM])
            house.until(lambda: CLICKSTREAM not in admin.list_topics(), 30.0, "the topic to be gone")
            topics.create(admin, house.settings)


class PartitionsChanged:
    """A source topic is given more partitions: customers' keys now hash to partitions where their state is not."""

    name, kind, needs = "partitions_changed", "refusal", KAFKA
    says = "partitions where the settings say"

    def run(self, house: House, random: Random) -> None:
        """Double the partitions, and restart the workers: running ones learn of it within five minutes."""
        del random
        count = house.settings.partitions * 2
        with kafka_admin(house.settings) as admin:
            admin.create_partitions({CLICKSTREAM: count})
        house.workers.kill()


class ChangelogTruncated:
    """Somebody deletes the head of the changelog: customers who did nothing since have no state any more."""

    name, kind, needs = "changelog_truncated", "refusal", KAFKA
    says = "were deleted"

    def run(self, house: House, random: Random) -> None:
        """Delete the older half of every changelog partition's records, and restart the workers."""
        del random
        ends = house.ends(CHANGELOG)
        with kafka_admin(house.settings) as admin:
            # Kafka refuses this of a topic that is only compacted: whoever does it has to mean it.
            admin.alter_configs([changelog("compact,delete")])
            admin.delete_records({TopicPartition(*place): end // 2 for place, end in ends.items()})
            admin.alter_configs([changelog("compact")])
        house.workers.kill()


class ChangelogRecreated:
    """The changelog is deleted and created again: empty state under committed offsets."""

    name, kind, needs = "changelog_recreated", "refusal", KAFKA
    says = "its changelog does not reach"

    def run(self, house: House, random: Random) -> None:
        """Delete and create the changelog between two lives of the workers."""
        del random
        house.workers.restarting = False
        house.workers.kill()
        with kafka_admin(house.settings) as admin:
            admin.delete_topics([CHANGELOG])
            house.until(lambda: CHANGELOG not in admin.list_topics(), 30.0, "the topic to be gone")
            topics.create(admin, house.settings)
        house.workers.restarting = True


class UnknownRow:
    """A newer release wrote rows of a version that this one cannot read, and was rolled back."""

    name, kind, needs = "unknown_row", "refusal", KAFKA
    says = "version"

    def run(self, house: House, random: Random) -> None:
        """Write such a row to every partition of the changelog, and restart the workers."""
        del random
        rows = [(f"of-tomorrow-{number}".encode(), b"\xc8\x00") for number in range(50)]
        house.job.send({CHANGELOG: rows})
        house.workers.kill()


def changelog(policy: str) -> ConfigResource:
    """Return the changelog with a cleanup policy."""
    return ConfigResource(ConfigResourceType.TOPIC, CHANGELOG, {"cleanup.policy": policy})


REFUSED: Final[tuple[type[Refused], ...]] = (
    TopicRecreated,
    PartitionsChanged,
    ChangelogTruncated,
    ChangelogRecreated,
    UnknownRow,
)

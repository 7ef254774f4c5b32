"""Kafka topics as the registry (`schemas.topics`) says: create what is missing, say what differs.

Partition counts are never changed here: customers would move to other partitions while their state stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError, for_code

from schemas.topics import TOPICS, Topic
from stream.errors import KafkaUnreachable, TopicsDiffer
from stream.settings import Settings


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a topic is not as the registry says."""

    topic: str
    problem: str
    action: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.problem}. Operator action: {self.action}."


def create(admin: KafkaAdminClient, settings: Settings) -> list[str]:
    """Create the missing topics and return their names; existing ones are left as they are.

    Raises TopicsDiffer if an existing topic has another partition count: no worker may run on it.
    """
    wrong = [found for found in differences(admin, settings) if found.problem.startswith("it has")]
    if wrong:
        raise TopicsDiffer("; ".join(f"{d.topic}: {d.problem}" for d in wrong), action=wrong[0].action)
    there = set(admin.list_topics())
    created = []
    for topic in TOPICS.values():
        if topic.name in there:
            continue
        new = NewTopic(topic.name, partitions(topic, settings), settings.replication, topic_configs=configs(topic))
        (result,) = admin.create_topics([new], raise_errors=False, wait_for_metadata=True)["topics"]
        code = result["error_code"]
        if code == 0:
            created.append(topic.name)
        elif code != TopicAlreadyExistsError.errno:  # somebody else may create them at the same moment
            reason = result["error_message"] or for_code(code).__name__
            raise KafkaUnreachable(
                f"Kafka at {settings.kafka} refused to create {topic.name}: {reason}",
                action="check the broker's message; LIVESEGMENT_REPLICATION must not exceed the number of brokers",
            )
    return created


def differences(admin: KafkaAdminClient, settings: Settings) -> list[Difference]:
    """Return every way in which the existing topics differ from the registry; missing topics are none."""
    there = set(admin.list_topics())
    topics = [topic for topic in TOPICS.values() if topic.name in there]
    if not topics:
        return []
    counts = {seen["name"]: len(seen["partitions"]) for seen in admin.describe_topics([t.name for t in topics])}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    seen = admin.describe_configs(resources, config_filter="all").get("topic", {})
    found = []
    for topic in topics:
        found += _partition_difference(topic, counts[topic.name], settings)
        for name, wanted in configs(topic).items():
            value = seen.get(topic.name, {}).get(name, {}).get("value")
            if value not in (None, wanted):
                action = f"kafka-configs --alter --topic {topic.name} --add-config {name}={wanted}"
                found.append(Difference(topic.name, f"{name} is {value}, not {wanted}", action))
    return found


def missing(admin: KafkaAdminClient) -> list[str]:
    """Return the names of the registry's topics that do not exist."""
    return sorted(set(TOPICS) - set(admin.list_topics()))


def partitions(topic: Topic, settings: Settings) -> int:
    """Return how many partitions `topic` must have."""
    return settings.partitions if topic.partitions is None else topic.partitions


def configs(topic: Topic) -> dict[str, str]:
    """Return the topic configuration that the registry asks for, as Kafka names it."""
    wanted = {"cleanup.policy": "compact" if topic.compacted else "delete"}
    if topic.retention_ms is not None:
        wanted["retention.ms"] = str(topic.retention_ms)
    return wanted


def _partition_difference(topic: Topic, count: int, settings: Settings) -> list[Difference]:
    wanted = partitions(topic, settings)
    if count == wanted:
        return []
    if topic.partitions is None:
        action = (
            f"set LIVESEGMENT_PARTITIONS={count} if all keyed topics have that many; else create them anew "
            f"(new names or a new cluster) with {wanted} partitions and replay, because state does not move"
        )
    else:
        action = f"delete {topic.name} and run `livesegment topics create`; it must have {wanted}"
    return [Difference(topic.name, f"it has {count} partitions, not {wanted}", action)]

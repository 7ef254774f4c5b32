from __future__ import annotations

import pytest
from kafka.admin import NewTopic

from schemas.topics import CHANGELOG, CLICKSTREAM, SEGMENT_MODELS, TOPICS
from stream import topics
from stream.clients import kafka_admin
from stream.errors import TopicsDiffer
from stream.settings import load

pytestmark = pytest.mark.broker


def test_topics_are_created_once_as_the_registry_says(start_broker) -> None:
    settings = load(kafka=start_broker().address, partitions=3)
    with kafka_admin(settings) as admin:
        assert set(topics.missing(admin)) == set(TOPICS)
        assert set(topics.create(admin, settings)) == set(TOPICS)
        assert topics.create(admin, settings) == []
        assert topics.missing(admin) == []
        assert topics.differences(admin, settings) == []
        counts = {seen["name"]: len(seen["partitions"]) for seen in admin.describe_topics(list(TOPICS))}
    assert counts[CLICKSTREAM] == counts[CHANGELOG] == 3
    assert counts[SEGMENT_MODELS] == 1


def test_another_partition_count_is_refused_with_what_to_do_and_changes_nothing(start_broker) -> None:
    settings = load(kafka=start_broker().address)
    with kafka_admin(settings) as admin:
        admin.create_topics([NewTopic(CLICKSTREAM, 2, 1)])
        with pytest.raises(TopicsDiffer, match=r"clickstream: it has 2 partitions, not 4.*LIVESEGMENT_PARTITIONS=2"):
            topics.create(admin, settings)
        assert set(admin.list_topics()) == {CLICKSTREAM}


def test_another_cleanup_policy_is_a_difference(start_broker) -> None:
    settings = load(kafka=start_broker().address)
    with kafka_admin(settings) as admin:
        admin.create_topics([NewTopic(CHANGELOG, 4, 1, topic_configs={"cleanup.policy": "delete"})])
        (found,) = topics.differences(admin, settings)
    assert (found.topic, found.problem) == (CHANGELOG, "cleanup.policy is delete, not compact")
    assert "--add-config cleanup.policy=compact" in found.action


def test_the_commands_agree(livesegment, start_broker) -> None:
    kafka = start_broker().address
    before = livesegment("topics", "check", "--kafka", kafka, "--json")
    assert (before.code, before.json["ok"]) == (1, False)
    assert set(before.json["missing"]) == set(TOPICS)

    assert set(livesegment("topics", "create", "--kafka", kafka, "--json").json["created"]) == set(TOPICS)
    again = livesegment("topics", "create", "--kafka", kafka, "--json")
    assert (again.code, again.json["created"]) == (0, [])

    after = livesegment("topics", "check", "--kafka", kafka, "--json")
    assert (after.code, after.json["ok"]) == (0, True)

    other = livesegment("topics", "check", LIVESEGMENT_KAFKA=kafka, LIVESEGMENT_PARTITIONS="8")
    assert other.code == 1
    assert "clickstream: it has 4 partitions, not 8" in other.out

"""Whether the logs that a partition stands on still belong together: nobody has truncated one or created it anew.

Rows remember offsets. In a source topic that was created anew the same offsets are other events, which rows would pass
over as known; in a changelog without its head, customers who did nothing since have lost their state. Neither may be
noticed later than the first commit after it.
"""

from __future__ import annotations

from collections.abc import Mapping

import aiokafka
from aiokafka.structs import TopicPartition

from schemas.topics import CHANGELOG
from stream.errors import BrokenChangelog, SourceLost
from stream.partition.meta import TopicPosition

NEW_JOB = "keep the topics as they are and report this; a new job (LIVESEGMENT_APP_ID) on new topics can be fed anew"


async def check_head(consumer: aiokafka.AIOKafkaConsumer, number: int) -> None:
    """Refuse a changelog that does not begin at its beginning. Compaction leaves that as it is, deletion moves it."""
    source = TopicPartition(CHANGELOG, number)
    start = (await consumer.beginning_offsets([source]))[source]
    if start > 0:
        raise BrokenChangelog(
            f"partition {number}: the records of its changelog before offset {start} were deleted", action=NEW_JOB
        )


async def check_sources(
    consumer: aiokafka.AIOKafkaConsumer, number: int, positions: Mapping[str, TopicPosition]
) -> None:
    """Refuse source topics that end before what was read from them."""
    places = {TopicPartition(topic, number): position.next for topic, position in positions.items()}
    if places:
        for place, end in (await consumer.end_offsets(list(places))).items():
            check_reach(place.topic, number, read=places[place], end=end)


def check_reach(topic: str, number: int, *, read: int, end: int) -> None:
    """Refuse a source partition whose `end` lies before the next offset to `read`. Raises SourceLost."""
    if end < read:
        raise SourceLost(
            f"partition {number}: {topic} ends at offset {end}, but was read up to {read}: it was deleted and created "
            "again, or its broker lost records"
        )


def check_committed(topic: str, number: int, *, committed: int, counted: int) -> None:
    """Refuse a changelog that knows of fewer records than are committed: each commit follows a row that counts them."""
    if committed > counted:
        raise BrokenChangelog(
            f"partition {number}: its changelog does not reach offset {committed} of {topic}, which is committed: it "
            "was truncated or created anew",
            action=NEW_JOB,
        )

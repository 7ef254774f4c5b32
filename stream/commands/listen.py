"""`livesegment listen`."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Annotated

import typer
from kafka import KafkaConsumer, TopicPartition
from pydantic import ValidationError

from schemas.change import SegmentChanged
from schemas.topics import SEGMENT_CHANGES
from stream.clients import kafka_errors
from stream.commands.common import DataDir, Kafka, notes, prepare
from stream.security import kafka_options
from stream.sender import partition_counts
from stream.settings import Settings

POLL_MS = 200
END_PATIENCE_S = 5.0

Segment = Annotated[
    str | None, typer.Option("--segment", metavar="S", help="Only moves into or out of it; an id or a name.")
]
Seconds = Annotated[
    float | None, typer.Option("--for", metavar="SECONDS", help="End after so many seconds; else at SIGINT.", min=0)
]


def command(
    *,
    kafka: Kafka = None,
    data_dir: DataDir = None,
    segment: Segment = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest change kept.")] = False,
    seconds: Seconds = None,
    most: Annotated[int | None, typer.Option("--max", metavar="N", help="End after so many changes.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same: every change is a JSON object anyway.")] = False,  # noqa: ARG001 - every command takes it
) -> None:
    """Print every change of segment as it happens: one JSON object a line, repeats included (same id).

    Example: livesegment listen --segment "frequent high spenders" --from-start --max 10
    """
    settings = prepare(kafka, data_dir=data_dir)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if seconds is not None:
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True  # --max may end it all sooner
        timer.start()
    shown = 0
    for change in changes(settings, stop, from_start=from_start):
        if segment is not None and not concerns(change, segment):
            continue
        sys.stdout.write(change.model_dump_json() + "\n")
        sys.stdout.flush()
        shown += 1
        if shown == most:
            return


def concerns(change: SegmentChanged, segment: str) -> bool:
    """Tell whether a change leads into or out of a segment, given by id or by name in any case."""
    ids = {str(change.current), str(change.previous)} - {"None"}
    names = {change.current_name.casefold(), change.previous_name.casefold()}
    return segment in ids or segment.casefold() in names


def changes(settings: Settings, stop: threading.Event, *, from_start: bool) -> Iterator[SegmentChanged]:
    """Yield the changes of all partitions until `stop` is set; order holds within a partition only."""
    count = partition_counts(settings, (SEGMENT_CHANGES,))[SEGMENT_CHANGES]
    places = [TopicPartition(SEGMENT_CHANGES, number) for number in range(count)]
    with kafka_errors(settings):
        consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka.split(","),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            **kafka_options(settings),
        )
        try:
            consumer.assign(places)
            consumer.seek_to_beginning()
            if not from_start:
                seek_to_end(consumer, places, stop)
            while not stop.is_set():
                for records in consumer.poll(timeout_ms=POLL_MS).values():
                    for record in records:
                        try:
                            yield SegmentChanged.model_validate_json(record.value or b"")
                        except ValidationError:
                            notes.print(
                                f"partition {record.partition}, offset {record.offset}: not a change, passed over"
                            )
        finally:
            consumer.close()


def seek_to_end(consumer: KafkaConsumer, places: list[TopicPartition], stop: threading.Event) -> None:
    """Go behind the last record of each partition.

    The embedded broker's answer about its latest offset can lie within its last batch, so the last known record is
    fetched and the high watermark that comes with it is believed.
    """
    ends = consumer.end_offsets(places)
    for place in places:
        consumer.seek(place, max(0, ends[place] - 1))
    unknown = {place for place in places if ends[place] > 0}
    deadline = time.monotonic() + END_PATIENCE_S
    while unknown and not stop.is_set() and time.monotonic() < deadline:
        for place in consumer.poll(timeout_ms=POLL_MS):
            if place in unknown and consumer.highwater(place) is not None:
                unknown.discard(place)
                ends[place] = max(ends[place], consumer.highwater(place))
    for place in places:
        consumer.seek(place, ends[place])

"""`livesegment replay`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from schemas.topics import CLICKSTREAM, PURCHASES
from stream.commands.common import AsJson, DataDir, Kafka, answer, notes, prepare
from stream.errors import WrongUsage
from stream.replay import Outgoing, check, parts, wait_until_applied
from stream.sender import Sender

Speed = Annotated[
    str, typer.Option(metavar="max|realtime|N", help="Unpaced, at the events' own pace, or N times as fast as that.")
]
Maps = Annotated[
    list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="Take COLUMN for an event's FIELD.")
]
GROUP_RECORDS = 2_000
"""Records are handed to the producer in groups of at most so many."""


def command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Parquet, CSV, TSV or JSON Lines.")],
    *,
    kafka: Kafka = None,
    data_dir: DataDir = None,
    speed: Speed = "max",
    wait: Annotated[bool, typer.Option("--wait", help="Return when all of it is applied and committed.")] = False,
    maps: Maps = None,
    as_json: AsJson = False,
) -> None:
    """Send files of events, in their order: one row, one event.

    Columns are found by their names (event_time, event_type, customer_id, price, ...) or by --map. A purchase row
    with order id, quantity and price is one line of an order. Rows that cannot be events are sent as well: a worker
    refuses them into `dead-letters` with a reason.

    Example: livesegment replay shop.parquet --map customer_id=buyer --wait
    """
    overrides = parse_maps(maps or [])
    factor = parse_speed(speed)
    for path in files:
        check(path)
    settings = prepare(kafka, data_dir=data_dir)
    started = time.monotonic()
    sent: Counter[str] = Counter()
    with bar() as progress, Sender(settings, (CLICKSTREAM, PURCHASES)) as sender:
        pace = pacer(factor)
        for path in files:
            task = progress.add_task(path.name, total=1.0, rows=0, rate=0)
            for part in parts(path, overrides):
                for group in pace(part.records):
                    send(sender, group, sent)
                rows = progress.tasks[task].fields["rows"] + len(part.records)
                rate = sent.total() / max(1e-9, time.monotonic() - started)
                progress.update(task, completed=part.done, rows=rows, rate=rate)
            progress.update(task, completed=1.0)
        sender.flush()
        if wait:
            task = progress.add_task("applying", total=1.0, rows=sent.total(), rate=0)
            total = max(1, sent.total())
            wait_until_applied(settings, sender.ends(), lambda left: progress.update(task, completed=1 - left / total))
            progress.update(task, completed=1.0)
    seconds = time.monotonic() - started
    value = {"rows": sent.total(), "events": dict(sorted(sent.items())), "seconds": round(seconds, 3)}
    topics = ", ".join(f"{count:,} to {topic}" for topic, count in sorted(sent.items())) or "nothing"
    done = "sent, applied and committed" if wait else "sent"
    answer(value, f"{done} {sent.total():,} rows ({topics}) in {seconds:,.1f} s", as_json=as_json)


def parse_maps(maps: Sequence[str]) -> dict[str, str]:
    """Return field -> column; WrongUsage unless each is FIELD=COLUMN.

    >>> parse_maps(["customer_id=buyer"])
    {'customer_id': 'buyer'}
    """
    pairs = [text.partition("=") for text in maps]
    for field, sign, column in pairs:
        if not (field and sign and column):
            raise WrongUsage(f"--map {field}{sign}{column} is not FIELD=COLUMN")
    return {field: column for field, _, column in pairs}


def parse_speed(text: str) -> float | None:
    """Return how many times faster than the events' own time, None for as fast as it goes; WrongUsage otherwise.

    >>> parse_speed("max"), parse_speed("realtime"), parse_speed("60")
    (None, 1.0, 60.0)
    """
    if text in {"max", "realtime"}:
        return None if text == "max" else 1.0
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor <= 1e9:
        raise WrongUsage("--speed is `max`, `realtime` or a number above 0: so many times faster than real time")
    return factor


def pacer(factor: float | None) -> Callable[[Sequence[Outgoing]], Iterator[Sequence[Outgoing]]]:
    """Return a function that cuts parts into groups and yields each when its first record is due."""
    start_s, first_ms, newest_ms = 0.0, None, None

    def due_s(record: Outgoing) -> float:
        """Seconds until a record is due. Rows without a time, or older than one before, are due at once."""
        nonlocal start_s, first_ms, newest_ms
        if factor is None or record.time_ms is None:
            return 0.0
        if first_ms is None or newest_ms is None:
            start_s, first_ms, newest_ms = time.monotonic(), record.time_ms, record.time_ms
        newest_ms = max(newest_ms, record.time_ms)
        return start_s + (newest_ms - first_ms) / 1_000 / factor - time.monotonic()

    def cut(records: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
        first = 0
        for at, record in enumerate(records):
            ahead_s = due_s(record)
            if at - first >= GROUP_RECORDS or ahead_s > 0:
                if at > first:
                    yield records[first:at]
                first = at
            if ahead_s > 0:
                time.sleep(ahead_s)
        yield records[first:]

    return cut


def send(sender: Sender, records: Sequence[Outgoing], sent: Counter[str]) -> None:
    """Send records to their topics and count them."""
    for topic in (CLICKSTREAM, PURCHASES):
        some = [(record.key, record.value) for record in records if record.topic == topic]
        sender.send(topic, some)
        if some:
            sent[topic] += len(some)


def bar() -> Progress:
    """Return the progress bar on standard error; it stays away where that is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
        console=notes,
        disable=not notes.is_terminal,
    )

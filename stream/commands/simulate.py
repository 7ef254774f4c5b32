"""`livesegment simulate`."""

from __future__ import annotations

import signal
import threading
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
import typer

from schemas.topics import CLICKSTREAM, PURCHASES
from stream.commands.common import AsJson, DataDir, Kafka, answer, notes, prepare
from stream.errors import WrongUsage
from stream.sender import Sender
from stream.settings import Settings
from stream.shoppers import Chunk, Config, Totals, generate
from stream.shoppers.config import DEFAULT_SPAN_MS, DEFAULT_START_MS

CHUNK_S = 0.25
"""A paced chunk holds what is due within so long; it is sent in slices of SLICE_S."""
SLICE_S = 0.02
CHUNK_EVENTS = (100, 5_000)
DEBT_S = 1.0
"""A sender that falls further behind than this gives up catching up: no burst after a pause."""
REPORT_S = 10.0


Rate = Annotated[str, typer.Option("--rate", metavar="R|max", help="Events per second, or as fast as it goes.")]
Acceleration = Annotated[
    float | None,
    typer.Option(help="Event time runs so many times faster than the clock; else as fast as customers behave."),
]
Start = Annotated[str | None, typer.Option(metavar="TIME|now", help="First event time, e.g. 2025-03-01T00:00:00Z.")]


def command(
    *,
    kafka: Kafka = None,
    data_dir: DataDir = None,
    customers: Annotated[int, typer.Option(help="Size of the shop's clientele.", min=1, max=10_000_000)] = 2_000,
    rate: Rate = "1000",
    events: Annotated[int | None, typer.Option(help="End after so many; else at SIGINT or SIGTERM.", min=0)] = None,
    seed: Annotated[int, typer.Option(help="The same seed sends the same bytes.", min=0, max=2**32 - 1)] = 7,
    duplicates: Annotated[float, typer.Option(help="Share of events that are sent twice.", min=0, max=1)] = 0.0,
    disorder: Annotated[float, typer.Option(help="Events arrive up to so many seconds late.", min=0)] = 0.0,
    poison: Annotated[float, typer.Option(help="Broken records per event, of a dozen sorts.", min=0, max=1)] = 0.0,
    drift: Annotated[bool, typer.Option("--drift", help="The mix of customers changes as days pass.")] = False,
    acceleration: Acceleration = None,
    start: Start = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a shop: seeded customers of six kinds browse, fill carts, leave them, buy and send back.

    Event time starts on 2024-01-01 and passes as fast as so many customers need for so many events: a day in about
    7 s with the defaults, so a worker beside it wants `--clock event`. `--start now` sends in real time.

    Duplicates and poison come on top of --events and are counted apart. Prints exact totals at its end.

    Example: livesegment simulate --customers 20000 --rate max --events 400000 --duplicates 0.02 --disorder 60
    """
    settings = prepare(kafka, data_dir=data_dir)
    config = configure(
        start,
        parse_rate(rate),
        customers=customers,
        seed=seed,
        events=events,
        acceleration=acceleration,
        duplicates=duplicates,
        disorder_s=disorder,
        poison=poison,
        drift=drift,
    )
    started = time.monotonic()
    totals = run(config, settings)
    seconds = time.monotonic() - started
    value = {**totals.to_dict(), "customers": customers, "seed": seed, "seconds": round(seconds, 3)}
    answer(value, in_words(totals, seconds), as_json=as_json)


def configure(start: str | None, rate_per_s: float | None, **chosen: Any) -> Config:
    """Make the generator's config; WrongUsage says what it cannot do."""
    now_ms = int(time.time() * 1_000)
    start_ms = parse_start(start, now_ms)
    try:
        return Config(
            start_ms=start_ms,
            # Behaviour may not carry the simulated clock past the real one: workers refuse the future.
            horizon_ms=max(start_ms, min(start_ms + DEFAULT_SPAN_MS, now_ms)),
            rate_per_s=rate_per_s,
            chunk_events=int(np.clip((rate_per_s or 1e9) * CHUNK_S, *CHUNK_EVENTS)),
            **chosen,
        )
    except ValueError as problem:
        raise WrongUsage(f"simulate cannot do that: {problem}") from None


def parse_rate(text: str) -> float | None:
    """Events per second, None for `max`; WrongUsage for anything else.

    >>> parse_rate("250"), parse_rate("max")
    (250.0, None)
    """
    if text == "max":
        return None
    try:
        rate_per_s = float(text)
    except ValueError:
        rate_per_s = 0.0
    if not 0 < rate_per_s <= 1e7:
        raise WrongUsage("--rate is a number of events per second above 0, or `max`")
    return rate_per_s


def parse_start(text: str | None, now_ms: int) -> int:
    """First event time in ms; WrongUsage unless it is RFC 3339 with an offset, or `now`.

    >>> parse_start("1970-01-02T00:00:00Z", 0)
    86400000
    """
    if text is None:
        return DEFAULT_START_MS
    if text == "now":
        return now_ms
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise WrongUsage("--start is a time with an offset, such as 2025-03-01T00:00:00Z, or `now`")
    return int(when.astimezone(UTC).timestamp() * 1_000)


def run(config: Config, settings: Settings) -> Totals:
    """Send until the config's events are through, or SIGINT or SIGTERM asks to end; exact totals of what was sent."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    totals = Totals()
    pace = Pace(config.rate_per_s, stop)
    reported = time.monotonic()
    shoppers = generate(config, np.random.default_rng(config.seed))
    with Sender(settings, (CLICKSTREAM, PURCHASES)) as sender:
        # A chunk is sent whole even when it is time to stop: the totals are per chunk, and a chunk is short.
        while not stop.is_set() and (chunk := next(shoppers, None)) is not None:
            for clickstream, purchases in slices(chunk, pace.parts(chunk.totals.records)):
                sender.send(CLICKSTREAM, clickstream)
                sender.send(PURCHASES, purchases)
                pace.sent(len(clickstream) + len(purchases))
            totals.add(chunk.totals)
            if notes.is_terminal and time.monotonic() - reported > REPORT_S:
                reported = time.monotonic()
                notes.print(f"sent {totals.records:,} records")
    return totals


class Pace:
    """Keeps the mean rate: sleeps when ahead, forgets a debt that is too old."""

    def __init__(self, rate_per_s: float | None, stop: threading.Event) -> None:
        self._rate_per_s = rate_per_s
        self._stop = stop
        self._due = time.monotonic()

    def parts(self, records: int) -> int:
        """Into how many slices so many records are cut."""
        return 1 if self._rate_per_s is None else max(1, round(records / self._rate_per_s / SLICE_S))

    def sent(self, records: int) -> None:
        """Wait until the next slice is due; at once when asked to stop."""
        if self._rate_per_s is None:
            return
        now = time.monotonic()
        self._due = max(self._due, now - DEBT_S) + records / self._rate_per_s
        if self._due > now:
            self._stop.wait(self._due - now)


def slices(chunk: Chunk, parts: int) -> list[tuple[list[Any], list[Any]]]:
    """(clickstream, purchases) key-value pairs of a chunk, cut into so many parts that keep its order."""
    topics = [[(key, value) for key, value, _, _ in records] for records in (chunk.clickstream, chunk.purchases)]
    cuts = [np.linspace(0, len(records), parts + 1).astype(int).tolist() for records in topics]
    return [
        (topics[0][cuts[0][i] : cuts[0][i + 1]], topics[1][cuts[1][i] : cuts[1][i + 1]]) for i in range(parts)
    ]  # fmt: skip


def in_words(totals: Totals, seconds: float) -> str:
    """Totals for people: one figure a line."""
    lines = [f"{name:<18} {count:>12,}" for name, count in totals.events.most_common()]
    lines += [
        f"{'events':<18} {totals.events.total():>12,}",
        f"{'orders':<18} {totals.orders:>12,}",
        f"{'revenue':<18} {totals.revenue_minor / 100:>12,.2f}",
        f"{'refunds':<18} {totals.refunds_minor / 100:>12,.2f}",
        f"{'duplicates':<18} {totals.duplicates:>12,}",
        f"{'poison':<18} {totals.poison.total():>12,}",
        *(f"  {sort:<16} {count:>12,}" for sort, count in sorted(totals.poison.items())),
        f"sent {totals.records:,} records in {seconds:,.1f} s",
    ]
    return "\n".join(lines)

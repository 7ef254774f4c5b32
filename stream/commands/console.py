"""How `up` looks: a live view on a terminal, a status line every few seconds anywhere else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stream.commands.feed import Feed, Picture
from stream.settings import Settings

LINE_S = 5.0
BAR_WIDTH = 30
NAME_WIDTH = 34

Show = Callable[[int], None]
"""Takes in what is new, waiting at most so many milliseconds for it, and shows it."""


@contextlib.contextmanager
def console_for(settings: Settings, *, live: bool) -> Iterator[Show]:
    """Yield the function that keeps the view fresh; on a terminal (`live`) the view replaces itself."""
    started = time.monotonic()
    with Feed(settings) as feed:
        if not live:
            yield _lines(feed, started)
            return
        with Live(view(Picture(), 0.0, settings), auto_refresh=False, transient=False) as screen:

            def show(wait_ms: int) -> None:
                feed.poll(wait_ms)
                screen.update(view(feed.picture(), time.monotonic() - started, settings), refresh=True)

            yield show


def _lines(feed: Feed, started: float) -> Show:
    """Return what prints a line every LINE_S seconds."""
    due = started + LINE_S

    def show(wait_ms: int) -> None:
        nonlocal due
        feed.poll(wait_ms)
        now = time.monotonic()
        if now >= due:
            due = now + LINE_S
            print(line(feed.picture(), now - started), flush=True)  # noqa: T201 - the status line

    return show


def line(picture: Picture, elapsed_s: float) -> str:
    """Return one moment in one line.

    >>> line(Picture(events_per_s=400, lag=0, latency_p50_ms=6.2, latency_p99_ms=18, customers=10), 65)
    '01:05 | 400 events/s | lag 0 | event to Redis p50 6.2 ms, p99 18 ms | 10 customers, 0 changes | no segments yet'
    """
    segments = ", ".join(f"{share.name} {share.share:.0%}" for share in picture.segments) or "no segments yet"
    return " | ".join(
        (
            _clock(elapsed_s),
            f"{_number(picture.events_per_s)} events/s",
            f"lag {_number(picture.lag)}",
            f"event to Redis p50 {_ms(picture.latency_p50_ms)}, p99 {_ms(picture.latency_p99_ms)}",
            f"{picture.customers:,} customers, {picture.changes:,} changes",
            segments,
        )
    )


def view(picture: Picture, elapsed_s: float, settings: Settings) -> RenderableType:
    """Return one moment as the live view."""
    head = Text.assemble(
        (_number(picture.events_per_s), "bold green"),
        " events/s   lag ",
        (_number(picture.lag), "bold"),
        "   event to Redis p50 ",
        (_ms(picture.latency_p50_ms), "bold"),
        " p99 ",
        (_ms(picture.latency_p99_ms), "bold"),
        f"   {picture.customers:,} customers   {picture.changes:,} changes of segment",
    )
    foot = Text(f"Kafka {settings.kafka}   {settings.redis_shown}   Ctrl-C ends everything", style="dim")
    body = Group(head, Text(), _segments(picture), Text(), _changes(picture), Text(), foot)
    return Panel(body, title=f"livesegment  {_clock(elapsed_s)}", border_style="cyan")


def _segments(picture: Picture) -> RenderableType:
    if not picture.segments:
        return Text("No segments yet: the first model comes after enough customers were seen.", style="yellow")
    table = Table(box=None, pad_edge=False, expand=False)
    table.add_column("segment", width=NAME_WIDTH, no_wrap=True)
    table.add_column("customers", justify="right")
    table.add_column("share", justify="right")
    table.add_column("")
    largest = picture.segments[0].share or 1.0
    for share in picture.segments:
        bar = "█" * max(1, round(BAR_WIDTH * share.share / largest))
        table.add_row(Text(share.name), f"{share.size:,}", f"{share.share:.1%}", Text(bar, style="cyan"))
    return table


def _changes(picture: Picture) -> RenderableType:
    table = Table(box=None, pad_edge=False, title="latest changes", title_justify="left", show_header=False)
    for change in picture.latest:
        table.add_row(
            Text(str(change.get("customer_id", ""))[:20], style="bold"),
            Text(f"{change.get('previous_name') or 'new'} → {change.get('current_name', '')}"),
            Text(str(change.get("reason", "")), style="dim"),
        )
    return table


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} ms" if value < 10 else f"{value:,.0f} ms"

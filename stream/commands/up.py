"""`livesegment up`: everything on one machine, with nothing installed but this package."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer

from stream.commands.common import DataDir, notes, prepare
from stream.commands.console import console_for
from stream.embedded.house import House
from stream.errors import KafkaUnreachable, WrongUsage

SHOPPERS = ["--customers", "2000", "--rate", "400"]
"""2,000 customers whose day passes in about 20 seconds: enough to see them move between segments."""
TEND_MS = 250


class Ending:
    """Why and when to end: a signal, or the time given with --for. A second signal does not wait for anybody."""

    def __init__(self) -> None:
        self.asked = False
        self.house: House | None = None
        self._deadline: float | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def __call__(self) -> bool:
        """Whether it is time to end."""
        return self.asked or (self._deadline is not None and time.monotonic() >= self._deadline)

    def after(self, seconds: float | None) -> None:
        """End so many seconds from now; None: only when asked."""
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked and self.house:
            self.house.hurry()
        self.asked = True


def command(
    *,
    data_dir: DataDir = None,
    no_simulate: Annotated[
        bool, typer.Option("--no-simulate", help="No simulated shoppers: send your own events.")
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=64, help="How many workers share the partitions.")
    ] = 1,
    for_s: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=0.0, help="End so many seconds after `ready`.")
    ] = None,
    clock: Annotated[
        Literal["wall", "event"] | None,
        typer.Option("--clock", help="What `now` is. Default: event with simulated shoppers, else wall."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FILE", help="Pin this model snapshot; nothing is learnt then.")
    ] = None,
) -> None:
    """Start an embedded broker and Redis, the topics, workers and simulated shoppers, and show what happens.

    Prints `ready` once events can come; the addresses are then in DIR/endpoints.json. Ctrl-C ends everything.

    Example: livesegment up --for 120
    """
    chosen = clock or ("wall" if no_simulate else "event")
    settings = prepare(data_dir=data_dir, clock=chosen, model_file=model and model.absolute())
    if workers > settings.partitions:
        raise WrongUsage(
            f"{workers} workers cannot share {settings.partitions} partitions",
            action="use at most that many, or more LIVESEGMENT_PARTITIONS",
        )
    ending = Ending()
    house = House(settings, workers=workers, shoppers=None if no_simulate else SHOPPERS, note=_note)
    ending.house = house
    if notes.is_terminal:
        _note("starting a broker, a Redis and the workers; this takes some seconds")
    try:
        house.start_servers()
        house.start_workers(ending)
        if not ending():
            house.write_endpoints()
            house.start_shoppers()
            print("ready", flush=True)  # noqa: T201 - what scripts wait for
            ending.after(for_s)
            _watch(house, ending)
    finally:
        house.stop()


def _watch(house: House, ending: Ending) -> None:
    """Keep the house running and show it, until the end."""
    try:
        with console_for(house.settings, live=sys.stdout.isatty()) as show:
            while not ending():
                house.tend()
                show(TEND_MS)
    except KafkaUnreachable:
        house.tend()  # knows better why
        raise


def _note(words: str) -> None:
    notes.print(f"livesegment up: {words}", markup=False)

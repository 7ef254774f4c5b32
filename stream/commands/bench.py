"""`livesegment bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from stream import log


def command(
    stages: Annotated[list[str] | None, typer.Argument(metavar="[STAGE]...", help="Which stages; all if none.")] = None,
    broker: Annotated[str, typer.Option(help="embedded, or kafka (needs Java and Maven).")] = "embedded",
) -> None:
    """Measure CPU per event, rates, latency and memory on this machine; one JSON line a stage.

    Example: livesegment bench floor job --broker kafka
    """
    log.configure("warning")
    from stream.bench import run  # noqa: PLC0415 - starts and imports everything there is

    raise typer.Exit(run(stages or [], broker))

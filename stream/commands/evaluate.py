"""`livesegment evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.commands.common import AsJson, answer, notes, prepare
from stream.commands.replay import Maps, bar, parse_maps
from stream.errors import LivesegmentError, WrongUsage
from stream.evaluate import events, vectors
from stream.evaluate.outcome import Outcome
from stream.evaluate.page import page
from stream.evaluate.report import as_json as said_as_json
from stream.evaluate.report import as_text, write_labels
from stream.evaluate.vectors import Asked
from stream.replay import check

Names = Annotated[str | None, typer.Option("--features", metavar="A,B,C", help="With --vectors: the columns to use.")]


def command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Parquet, CSV, TSV or JSON Lines.")],
    *,
    of_vectors: Annotated[
        bool, typer.Option("--vectors", help="A row is one feature vector, in order of arrival, not an event.")
    ] = False,
    features: Names = None,
    truth: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="With --vectors: the kind that each customer really is.")
    ] = None,
    traits: Annotated[
        str, typer.Option(metavar="A,B", help="Columns that say who somebody is and may be used all the same.")
    ] = "",
    k: Annotated[int | None, typer.Option("--k", min=2, max=64, help="Number of segments.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the learner.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.jsonl", help="Write every customer's segment, lifecycle, RFM scores and transformed vector."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="OUT.html", help="Write the report with pictures, one page by itself.")
    ] = None,
    maps: Maps = None,
    as_json: AsJson = False,
) -> None:
    """Try the segments on a file before going live: no broker, no Redis, the same code.

    Events are replayed in event time; the model learns from a sweep over the customers as it would from a stream. The
    report says how the segments stand against batch k-means fitted anew to everybody, how often customers move, when
    drift was noticed, and what the segments are.

    Example: livesegment evaluate orders.parquet --k 5 --report segments.html
    """
    overrides = parse_maps(maps or [])
    for path in files:
        check(path)
    settings = prepare(clusters=k, learner_seed=seed, clock="event")
    asked = Asked(tuple(path.name for path in files), settings.learner_seed, _names(traits))
    chosen = _names(features or "")
    if of_vectors and not chosen:
        raise WrongUsage("--vectors needs --features A,B,C", action="name the columns that make the vector")
    if not of_vectors and (chosen or truth):
        raise WrongUsage("--features and --truth belong to --vectors")
    with bar() as progress:
        task = progress.add_task("evaluating", total=1.0, rows=0, rate=0)

        def tell(done: float, rows: int) -> None:
            progress.update(task, completed=done, rows=rows, rate=rows / max(1e-9, progress.tasks[task].elapsed or 0))

        if of_vectors:
            given = vectors.read(files, chosen, truth, overrides.get("customer_id", "customer_id"))
            outcome = vectors.run(given, chosen, settings, asked, tell)
        else:
            outcome = events.run(files, overrides, settings, asked, tell)
    _write(outcome, labels, report)
    answer(said_as_json(outcome), as_text(outcome), as_json=as_json)


def _write(outcome: Outcome, labels: Path | None, report: Path | None) -> None:
    try:
        if labels is not None:
            write_labels(outcome, labels)
        if report is not None:
            report.write_text(page(outcome), encoding="utf-8")
    except OSError as problem:
        raise LivesegmentError(f"{problem.filename} cannot be written: {problem.strerror}") from None
    for written in (labels, report):
        if written is not None:
            notes.print(f"written: {written}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))

"""`livesegment topics create` and `topics check`."""

from __future__ import annotations

import typer

from schemas.topics import TOPICS
from stream import topics
from stream.clients import kafka_admin
from stream.commands.common import AsJson, DataDir, Kafka, answer, prepare

app = typer.Typer(
    no_args_is_help=True,
    help="Create Kafka's topics as the registry says, or check that they are.\n\nExample: livesegment topics create",
)


@app.command("create")
def create(kafka: Kafka = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Create the topics that are missing; run it as often as you like.

    A topic that exists with another number of partitions is refused, never changed.

    Example: livesegment topics create --kafka kafka-1:9092
    """
    settings = prepare(kafka, data_dir=data_dir)
    with kafka_admin(settings) as admin:
        created = topics.create(admin, settings)
    words = f"created {', '.join(created)}" if created else f"nothing to do: all {len(TOPICS)} topics are there"
    answer({"created": created, "topics": sorted(TOPICS)}, words, as_json=as_json)


@app.command("check")
def check(kafka: Kafka = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Compare the topics with the registry; says what differs and exits with 1 if anything does.

    Example: livesegment topics check
    """
    settings = prepare(kafka, data_dir=data_dir)
    with kafka_admin(settings) as admin:
        absent = topics.missing(admin)
        found = topics.differences(admin, settings)
    words = [f"{name}: it is missing. Operator action: run `livesegment topics create`." for name in absent]
    words += [str(difference) for difference in found]
    answer(
        {"ok": not words, "missing": absent, "differences": [str(difference) for difference in found]},
        "\n".join(words) or f"all {len(TOPICS)} topics are as the registry says",
        as_json=as_json,
    )
    if words:
        raise typer.Exit(1)

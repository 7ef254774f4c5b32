"""`livesegment listen`."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from stream.commands.common import DataDir, Kafka, notes, prepare
from stream.errors import WrongSettings, WrongUsage
from stream.heard import values
from stream.settings import Settings
from stream.webhooks.forward import Forwarder, group_of
from stream.webhooks.message import MAKE_ONE, key_of
from stream.webhooks.receiver import Receiver

TopicName = Literal["segment-changes", "cart-triggers"]
Segment = Annotated[
    str | None,
    typer.Option("--segment", metavar="S", help="Only moves into or out of it, or carts of its customers; id or name."),
]
Seconds = Annotated[
    float | None, typer.Option("--for", metavar="SECONDS", help="End after so many seconds; else at SIGINT.", min=0)
]
ForwardTo = Annotated[
    str | None,
    typer.Option(
        "--forward-to",
        metavar="URL",
        help="Post each one there, signed with LIVESEGMENT_WEBHOOK_SECRET, until it is taken, in order per customer.",
    ),
]


def command(
    *,
    kafka: Kafka = None,
    data_dir: DataDir = None,
    topic: Annotated[TopicName, typer.Option("--topic", help="What to listen to.")] = "segment-changes",
    segment: Segment = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the oldest kept; a known --group goes on where it was.")
    ] = False,
    seconds: Seconds = None,
    most: Annotated[int | None, typer.Option("--max", metavar="N", help="End after so many.", min=1)] = None,
    forward_to: ForwardTo = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="Consumer group of --forward-to; else one per URL.")
    ] = None,
    dead_letters: Annotated[
        Path, typer.Option("--dead-letters", metavar="FILE", help="Where --forward-to keeps what was refused.")
    ] = Path("webhook-dead-letters.jsonl"),
    as_json: Annotated[bool, typer.Option("--json", help="The same: every line is a JSON object anyway.")] = False,  # noqa: ARG001 - every command takes it
) -> None:
    """Print changes of segment or cart triggers as they happen, one JSON object a line; or post them to a receiver.

    Both are sent at least once: a repeat has the id of the first. docs/contracts.md says what to rely on.

    Example: livesegment listen --segment "frequent high spenders" --from-start --max 10

    Example: livesegment listen --topic cart-triggers --forward-to https://shop.example/hooks/carts
    """
    settings = prepare(kafka, data_dir=data_dir)
    if forward_to is None and group is not None:
        raise WrongUsage("--group without --forward-to", action="give --forward-to URL, or leave --group out")
    stop = _until(seconds)

    def wants(value: dict[str, Any]) -> bool:
        return segment is None or concerns(value, segment)

    if forward_to is not None:
        receiver = Receiver(forward_to)
        forwarder = Forwarder(
            settings,
            topic,
            receiver,
            secret_of(settings),
            stop=stop,
            say=notes.print,
            dead_letters=dead_letters,
            wants=wants,
            most=most,
        )
        _forward(forwarder, receiver, group or group_of(settings.app_id, topic, forward_to), from_start=from_start)
        return
    shown = 0
    for raw, value in values(settings, topic, stop, from_start=from_start, say=notes.print):
        if wants(value):
            sys.stdout.write(raw + "\n")
            sys.stdout.flush()
            shown += 1
            if shown == most:
                return


def _forward(forwarder: Forwarder, receiver: Receiver, group: str, *, from_start: bool) -> None:
    """Forward until told to end, and say what became of it."""
    notes.print(f"forwarding to {receiver.shown} as group {group}")
    forwarder.run(group, from_start=from_start)
    notes.print(f"{forwarder.sent} taken, {forwarder.buried} kept in the dead-letter file")


def concerns(value: dict[str, Any], segment: str) -> bool:
    """Tell whether a change leads into or out of a segment, or a cart is of its customer; by id or by name."""
    names = {str(value.get(name, "")).casefold() for name in ("current_name", "previous_name", "segment_name")}
    ids = {str(value[name]) for name in ("current", "previous", "segment") if value.get(name) is not None}
    return segment in ids or segment.casefold() in names - {""}


def secret_of(settings: Settings) -> bytes:
    """Return the key that webhooks are signed with. Raises WrongSettings."""
    if settings.webhook_secret is None:
        raise WrongSettings("there is no secret to sign webhooks with", action=MAKE_ONE)
    return key_of(settings.webhook_secret.get_secret_value())


def _until(seconds: float | None) -> threading.Event:
    """Return an event that is set at the end: by a signal or after `seconds`."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if seconds is not None:
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True  # --max may end it all sooner
        timer.start()
    return stop

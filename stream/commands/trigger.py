"""`livesegment trigger`."""

from __future__ import annotations

import time
from importlib import resources
from typing import Annotated, Literal

import orjson
import typer

from schemas.topics import CART_TRIGGERS, SEGMENT_CHANGES
from stream.commands.common import AsJson, DataDir, Kafka, answer, prepare
from stream.commands.listen import secret_of
from stream.errors import ReceiverRefused
from stream.sender import Sender
from stream.webhooks.message import headers, message
from stream.webhooks.receiver import Answer, Receiver

EXAMPLES = {
    "segment.changed": (SEGMENT_CHANGES, "behaviour"),
    "cart.abandoned": (CART_TRIGGERS, "abandoned"),
    "cart.withdrawn": (CART_TRIGGERS, "withdrawn"),
    "cart.recovered": (CART_TRIGGERS, "recovered"),
}
"""Topic and file in schemas/examples of what can be sent."""


def command(
    what: Annotated[
        Literal["segment.changed", "cart.abandoned", "cart.withdrawn", "cart.recovered"],
        typer.Argument(metavar="WHAT", help="segment.changed, cart.abandoned, cart.withdrawn or cart.recovered."),
    ],
    *,
    kafka: Kafka = None,
    data_dir: DataDir = None,
    forward_to: Annotated[
        str | None, typer.Option("--forward-to", metavar="URL", help="Post it there, signed, instead of to the topic.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send an example, to try a subscriber: the same one each time, of a customer `c7` in no shop.

    Without --forward-to it goes to the topic, and every subscriber of that topic gets it.

    Example: livesegment trigger cart.abandoned --forward-to http://127.0.0.1:8000/hooks/carts
    """
    settings = prepare(kafka, data_dir=data_dir)
    topic, name = EXAMPLES[what]
    value = orjson.loads(example(topic, name))
    if forward_to is None:
        with Sender(settings, (topic,)) as sender:
            sender.send(topic, [(str(value["customer_id"]).encode(), orjson.dumps(value))])
        answer({"topic": topic, "id": value["id"]}, f"{what} {value['id']} is in {topic}", as_json=as_json)
        return
    made, receiver = message(topic, value), Receiver(forward_to)
    became, why = receiver.post(made.body, headers(made, secret_of(settings), int(time.time())))
    receiver.close()
    if became is not Answer.TAKEN:
        raise ReceiverRefused(f"{receiver.shown} did not take {what}: {why}")
    answer({"webhook_id": made.id, "answer": why}, f"{what} {made.id} was taken: {why}", as_json=as_json)


def example(topic: str, name: str) -> bytes:
    """Return a committed example of a topic's value."""
    return resources.files("schemas").joinpath("examples", topic, f"{name}.json").read_bytes()

"""`livesegment lookup`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from redis import Redis

from schemas.record import SegmentRecord
from schemas.redis_keys import partition_key, segment_key
from stream.clients import redis_client
from stream.commands.common import AsJson, DataDir, Kafka, RedisUrl, answer, prepare
from stream.errors import NotFound, NotNow


def command(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id, exactly as it was sent.")],
    *,
    features: Annotated[bool, typer.Option("--features", help="Also what is known of the customer, by name.")] = False,
    kafka: Kafka = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the segment of one customer, as a website would read it from Redis.

    Exit code 3: nobody of that id was ever seen. 4: not known yet, because Redis is being filled anew.

    Example: livesegment lookup c0000042 --features
    """
    settings = prepare(kafka, redis_url, data_dir)
    with redis_client(settings) as client:
        stored, complete = read(client, customer, settings.partitions)
    rebuilding = not stored and not complete
    if stored:
        value: dict[str, Any] = {"customer_id": customer, "found": True}
        value |= SegmentRecord.from_hash(stored).model_dump(mode="json")
        if features:
            from stream.status import customer_features  # noqa: PLC0415 - loads the models

            value["features"] = customer_features(settings, customer)
        answer(value, _words(value), as_json=as_json)
        return
    if as_json:
        answer({"customer_id": customer, "found": False, "rebuilding": rebuilding}, "", as_json=True)
        raise typer.Exit(NotNow.exit_code if rebuilding else NotFound.exit_code)
    if rebuilding:
        raise NotNow(f"Customer {customer!r} is not in Redis, but Redis is being filled anew")
    raise NotFound(f"No event of customer {customer!r} has been seen")


def read(client: Redis, customer: str, partitions: int) -> tuple[dict[str, str], bool]:
    """Return the customer's hash, empty if there is none, and whether every partition is complete, as of one moment.

    Where a partition is not, a customer without a record may have one in a moment: unknown for now only.
    """
    pipeline = client.pipeline(transaction=True)
    pipeline.hgetall(segment_key(customer))
    for number in range(partitions):
        pipeline.hget(partition_key(number), "complete")
    stored, *complete = pipeline.execute()
    return stored, all(complete)


def _words(value: dict[str, Any]) -> str:
    lines = [
        f"{name:<12} {said}" for name, said in value.items() if name not in ("found", "features") and said is not None
    ]
    lines += [f"  {name:<24} {said:,.6g}" for name, said in value.get("features", {}).items()]
    return "\n".join(lines)

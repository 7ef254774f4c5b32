"""`livesegment status`."""

from __future__ import annotations

from typing import Any

from stream.commands.common import AsJson, DataDir, Kafka, RedisUrl, answer, prepare


def command(
    *, kafka: Kafka = None, redis_url: RedisUrl = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Say how the job stands: customers, lag, every event accounted for, money, model, segments.

    The counts come from durable state, not from a worker: they survive restarts, and at rest
    read = applied + duplicates + dead letters.

    Example: livesegment status --json
    """
    settings = prepare(kafka, redis_url, data_dir)
    from stream.status import status  # noqa: PLC0415 - loads the models, which --help does not need

    value = status(settings)
    answer(value, words(value), as_json=as_json)


def words(value: dict[str, Any]) -> str:
    """Return the state as a short page."""
    events, totals, model = value["events"], value["totals"], value["model"]
    letters = ", ".join(f"{reason} {count:,}" for reason, count in value["dead_letters"].items())
    accounts = f"{events['applied']:,} applied + {events['duplicates']:,} duplicates + {events['dead_letters']:,} dead"
    money = f"revenue {totals['revenue_minor']:,}, refunds {totals['refunds_minor']:,} (minor units)"
    lines = [
        f"state         {value['state']}, lag {value['lag']:,}",
        f"customers     {value['customers']:,}",
        f"events        {events['read']:,} read = {accounts} ({events['late']:,} late, {events['custom']:,} custom)",
        f"dead letters  {letters or 'none'}",
        f"totals        {totals['orders']:,} orders, {money}",
        f"model         version {model['version']}, {model['k']} segments"
        if model
        else "model         none: warming up",
    ]
    lines += [
        f"last stop     {stop['worker']} follows one that stopped: {stop['reason']}" for stop in value["last_stops"]
    ]
    for segment in value["segments"]:
        number = "-" if segment["id"] is None else segment["id"]
        lines.append(f"  {number:>4}  {segment['name']:<44} {segment['size']:>10,}  {segment['share']:6.1%}")
    return "\n".join(lines)

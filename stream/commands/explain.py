"""`livesegment explain`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from stream.commands.common import AsJson, DataDir, Kafka, answer, prepare

SHOWN = 5
"""Features shown for each side to a person; --json has all."""
INTERESTS_SHOWN = 3


def command(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id, exactly as it was sent.")],
    *,
    kafka: Kafka = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say why a customer is in their segment and not in the next nearest: what each feature adds to the difference.

    Read from the changelog, as of the stream's time; needs no worker.
    Exit code 3: nobody of that id was ever seen. 4: there is no model yet.

    Example: livesegment explain c0000042
    """
    settings = prepare(kafka, data_dir=data_dir)
    from stream import portraits  # noqa: PLC0415 - loads the models

    found = portraits.customer(settings, customer)
    answer(found, _words(found), as_json=as_json)


def _words(found: dict[str, Any]) -> str:
    since = datetime.fromtimestamp(found["since"] / 1000, UTC)
    lines = [f"{found['customer_id']}: {found['name']} ({found['segment']}) since {since:%Y-%m-%d %H:%M} UTC"]
    if found["lifecycle"]:
        lines.append(f"lifecycle   {found['lifecycle'].replace('_', ' ')}")
    if found["rfm"]:
        lines.append(f"RFM         {found['rfm']}, {found['rfm_group']}")
    if found["interests"]:
        shown = [f"{each['category']} {each['share']:.0%}" for each in found["interests"][:INTERESTS_SHOWN]]
        lines.append(f"interests   {', '.join(shown)}")
    if found["moved_by"]:
        lines.append(f"moved by    {', '.join(found['moved_by'])}")
    runner_up = found["runner_up"]
    lines.append(
        f"next        {runner_up['name']} ({runner_up['id']}), "
        f"{found['runner_up_distance']:.2f} away where this one is {found['distance']:.2f}"
    )
    to, away = (
        [each for each in found["contributions"] if each["share"] >= 0.01],
        [each for each in reversed(found["contributions"]) if each["share"] <= -0.01],
    )
    for title, some in (("speaks for it", to), ("speaks for the next", away)):
        lines += [title] if some else []
        lines += [f"  {abs(each['share']):4.0%}  {each['words']}" for each in some[:SHOWN]]
    return "\n".join(lines)

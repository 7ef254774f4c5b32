"""`livesegment segments`."""

from __future__ import annotations

from typing import Any

from stream.commands.common import AsJson, DataDir, Kafka, answer, prepare


def command(*, kafka: Kafka = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show who the segments are: size, share, name, a sentence and the three strongest contrasts of each.

    A contrast is in standard deviations (sd) of all customers: +1 sd is more than five customers in six have.
    Exit code 4: there is no model yet.

    Example: livesegment segments
    """
    settings = prepare(kafka, data_dir=data_dir)
    from stream import portraits  # noqa: PLC0415 - loads the models

    found = portraits.segments(settings)
    answer({"segments": found}, "\n\n".join(map(_words, found)), as_json=as_json)


def _words(segment: dict[str, Any]) -> str:
    number = "" if segment["id"] is None else f" ({segment['id']})"
    lines = [f"{segment['share']:6.1%}  {segment['size']:>9,}  {segment['name']}{number}", f"    {segment['sentence']}"]
    lines += [f"    {contrast['z']:+.1f} sd  {contrast['words']}" for contrast in segment["contrasts"]]
    return "\n".join(line for line in lines if line.strip())

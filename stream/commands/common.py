"""What the commands share: the endpoint options and how an answer is printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from stream import log
from stream.settings import Settings, load

Kafka = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT,...", help="Kafka brokers; else LIVESEGMENT_KAFKA.")
]
RedisUrl = Annotated[
    str | None, typer.Option("--redis-url", metavar="URL", help="Redis or Valkey; else LIVESEGMENT_REDIS_URL.")
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Directory of a `livesegment up`, whose endpoints.json is used."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print exactly one JSON object as the last line of standard output.")
]

notes = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress and remarks: standard error, so that standard output holds the answer only."""


def prepare(
    kafka: str | None = None, redis_url: str | None = None, data_dir: Path | None = None, **given: Any
) -> Settings:
    """Return the settings of a command and set its logging up; WrongSettings where one cannot be."""
    settings = load(kafka=kafka, redis_url=redis_url, data_dir=data_dir, **given)
    log.configure(settings.log_level, clients=settings.log_level == "debug", secrets=settings.secrets)
    return settings


def answer(value: Mapping[str, Any], words: str, *, as_json: bool) -> None:
    """Print a command's answer on standard output: `value` as one line of JSON, or `words` for people."""
    print(json.dumps(value, ensure_ascii=False) if as_json else words)  # noqa: T201 - the answer of a command
    sys.stdout.flush()

"""`livesegment worker`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from stream import log, worker_state
from stream.clients import kafka_admin, redis_client
from stream.commands.common import DataDir, Kafka, RedisUrl
from stream.settings import load

START_PATIENCE_S = 30.0
"""A worker often starts together with its Kafka and its Redis."""


def command(
    kafka: Kafka = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
    clock: Annotated[
        Literal["wall", "event"] | None,
        typer.Option("--clock", help="What `now` is: the system clock, or the newest event time (replays)."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="FILE", help="Pin this model snapshot; nothing is learnt then.")
    ] = None,
) -> None:
    """Run one worker: it takes its share of the partitions, as many workers as there are partitions can share them.

    SIGTERM commits, leaves the group and ends within 10 seconds with exit code 0. 75 means: it stopped itself, start it
    again. docs/operations.md lists every reason.

    Example: livesegment worker --kafka kafka-1:9092 --redis-url redis://cache:6379/0
    """
    settings = load(kafka=kafka, redis_url=redis_url, data_dir=data_dir, clock=clock, model_file=model)
    log.configure(settings.log_level, secrets=settings.secrets)
    with worker_state.keeping(settings.data_dir):
        with redis_client(settings, START_PATIENCE_S), kafka_admin(settings, START_PATIENCE_S):
            pass
        from stream.app import run_worker  # noqa: PLC0415 - imports Faust, which no other command needs

        run_worker(settings)

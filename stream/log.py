"""Logs: structlog and the standard library's logging come out of one handler on standard error.

A terminal gets aligned, coloured lines; anything else gets one JSON object a line. Standard output is left alone: it
belongs to a command's answer. No event's content is ever logged.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from typing import Any, Literal, TextIO

import structlog

Level = Literal["debug", "info", "warning", "error"]

HIDDEN = "*****"
CHATTY = ("kafka", "aiokafka", "faust", "mode", "asyncio")
"""Libraries that report each connection attempt themselves: heard from `warning` on unless debugging."""


class Discreet(structlog.stdlib.ProcessorFormatter):
    """Renders a record, then takes the secrets out: at level debug some clients log all that they were given."""

    def __init__(self, secrets: Iterable[str], **given: Any) -> None:
        super().__init__(**given)
        spelt = {form for secret in secrets for form in (secret, repr(secret)[1:-1]) if form}
        spelt |= {json.dumps(form, ensure_ascii=plain)[1:-1] for form in spelt for plain in (False, True)}
        # What is a part of another comes after it.
        self._secrets = sorted(spelt, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = super().format(record)
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        return line


def configure(
    level: Level = "info", *, stream: TextIO | None = None, clients: bool = True, secrets: Iterable[str] = ()
) -> None:
    """Send all logging of this process to `stream` (standard error), at `level` and above.

    `clients=False` silences the Kafka client libraries altogether: a command that retries and reports in its own
    words must not be drowned by a client's. `secrets` are shown as stars wherever they stand. Calling it again replaces
    the former configuration.
    """
    out = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        Discreet(
            secrets,
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer(out)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    quiet = logging.CRITICAL + 1 if not clients else logging.WARNING
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else quiet)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _renderer(out: TextIO) -> list[structlog.typing.Processor]:
    """Return what turns a record into a line: for people on a terminal, for machines elsewhere."""
    if out.isatty():
        return [structlog.dev.ConsoleRenderer(colors=True)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger called `name`; every event is a short phrase, its figures are keyword arguments."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger

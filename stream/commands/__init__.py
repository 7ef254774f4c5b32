"""The command line `livesegment`: one module a command, imported only when it is asked for.

Exit codes: 0 done, 1 anything else, 2 wrong usage or settings, 3 not found, 4 not now, 5 Kafka or Redis unreachable.
A failure is one line on standard error that says what, where and what to do; a traceback only at log level debug.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence

import typer

from stream.errors import LivesegmentError

# Our matrices are small: BLAS threads double the CPU of seeding and feeding and win no time (measured).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

COMMANDS = (
    "up",
    "worker",
    "topics",
    "simulate",
    "replay",
    "evaluate",
    "status",
    "health",
    "segments",
    "lookup",
    "explain",
    "listen",
    "trigger",
    "export",
    "bench",
)
"""In the order of --help. Module `stream.commands.<name>` has `command`, a function, or `app`, commands of its own."""

ABOUT = """Live behavioural segments of a shop's customers: events in on Kafka, segments out in Redis.

Start with `livesegment up`: it brings its own broker and Redis, a worker and simulated shoppers.
"""


def build(words: Sequence[str]) -> typer.Typer:
    """Return the application for the command line `words`: with one command where the first word names it, else all."""
    app = typer.Typer(
        name="livesegment", help=ABOUT, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )

    @app.callback()
    def root() -> None:
        pass

    root.__doc__ = ABOUT
    for name in COMMANDS if not words or words[0] not in COMMANDS else (words[0],):
        module = importlib.import_module(f"stream.commands.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(module.command)
    return app


def run(words: Sequence[str]) -> int:
    """Run one command line and return its exit code; every failure has been reported."""
    try:
        build(words)(list(words), prog_name="livesegment")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except LivesegmentError as problem:
        report(str(problem), problem.exit_code, words)
        return problem.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as problem:  # noqa: BLE001 - the outermost frame: a stranger gets a line, not a traceback
        where = traceback.extract_tb(problem.__traceback__)[-1]
        report(
            f"Unexpected {type(problem).__name__} in {os.path.basename(where.filename)}:{where.lineno}: {problem}. "  # noqa: PTH119 - a name, not a path
            "Operator action: run it again with LIVESEGMENT_LOG_LEVEL=debug and report what it prints.",
            1,
            words,
        )
        if os.environ.get("LIVESEGMENT_LOG_LEVEL") == "debug":
            traceback.print_exc()
        return 1
    return 0


def report(problem: str, code: int, words: Sequence[str]) -> None:
    """Say on standard error what went wrong, in one line; with --json also as the object that a script waits for."""
    sys.stderr.write(f"livesegment: {' '.join(problem.split(' '))}\n")
    if "--json" in words:
        sys.stdout.write(json.dumps({"error": problem, "exit_code": code}, ensure_ascii=False) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))

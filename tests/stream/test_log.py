from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from stream import log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in log.CHATTY}
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    for name, level in before[2].items():
        logging.getLogger(name).setLevel(level)


def test_both_kinds_of_logging_come_out_as_one_json_object_a_line() -> None:
    out = io.StringIO()
    log.configure("info", stream=out)
    log.get("stream.a").info("batch applied", events=3)
    logging.getLogger("faust.b").warning("leaving %s", "group")
    log.get("stream.a").debug("not heard")

    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["event"], first["events"], first["level"], first["logger"]) == (
        "batch applied",
        3,
        "info",
        "stream.a",
    )
    assert (second["event"], second["level"], second["logger"]) == ("leaving group", "warning", "faust.b")
    assert first["timestamp"].endswith("Z")


def test_an_exception_is_one_line_too() -> None:
    out = io.StringIO()
    log.configure(stream=out)
    try:
        int("odd")
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert "ValueError: invalid literal" in json.loads(out.getvalue())["exception"]


def test_a_terminal_gets_a_readable_line() -> None:
    out = Terminal()
    log.configure(stream=out)
    log.get("x").info("batch applied", events=3)
    assert "batch applied" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_a_command_can_silence_the_client_libraries() -> None:
    out = io.StringIO()
    log.configure(stream=out, clients=False)
    logging.getLogger("kafka.conn").error("connect attempt failed")
    assert out.getvalue() == ""


@pytest.mark.parametrize("secret", ["hunter2", 'it\'s "odd"\\', "zwölf\n"])
def test_a_secret_is_stars_however_a_library_spells_it(secret: str) -> None:
    out = io.StringIO()
    log.configure("debug", stream=out, secrets=[secret])
    logging.getLogger("kafka.x").debug("configured with %s", {"sasl_plain_password": secret})
    logging.getLogger("kafka.x").debug("configured with %s", secret)
    log.get("x").info("said", password=secret)
    first, second, third = map(json.loads, out.getvalue().splitlines())
    assert "*****" in first["event"]
    assert secret.strip() not in first["event"]
    assert second["event"] == "configured with *****"
    assert third["password"] == "*****"

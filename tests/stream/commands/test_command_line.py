from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stream.commands import COMMANDS, run

WITH_KAFKA = (
    "topics create",
    "topics check",
    "status",
    "worker",
    "simulate",
    "replay FILE",
    "listen",
    "export OUT.csv",
)


@pytest.fixture
def nobody() -> str:
    """host:port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("name", [*(name for name in COMMANDS if name != "topics"), "topics create", "topics check"])
def test_every_command_explains_itself_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*name.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example: livesegment" in text or "Examples:" in text
    assert name in text


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize(
    "words", [["nonsense"], ["lookup"], ["up", "--clock", "stopped"], ["lookup", "--no-such", "c"]]
)
def test_wrong_usage_is_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_wrong_setting_is_exit_code_2_and_one_line(livesegment) -> None:
    done = livesegment("lookup", "c1", LIVESEGMENT_PARTITIONS="many")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert "partitions" in done.err
    assert "Operator action:" in done.err


def test_without_redis_a_lookup_says_which_where_and_what_to_do(livesegment, nobody: str) -> None:
    done = livesegment("lookup", "c1", "--redis-url", f"redis://u:hunter2@{nobody}/0", "--json")
    assert done.code == 5
    last = done.err.splitlines()[-1]
    assert last.startswith(f"livesegment: Redis at redis://{nobody}/0 does not answer: ")
    assert "Operator action: start Redis" in last
    assert "Traceback" not in done.err
    assert "hunter2" not in done.err + done.out
    assert done.json["exit_code"] == 5


def test_without_kafka_a_command_says_which_where_and_what_to_do(
    livesegment, nobody: str, tmp_path: Path, redis_url: str
) -> None:
    (tmp_path / "FILE").with_suffix(".jsonl").write_text("{}\n")

    def ended(words: str) -> Any:
        given = words.replace("FILE", str(tmp_path / "FILE.jsonl")).replace("OUT", str(tmp_path / "OUT")).split()
        return livesegment(*given, "--kafka", nobody, LIVESEGMENT_REDIS_URL=redis_url)

    # At once, for each of them hopes for a while.
    with ThreadPoolExecutor(len(WITH_KAFKA)) as pool:
        answers = dict(zip(WITH_KAFKA, pool.map(ended, WITH_KAFKA), strict=True))
    for words, done in answers.items():
        assert done.code == 5, (words, done)
        last = done.err.splitlines()[-1]
        assert last.startswith(f"livesegment: Kafka at {nobody} does not answer: "), words
        assert "Operator action: start Kafka" in last, words
        assert "Traceback" not in done.err, words


def test_something_that_is_not_kafka_is_reported_too(livesegment, start_redis) -> None:
    done = livesegment("topics", "check", "--kafka", start_redis().address)
    assert done.code == 5
    assert "Traceback" not in done.err
    assert "Operator action:" in done.err


def test_the_error_of_a_broken_endpoints_file_names_it(livesegment, tmp_path: Path) -> None:
    (tmp_path / "endpoints.json").write_text("{")
    done = livesegment("lookup", "c1", "--data-dir", tmp_path, "--json")
    assert done.code == 2
    assert "endpoints.json cannot be read" in done.json["error"]


def test_json_is_the_last_line_even_of_a_failure(livesegment, nobody: str) -> None:
    done = livesegment("topics", "check", "--json", "--kafka", nobody)
    assert json.loads(done.out.splitlines()[-1])["exit_code"] == done.code == 5

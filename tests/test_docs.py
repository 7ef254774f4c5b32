"""Documentation that cannot lie: generated pages equal the code, commands and links in the others exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from redis import Redis

from models.catalogue import FEATURES
from schemas.dead_letter import REASONS
from schemas.metric import METRICS
from schemas.record import SegmentRecord
from schemas.redis_keys import KEYS
from schemas.topics import TOPICS
from stream import docs, errors
from stream.commands import COMMANDS, build
from stream.embedded.redis import url
from stream.embedded.server import Server
from stream.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
README = ROOT / "README.md"


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(build([]))
    found = dict(group.commands)
    for name, command in group.commands.items():
        found |= {f"{name} {sub}": inner for sub, inner in getattr(command, "commands", {}).items()}
    return found


@pytest.mark.parametrize("name", sorted(docs.pages()))
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    assert page(name) == docs.pages()[name], "run `python -m stream.docs` and commit what it wrote"


def test_a_page_that_differs_or_is_missing_is_named(tmp_path: Path) -> None:
    docs.write(tmp_path)
    assert docs.drifted(tmp_path) == []
    (tmp_path / "topics.md").unlink()
    (tmp_path / "metrics.md").write_text("old")
    assert sorted(docs.drifted(tmp_path)) == ["metrics.md", "topics.md"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("settings.md", [f"`LIVESEGMENT_{name.upper()}`" for name in Settings.model_fields]),
        ("topics.md", [f"`{name}`" for name in TOPICS]),
        ("topics.md", [f"## {name}" for name in TOPICS]),
        ("redis.md", [f"`{key.pattern}`" for key in KEYS]),
        ("redis.md", [f"`{name}`" for name in SegmentRecord.model_fields]),
        ("metrics.md", [f"`{name}`" for name in METRICS]),
        ("features.md", [f"`{name}`" for name in FEATURES]),
        ("events.md", [f"`{name}`" for name in REASONS]),
        ("commands.md", [f"## {name}" for name in COMMANDS]),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} names",
)
def test_every_setting_topic_key_metric_feature_reason_and_command_is_documented(name: str, words: list[str]) -> None:
    assert [word for word in words if word not in page(name)] == []


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_option_of_every_command_is_explained() -> None:
    for name, command in commands().items():
        assert "Example: " in command.help, name
        assert [parameter.name for parameter in command.params if not parameter.help] == [], name


def test_every_exit_code_of_an_error_is_documented() -> None:
    def tree(root: type[errors.LivesegmentError]) -> Iterator[type[errors.LivesegmentError]]:
        yield root
        for child in root.__subclasses__():
            yield from tree(child)

    assert {problem.exit_code for problem in tree(errors.LivesegmentError)} | {0} == set(docs.EXIT_CODES)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_page_is_reachable_from_the_readme() -> None:
    seen, waiting = set(), [README]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        links = re.findall(r"\]\(([^)#:\s]+\.md)\)", path.read_text(encoding="utf-8"))
        if path == README:
            links.append("docs/decisions/README.md")
        waiting += [found for link in links if (found := (path.parent / link).resolve()) not in seen]
    assert set(PAGES) - seen == set()


def test_every_decision_is_in_the_list() -> None:
    written = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    assert written == re.findall(r"\]\((0[^)]+\.md)\)", page("decisions/README.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_settings_that_a_page_names_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    known = commands()
    for line in re.findall(r"^ *\.venv/bin/livesegment (.+)$|`livesegment ([^`]+)`", text, re.MULTILINE):
        words = shlex.split("".join(line), comments=True)
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        assert name in known, line
        options = {option for parameter in known[name].params for option in parameter.opts}
        assert [word for word in words if word.startswith("--") and word not in {*options, "--help"}] == [], line
    settings = {f"LIVESEGMENT_{name.upper()}" for name in Settings.model_fields} | {"LIVESEGMENT_DATA"}
    assert set(re.findall(r"LIVESEGMENT_[A-Z_]+", text)) - settings == set()


def test_make_targets_that_the_readme_names_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"^ +make ([a-z-]+)|`make ([a-z-]+)`", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"".join(pair) for pair in named} - targets == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_in_a_page_compiles(path: Path) -> None:
    for number, code in enumerate(python_of(path.read_text(encoding="utf-8"))):
        compile(code, f"{path.name}:{number}", "exec")


@pytest.mark.broker
def test_the_reader_of_the_page_tells_known_unknown_and_rebuilding_apart(start_redis: Callable[[], Server]) -> None:
    server = start_redis()
    (code,) = python_of(page("redis.md"))
    host, _, port = server.address.rpartition(":")
    reader: dict[str, Any] = {}
    exec(code.replace('"127.0.0.1"', repr(host)).replace("6379", port).replace("0.05", "5"), reader)
    with reader["shop"], Redis.from_url(url(server)) as writer:
        assert reader["segment_of"]("c1") == "rebuilding"
        for number in range(3):
            writer.hset(f"livesegment:partition:{number}", mapping={"boot": "b", "epoch": "1", "complete": "1"})
        assert reader["segment_of"]("c1") == "rebuilding"
        writer.hset("livesegment:partition:3", mapping={"boot": "b", "epoch": "1"})
        assert reader["segment_of"]("c1") == "rebuilding"
        writer.hset("livesegment:partition:3", "complete", "1")
        assert reader["segment_of"]("c1") == "unknown"
        writer.hset("segment:c1", mapping={"segment": "3", "name": "frequent high spenders"})
        assert reader["segment_of"]("c1") == "frequent high spenders"


def python_of(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)

"""Rules about the project's own files: sizes, layers' places, nothing of any one machine or registry."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

import models
import schemas
import stream

ROOT = Path(__file__).parent.parent
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FOREIGN = (
    # In two parts, or this file would break its own rule.
    *("pypi" + ".org", "files." + "pythonhosted", "registry." + "npmjs", "repo." + "maven", "deb." + "debian"),
    *("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/"),
)


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """Text of every file that is committed or about to be."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: the list of the project's files is not known")
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in listed if name and (ROOT / name).is_file()}


def test_no_file_names_a_registry_or_a_path_of_one_machine(files: dict[str, str]) -> None:
    found = [(name, word) for name, text in files.items() for word in FOREIGN if word in text]
    assert found == []


def test_no_module_is_longer_than_400_lines(files: dict[str, str]) -> None:
    sizes = {name: len(text.splitlines()) for name, text in files.items() if name.endswith(".py")}
    assert {name: size for name, size in sizes.items() if size > MODULE_LINES_MAX} == {}


def test_no_function_is_longer_than_60_lines(files: dict[str, str]) -> None:
    found = {}
    for name, text in files.items():
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                found[f"{name}: {node.name}"] = node.end_lineno - node.lineno + 1
    assert {name: lines for name, lines in found.items() if lines > FUNCTION_LINES_MAX} == {}


@pytest.mark.parametrize("package", [stream, models, schemas], ids=lambda package: package.__name__)
def test_the_three_packages_are_those_of_this_checkout(package: object) -> None:
    # Their names are common words: another package of that name on the path must not win.
    assert Path(package.__file__).parent == ROOT / package.__name__


def test_scripts_are_executable_and_fail_fast() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")

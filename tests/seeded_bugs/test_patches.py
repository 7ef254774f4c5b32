"""The seeded bugs keep up with the sources: `make seeded-bugs` takes minutes and is not run with every change."""

from __future__ import annotations

import py_compile
import re
from pathlib import Path

import pytest

from tests.seeded_bugs.__main__ import ROOT, DoesNotApply, apply, bugs, command

BUGS = {bug.name: bug for bug in bugs()}


def patched(name: str) -> list[str]:
    """Files that a bug changes."""
    return re.findall(r"^\+\+\+ b/(\S+)$", BUGS[name].path.read_text(encoding="utf-8"), re.MULTILINE)


def originals(name: str, folder: Path) -> None:
    """Copy the files that a bug changes."""
    for file in patched(name):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes((ROOT / file).read_bytes())


def test_there_are_the_twenty_bugs_of_the_protocols_list() -> None:
    assert [int(name.split("-")[0]) for name in BUGS] == list(range(1, 21))


@pytest.mark.parametrize("name", BUGS)
def test_a_seeded_bug_still_applies_and_says_what_catches_it(name: str, tmp_path: Path) -> None:
    originals(name, tmp_path)
    apply(BUGS[name], tmp_path)
    for file in patched(name):
        assert not file.startswith("tests/"), "a bug in the proof proves nothing"
        if file.endswith(".py"):
            py_compile.compile(str(tmp_path / file), doraise=True)
    assert command(BUGS[name].catcher, 1)


def test_a_bug_whose_place_is_gone_is_an_error_and_not_caught(tmp_path: Path) -> None:
    name = next(iter(BUGS))
    originals(name, tmp_path)
    (file,) = patched(name)
    (tmp_path / file).write_text("moved = True\n", encoding="utf-8")
    with pytest.raises(DoesNotApply, match=file):
        apply(BUGS[name], tmp_path)

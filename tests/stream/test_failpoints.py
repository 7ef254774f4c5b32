"""Failpoints do what their plan says, nothing without one, and every one of them is in the code."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stream
from stream.errors import WrongSettings
from stream.failpoints import POINTS, FailpointError, armed, hit, off
from stream.partition.log import _SENT

HITS = """
import os
from stream.failpoints import armed
hit = armed({plan!r})
for digit in b"012345678":
    os.write(2, bytes([digit]))
    hit("acked")
"""


def named(tree: ast.AST) -> list[str]:
    """Names that are hit in a module."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    arguments = [call.args[0] for call in calls if call.func.id == "hit"]  # type: ignore[attr-defined]
    return [str(argument.value) for argument in arguments if isinstance(argument, ast.Constant)]


def test_every_point_is_hit_somewhere_and_none_by_another_name() -> None:
    (root,) = stream.__path__
    found = {name for path in Path(root).rglob("*.py") for name in named(ast.parse(path.read_text(encoding="utf-8")))}
    assert found | set(_SENT.values()) == set(POINTS)


def test_without_a_plan_a_point_is_an_empty_function() -> None:
    assert hit is off
    assert off("acked") is None


def test_a_plan_raises_at_the_hit_it_names_and_leaves_the_others_alone() -> None:
    follow = armed("acked=raise:2, marker=raise")
    follow("acked")
    follow("decoded")
    with pytest.raises(FailpointError, match="acked"):
        follow("acked")
    follow("acked")
    with pytest.raises(FailpointError, match="marker"):
        follow("marker")


def test_a_plan_sleeps_at_every_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    follow = armed("acked=sleep:0.25")
    follow("acked")
    follow("acked")
    assert slept == [0.25, 0.25]


def test_a_plan_kills_the_process_at_the_hit_it_names() -> None:
    done = subprocess.run([sys.executable, "-c", HITS.format(plan="acked=kill:3")], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == b"012"


def test_a_plan_can_kill_the_process_after_the_hit() -> None:
    code = HITS.format(plan="acked=kill:1:20") + "\nimport time; time.sleep(60)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stderr.startswith(b"0")


@pytest.mark.parametrize("plan", ["nowhere=kill:1", "acked", "acked=", "acked=burn:1", "acked=kill:x", "acked=sleep"])
def test_a_plan_that_cannot_be_meant_is_refused(plan: str) -> None:
    with pytest.raises(WrongSettings, match="LIVESEGMENT_FAILPOINTS"):
        armed(plan)

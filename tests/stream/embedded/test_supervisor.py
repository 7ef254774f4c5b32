from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from stream.embedded import guard
from stream.embedded.supervisor import Child, stop
from tests.kit.processes import alive, eventually

ROOT = Path(__file__).parent.parent.parent.parent
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_child_runs_in_its_own_group_under_its_own_pid_and_ends_on_request(tmp_path: Path) -> None:
    child = Child("sleeper", SLEEP, tmp_path / "s.log")
    child.start()
    assert alive(child.pid)
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    assert stop([child], 10.0) == []
    assert child.why() == "killed by SIGTERM"


def test_a_child_that_ignores_the_request_is_killed_and_named(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
    )
    child = Child("stubborn", [sys.executable, "-c", stubborn], tmp_path / "s.log")
    child.start()
    assert eventually(lambda: "on" in child.tail())
    assert stop([child], 0.2) == ["stubborn"]
    assert child.why() == "killed by SIGKILL"


def test_what_a_dead_child_said_is_kept_for_the_message(tmp_path: Path) -> None:
    child = Child("broken", [sys.executable, "-c", "import sys; sys.exit('no such thing')"], tmp_path / "b.log")
    child.start()
    assert child.wait(30.0)
    assert child.why() == "exit code 1"
    assert "no such thing" in child.tail()


def test_a_command_that_does_not_exist_says_so(tmp_path: Path) -> None:
    child = Child("missing", ["/nowhere/at-all"], tmp_path / "m.log")
    child.start()
    assert child.wait(30.0)
    assert child.exit_code == 127
    assert "cannot start /nowhere/at-all" in child.tail()


def test_backoff_grows_and_is_bounded(tmp_path: Path) -> None:
    child = Child("x", SLEEP, tmp_path / "x.log")
    child.started_at = time.monotonic()
    assert [child.backoff_s() for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


PARENT = """
    import sys, time
    from pathlib import Path
    from stream.embedded import guard
    from stream.embedded.supervisor import Child
    if sys.argv[2] == "watcher":  # what runs where the kernel cannot tell: guard believes it is on another system
        text = Path(guard.__file__).read_text().replace('sys.platform == "linux"', 'sys.platform == "none"')
        guard.__file__ = str(Path(sys.argv[1]) / "guard_elsewhere.py")
        Path(guard.__file__).write_text(text)
    child = Child("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], Path(sys.argv[1]) / "s.log")
    child.start()
    print(child.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", ["kernel", "watcher"])
def test_children_die_with_a_parent_that_was_killed(tmp_path: Path, how: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path), how], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    # It has become the command: the guard's own line names it too, but elsewhere, and may be empty at first.
    assert eventually(lambda: b"sleep" in b"".join(Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[2:3]))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert eventually(lambda: not alive(child))


def test_a_command_whose_parent_is_already_gone_is_never_started(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    dead = subprocess.Popen(["true"])
    dead.wait()
    code = f"open({str(ran)!r}, 'w')"
    done = subprocess.run(
        [sys.executable, "-I", "-S", guard.__file__, str(dead.pid), sys.executable, "-c", code], check=False
    )
    assert done.returncode == 1
    assert not ran.exists()

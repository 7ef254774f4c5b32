"""`make seeded-bugs`: puts each bug into a copy of the sources and lets the proof look for it.

A bug is a patch whose head says in one line what is wrong and in another what catches it: `simulation A:B` (seeds) or
`pytest FILE...`. A patch that no longer applies is an error, never a bug caught. First the copy without any bug has to
pass, or catching would mean nothing.
"""

# ruff: noqa: T201 - a command prints

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
COPIED = ("models", "schemas", "stream", "tests", "pyproject.toml")
CONTROL_SEEDS = "0:60"
FAULTS = 20
TIMEOUT_S = 1_200
WORDS_MAX = 160


class DoesNotApply(Exception):  # noqa: N818 (says what happened)
    """The sources have moved on: the patch has to be made anew."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One patch and what its head says."""

    path: Path
    what: str
    catcher: str

    @property
    def name(self) -> str:
        """Number and name of the bug."""
        return self.path.stem


def bugs() -> list[Bug]:
    """All bugs, in their order. ValueError where a patch does not say what catches it."""
    found = []
    for path in sorted(HERE.glob("*.patch")):
        head = path.read_text(encoding="utf-8").split("--- ", 1)[0]
        catcher = re.search(r"^Caught by: (.+)$", head, re.MULTILINE)
        if catcher is None:
            raise ValueError(f"{path.name} has no line `Caught by: ...`")
        found.append(Bug(path, head.splitlines()[0], catcher.group(1)))
    return found


def copy_sources(folder: Path) -> None:
    """Copy what the proof needs, with the machine code that the models' sources have by now."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("*.patch"))
        else:
            shutil.copy2(source, folder / name)


def apply(bug: Bug, folder: Path) -> None:
    """Put a bug into a copy. Raises DoesNotApply."""
    # Without the ceiling git would look for a repository around the folder and take the paths for its own.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(bug.path)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    patched = re.findall(r"^\+\+\+ b/(\S+)$", bug.path.read_text(encoding="utf-8"), re.MULTILINE)
    same = [name for name in patched if (folder / name).read_bytes() == (ROOT / name).read_bytes()]
    if done.returncode or same or not patched:
        raise DoesNotApply(f"{bug.path.name} does not apply to {', '.join(patched)}: {done.stderr.strip()}")


def command(catcher: str, jobs: int) -> list[str]:
    """Return the command line of a catcher."""
    kind, _, rest = catcher.partition(" ")
    if kind == "simulation":
        given = ["--seeds", rest, "--faults", str(FAULTS), "--jobs", str(jobs)]
        return [sys.executable, "-m", "tests.simulation", *given]
    if kind == "pytest":
        return [sys.executable, "-m", "pytest", "-q", "-x", *rest.split()]
    raise ValueError(f"what is {catcher!r}? `simulation A:B` or `pytest FILE...`")


def prove(folder: Path, catcher: str, jobs: int) -> tuple[bool, str]:
    """Run a catcher in a copy: whether it found something, and its last words. Raises RuntimeError where it broke."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    if any((folder / name).read_bytes() != (ROOT / name).read_bytes() for name in _models(folder)):
        # Its machine code would be made anew for a minute; tiny groups do without.
        environment["NUMBA_DISABLE_JIT"] = "1"
    where = subprocess.run(
        [sys.executable, "-c", "import stream; print(stream.__file__)"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(where).is_relative_to(folder):
        raise RuntimeError(f"the copy would run {where}, not its own sources")
    done = subprocess.run(
        command(catcher, jobs),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    said = [line for line in done.stdout.splitlines() if line.strip()]
    found = done.returncode == 1 and any("FAILED" in line or " failed" in line for line in said[-3:])
    if done.returncode not in (0, 1) or (done.returncode == 1 and not found):
        raise RuntimeError("\n".join([*said[-20:], done.stderr[-2_000:]]))
    # What was violated, and by which seed; or which test failed.
    return found, "; ".join(line.rpartition("checks.")[2][:WORDS_MAX] for line in said[-2:])


def _models(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in sorted((folder / "models").glob("*.py"))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.seeded_bugs", description=__doc__)
    parser.add_argument("--only", default="", help="bugs whose name holds this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    chosen = [bug for bug in bugs() if given.only in bug.name]
    caught = 0
    with tempfile.TemporaryDirectory(prefix="livesegment-bugs-") as temporary:
        folder = Path(temporary).resolve() / "control"
        copy_sources(folder)
        found, last = prove(folder, f"simulation {CONTROL_SEEDS}", given.jobs)
        if found:
            print(f"without any bug the proof fails already, so that it could catch nothing: {last}")
            return 1
        for bug in chosen:
            began = time.monotonic()
            folder = Path(temporary).resolve() / bug.name
            copy_sources(folder)
            apply(bug, folder)
            found, last = prove(folder, bug.catcher, given.jobs)
            shutil.rmtree(folder)
            caught += found
            verdict = "caught" if found else "NOT CAUGHT"
            print(f"{bug.name:34} {verdict:10} {time.monotonic() - began:5.0f} s  {bug.what}", flush=True)
            print(f"{'':34} {last}", flush=True)
    print(f"caught {caught} of {len(chosen)}")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())

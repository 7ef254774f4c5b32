from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import models
from models import compiled, features, reminders
from models.agenda import Agenda
from models.assign import assign
from models.judge import Rules
from models.warm import warm
from stream.settings import load
from tests.models.test_assign import model_of, raw
from tests.oracle.compare import Run
from tests.oracle.histories import START, numbered, spread
from tests.oracle.shop import DAY, Event, Kind, Operation

HALF = "import numpy as np\nfrom models.transform import scale_value\nassert scale_value(0.0, 2.0, 0.5, 4.0) == -1.0\n"


def _functions() -> dict[str, numba.core.dispatcher.Dispatcher]:
    found = {}
    for module in pkgutil.iter_modules(models.__path__, "models."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, numba.core.dispatcher.Dispatcher):
                found[f"{value.py_func.__module__}.{name}"] = value
    return found


def _process(folder: Path, code: str) -> str:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder), "NUMBA_DEBUG_CACHE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_a_warm_process_compiles_nothing_for_its_events() -> None:
    warm()
    before = {name: len(function.signatures) for name, function in _functions().items()}
    add = {"kind": Kind.ADD_TO_CART, "operations": (Operation(5, 1, 50),), "products": (spread(1),)}
    run = Run()
    for days in (0, 2_000):
        run.apply(
            numbered(
                [
                    Event("a", START + days * DAY, id=spread(days), **add),
                    Event("b", START + days * DAY, Kind.ORDER_LINE, spread(days + 1), source=1, order=7, amount=100),
                    Event("b", START, Kind.SEARCH, spread(days + 2)),
                ]
            )
        )
    features.read(run.table, np.arange(2), START + 3_000 * DAY)
    model = model_of([[0.0, 0, 0], [2.0, 0, 0]])
    assign(model, raw(model, [[1.0, 0, 0]]), np.array([0]), np.array([1.5]), 2.5, margin=0.1, dwell_ms=9.0)
    slots, now_ms = np.arange(2), START + 3_000 * DAY
    rows = run.table.gather(slots)
    timers = load().cart_timers
    agenda = Agenda(timers, Rules(0.1, 0.0), 1_000.0)
    agenda.note(slots, rows, now_ms)
    agenda.plan(slots, rows, None, now_ms, model=None, yardsticks=None)
    agenda.take(now_ms + DAY)
    reminders.states(rows, now_ms, timers)
    reminders.settle(rows, np.zeros(2, np.bool_))
    reminders.remind(rows, now_ms, timers, np.zeros(2, np.bool_))
    assert {name: len(function.signatures) for name, function in _functions().items()} == before


def test_machine_code_is_kept_and_read_again(tmp_path: Path) -> None:
    assert "data saved" in _process(tmp_path, HALF)
    again = _process(tmp_path, HALF)
    assert ("data loaded" in again, "data saved" in again) == (True, False)


def test_machine_code_depends_on_all_sources_of_ours_that_its_own_needs() -> None:
    package = Path(models.__file__).parent
    needed = {"compiled", "decay", "activity", "recent", "slots", "columns", "carts", "index", "one_event"}
    assert {package / f"{name}.py" for name in needed} <= compiled.sources(package / "one_event.py")
    assert package.parent / "schemas" / "kinds.py" in compiled.sources(package / "one_event.py")
    assert package / "one_event.py" not in compiled.sources(package / "decay.py")


def test_a_changed_source_is_compiled_anew(tmp_path: Path) -> None:
    _process(tmp_path, HALF)
    changed = f"import models.compiled as c\nread = c._read\nc._read = lambda source: read(source) + b' '\n{HALF}"
    assert "data loaded" not in _process(tmp_path, changed)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_still_read(tmp_path: Path) -> None:
    _process(tmp_path, HALF)
    tmp_path.chmod(0o500)
    assert "data loaded" in _process(tmp_path, HALF)


def test_without_a_folder_functions_are_compiled_in_memory(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert "data saved" not in _process(blocked, HALF)


def test_every_compiled_function_has_our_cache() -> None:
    functions = _functions()
    assert len(functions) > 20
    assert all(isinstance(function._cache, compiled._Kept) for function in functions.values())

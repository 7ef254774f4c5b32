"""Loops compiled to machine code by numba: one event after the other, as the definitions are written.

A group of live events is small, and two hundred array operations cost the same for 50 events as for 500; a compiled
loop costs by the event (decision 0015). Plain IEEE arithmetic without `fastmath`: a result depends on no group size.

The machine code is kept on disk, by processor, Python and numba, in a folder named by the digest of the sources:
numba would look at the file of a function only, and miss a change in what that function calls. The folder is below
`NUMBA_CACHE_DIR` where that is set, else below this package's `__pycache__`. Where it cannot be written everything is
compiled in memory instead, at each start. `NUMBA_CPU_NAME=generic` makes code for any processor: for an image that is
built on one machine and started on another, which otherwise would compile anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

from schemas import kinds

F = TypeVar("F", bound=Callable[..., Any])


def _folder() -> Path | None:
    """Find the folder of this version of the sources, None where it cannot be written."""
    sources = [*sorted(Path(__file__).parent.glob("*.py")), Path(kinds.__file__)]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "__pycache__")
    folder = base / f"compiled-{digest}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    return folder


CACHE_FOLDER = _folder()
"""Where machine code is kept; None: it is compiled at each start."""
if CACHE_FOLDER is not None:
    numba.config.CACHE_DIR = str(CACHE_FOLDER)  # type: ignore[attr-defined]  # numba makes its settings at run time


def compiled(function: F) -> F:
    """Compile a function of numbers and arrays when it is first called with types it was not called with before.

    Division by zero gives infinity or nothing defined, as in numpy; an index out of range is not noticed.
    """
    return cast("F", numba.njit(function, cache=CACHE_FOLDER is not None, error_model="numpy"))

"""Loops compiled to machine code by numba: one event after the other, as the definitions are written.

A group of live events is small, and two hundred array operations cost the same for 50 events as for 500; a compiled
loop costs by the event (decision 0017). Plain IEEE arithmetic without `fastmath`: a result depends on no group size.

Machine code is kept on disk, by processor, Python and numba, in the folder `NUMBA_CACHE_DIR`, else this package's
`__pycache__`; `models.warm` makes all of it. A folder that cannot be written is still read, so that an image may be
read-only; what is not in it is compiled in memory, at each start. `NUMBA_CPU_NAME=generic` makes code for any
processor: for an image that is built on one machine and started on another, which otherwise would compile anew.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, Self, TypeVar, cast

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache

F = TypeVar("F", bound=Callable[..., Any])

_FOLDER = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "__pycache__")
_ROOT = Path(__file__).parent.parent


@functools.cache
def _read(source: Path) -> bytes:
    return source.read_bytes()


@functools.cache
def _imported(source: Path) -> frozenset[Path]:
    """Find the sources of ours that one imports."""
    names = set()
    for node in ast.walk(ast.parse(_read(source))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = (_ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in names)
    return frozenset(file for file in files if file.is_file())


@functools.cache
def sources(source: Path) -> frozenset[Path]:
    """Find a source and all of ours that it needs: what its machine code may depend on."""
    found: set[Path] = set()
    waiting = {source}
    while waiting:
        found |= waiting
        waiting = {file for each in waiting for file in _imported(each)} - found
    return frozenset(found)


@functools.cache
def _digest(source: Path) -> str:
    return hashlib.sha256(b"".join(map(_read, sorted(sources(source))))).hexdigest()


class _Place:
    """Where the machine code of a function lies, and what it was made of: a `locator` in numba's words.

    Numba's own look at the one file that a function stands in, and miss a change in what it imports.
    """

    def __init__(self, function: FunctionType) -> None:
        self._code = function.__code__

    @classmethod
    def from_function(cls, function: FunctionType, _file: str) -> Self:
        return cls(function)

    def get_cache_path(self) -> str:
        return str(_FOLDER)

    def get_source_stamp(self) -> str:
        return _digest(Path(self._code.co_filename))

    def get_disambiguator(self) -> str:
        return str(self._code.co_firstlineno)

    def ensure_cache_path(self) -> None:
        _FOLDER.mkdir(parents=True, exist_ok=True)


class _Code(CompileResultCacheImpl):
    _locator_classes = [_Place]  # noqa: RUF012 (numba's own is a list)


class _Kept(FunctionCache):
    _impl_class = _Code

    def load_overload(self, sig: object, target_context: object) -> object:
        with contextlib.suppress(OSError):
            return super().load_overload(sig, target_context)
        return None

    def save_overload(self, sig: object, data: object) -> None:
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)


def compiled(function: F) -> F:
    """Compile a function of numbers and arrays when it is first called with types it was not called with before.

    Division by zero gives infinity or nothing defined, as in numpy; an index out of range is not noticed.
    """
    dispatcher = numba.njit(function, error_model="numpy")
    # What `cache=True` sets, with numba's own places; numba is pinned, and a test guards it.
    dispatcher._cache = _Kept(function)  # noqa: SLF001 (numba has no public name for it)
    return cast("F", dispatcher)

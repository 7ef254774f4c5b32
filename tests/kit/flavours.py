"""The kinds of Redis that the suite runs on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

FLAVOURS = ("valkey", "redis-server")


def redis_binary(flavour: str) -> Path | None:
    """Return the server to run; None is the embedded Valkey. Skips where Debian's Redis is not installed."""
    if flavour == "valkey":
        return None
    found = shutil.which(flavour)
    if found is None:
        pytest.skip(f"not run on Redis: no {flavour} here (Debian: apt-get install redis-server)")
    return Path(found)

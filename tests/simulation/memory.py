"""Keeps large blocks of zeros cheap: a run makes dozens of customer tables and touches a corner of each."""

from __future__ import annotations

import contextlib
import ctypes

_M_MMAP_THRESHOLD = -3


def keep_zeros_cheap() -> None:
    """Have glibc map every block over a megabyte, whatever it learns; else it clears reused ones byte by byte.

    Elsewhere nothing changes but the time that runs take (here: five times).
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_MMAP_THRESHOLD, 1 << 20)

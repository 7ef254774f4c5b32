"""How the interpreter is set for a worker, whose objects are few and live long; measurements set it the same way."""

from __future__ import annotations

import gc
import sys

THRESHOLDS = (200_000, 20, 100)
SWITCH_S = 0.0005


def settle() -> None:
    """Set the collector and the switching of threads, once what lives as long as the process is loaded."""
    # Long-lived columns and code are no garbage: scanning them cost a third of the CPU (measured).
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    # The consumer thread takes short turns; at the usual 5 ms it waits for each of them (measured).
    sys.setswitchinterval(SWITCH_S)

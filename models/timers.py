"""After how much silence of a cart somebody is reminded: what a job is set to. Light, for the settings import it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

REMINDERS_MAX = 3


@dataclass(frozen=True, slots=True)
class Timers:
    """Milliseconds of silence after which each reminder is due, rising; and what is not sent any more."""

    delays_ms: tuple[float, ...]
    grace_ms: float
    oldest_ms: float
    """A reminder that was due longer ago is passed over: old data must remind nobody."""
    delays: NDArray[np.float64] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "delays", np.array(self.delays_ms))

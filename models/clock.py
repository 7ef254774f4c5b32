"""One partition's now. `wall`: the system's clock. `event`: the highest event time, for replays and fast demos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

STEP_MS = 45 * 86_400_000
"""An event further ahead than this moves the clock only with witnesses: one wrong stamp must not age everybody."""
WITNESSES = 3


class StreamClock:
    """Now of one partition; time and events are given to it, it never looks at a clock itself."""

    def __init__(self, mode: Literal["wall", "event"]) -> None:
        self.mode = mode
        self._now_ms: int | None = None
        # At most WITNESSES - 1 customers: one more and the clock moves.
        self._ahead: dict[str, int] = {}

    def now(self, system_ms: int) -> int:
        """Milliseconds: the system's in `wall` mode and before the first event, else event time, which never falls."""
        if self.mode == "wall" or self._now_ms is None:
            return system_ms
        return self._now_ms

    def observe(self, times_ms: NDArray[np.int64], customers: Sequence[str]) -> None:
        """Take note of N applied events and whose they are. The first event ever sets the clock.

        Later ones move it to their maximum, except that a step of over 45 days needs three customers past it: then the
        clock goes as far as three of them have come.
        """
        if self.mode == "wall" or len(times_ms) == 0:
            return
        if self._now_ms is None:
            self._now_ms = int(times_ms[0])
        newest = int(times_ms.max())
        if newest <= self._now_ms + STEP_MS and not self._ahead:
            self._now_ms = max(self._now_ms, newest)
            return
        for position in np.flatnonzero(times_ms > self._now_ms).tolist():
            self._one(int(times_ms[position]), customers[position])

    def begin(self, reached_ms: NDArray[np.float64]) -> None:
        """Start a clock that has met no event yet at the earliest of N times that were reached before, 0 for none.

        Events that are read again must not meet a clock that is past them. One that runs already goes on.
        """
        if self.mode == "event" and self._now_ms is None and (known := reached_ms[reached_ms > 0]).size:
            self._now_ms = int(known.min())

    def to_dict(self) -> dict[str, Any]:
        """State as JSON values, for the partition's meta row."""
        return {"mode": self.mode, "now_ms": self._now_ms, "ahead": dict(self._ahead)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], mode: Literal["wall", "event"]) -> StreamClock:
        """Make the clock that `to_dict` described, now running in `mode` (a setting, which may have changed)."""
        clock = cls(mode)
        now_ms = state.get("now_ms")
        clock._now_ms = None if now_ms is None else int(now_ms)
        clock._ahead = {str(name): int(time) for name, time in dict(state.get("ahead", {})).items()}
        return clock

    def _one(self, time_ms: int, customer: str) -> None:
        assert self._now_ms is not None
        if time_ms > self._now_ms + STEP_MS:
            self._ahead[customer] = max(time_ms, self._ahead.get(customer, 0))
            if len(self._ahead) < WITNESSES:
                return
            time_ms = min(self._ahead.values())
        self._now_ms = max(self._now_ms, time_ms)
        # Who was ahead may now be within a step, and then counts at once; that may bring the next within one.
        for name, ahead in sorted(self._ahead.items(), key=lambda item: item[1]):
            if ahead <= self._now_ms + STEP_MS:
                self._now_ms = max(self._now_ms, ahead)
                del self._ahead[name]

"""Which customers of a partition time alone changes next: due times of their carts, and when to look at their segments.

Cart timers are known to the millisecond. A segment drifts with decay; `models.horizon` says until when it surely stays.
Nothing of this is durable: it is made of rows, at recovery of all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models import horizon, reminders
from models.assign import Model
from models.due import NEVER, DueTimes
from models.judge import Rules
from models.standing import Yardsticks
from models.timers import Timers

LOOKS = 10_000
"""Segments looked at before carts are asked for again: a take-over makes everybody due, and reminders do not wait."""

Slots = NDArray[np.int64]
Floats = NDArray[np.float64]


class Agenda:
    """Due times of one partition's slots, in milliseconds of its clock."""

    def __init__(self, timers: Timers, rules: Rules, period_ms: float) -> None:
        self.timers = timers
        self.carts = DueTimes()
        self.segments = DueTimes()
        self._rules = rules
        self._period_ms = period_ms

    def note(self, slots: Slots, rows: Floats, now_ms: float) -> None:
        """Take in customers who were judged for another reason than time; their segments are looked at next time."""
        self.carts.set(slots, reminders.due(rows, self.timers))
        self.segments.advance(slots, int(now_ms))

    def plan(
        self,
        slots: Slots,
        rows: Floats,
        vectors: Floats | None,
        now_ms: float,
        *,
        model: Model | None,
        yardsticks: Yardsticks | None,
    ) -> None:
        """Take in customers who were judged by `model` because time passed or a model came; `vectors` are theirs."""
        self.carts.set(slots, reminders.due(rows, self.timers))
        if model is None or vectors is None:
            self.segments.set(slots, np.full(len(slots), NEVER))
        else:
            planned_ms = self.segments.times(slots).astype(np.float64)
            times = horizon.looks(
                rows,
                vectors,
                now_ms,
                model=model,
                yardsticks=yardsticks,
                rules=self._rules,
                period_ms=self._period_ms,
                planned_ms=planned_ms,
            )
            self.segments.set(slots, _whole(times))

    def forget(self, slot: int, last: int, now_ms: float) -> None:
        """Follow `CustomerTable.forget`; whose slot changed is looked at next time, lest a new model missed them."""
        self.carts.move(last, slot)
        self.segments.move(last, slot)
        if last != slot:
            self.segments.advance(np.array([slot]), int(now_ms))

    def take(self, now_ms: int) -> Slots:
        """Take out some who are due, nobody if nobody is: first those with cart timers, in order of time."""
        carts = self.carts.take(now_ms)
        return carts if carts.size else self.segments.take(now_ms, LOOKS)


def _whole(times_ms: Floats) -> NDArray[np.int64]:
    """Round up: a moment earlier nothing would have changed yet."""
    return np.where(np.isfinite(times_ms), np.ceil(np.minimum(times_ms, NEVER)), NEVER).astype(np.int64)

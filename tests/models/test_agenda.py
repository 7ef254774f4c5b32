"""Whom time alone changes: nobody is looked at who cannot change, and nobody is forgotten."""

from __future__ import annotations

import numpy as np

from models.agenda import Agenda
from models.columns import COL, EMPTY_ROW
from models.due import NEVER
from models.judge import Rules
from tests.models.reminding import GRACE, HALF_HOUR, timers
from tests.models.test_judge import NOW_MS, model

RULES = Rules(margin=0.0, dwell_ms=0.0)


def rows(*touched: float) -> np.ndarray:
    said = np.tile(EMPTY_ROW, (len(touched), 1))
    said[:, COL.cart_touched_at] = said[:, COL.cart_opened_at] = touched
    said[:, COL.cart_items] = np.array(touched) > 0
    said[:, COL.last_seen] = NOW_MS
    return said


def test_carts_come_first_and_in_order_of_time_then_the_others() -> None:
    agenda = Agenda(timers((HALF_HOUR,)), RULES, 1_000.0)
    agenda.note(np.arange(4), rows(NOW_MS, 0, NOW_MS - 5, 0), NOW_MS)
    assert agenda.take(int(NOW_MS)).tolist() == [0, 1, 2, 3]
    assert agenda.take(int(NOW_MS) + HALF_HOUR + GRACE - 6).tolist() == []
    agenda.segments.set(np.array([1, 2]), np.array([5, 5]))
    assert agenda.take(int(NOW_MS) + HALF_HOUR + GRACE).tolist() == [2, 0]
    assert agenda.take(int(NOW_MS) + HALF_HOUR + GRACE).tolist() == [1, 2]


def test_without_a_model_no_segment_is_looked_at_again() -> None:
    agenda = Agenda(timers(), RULES, 1_000.0)
    agenda.note(np.arange(2), rows(0, 0), NOW_MS)
    assert len(agenda.take(int(NOW_MS))) == 2
    agenda.plan(np.arange(2), rows(0, 0), None, NOW_MS, model=None, yardsticks=None)
    assert agenda.segments.times(np.arange(2)).tolist() == [NEVER, NEVER]


def test_who_is_in_no_segment_yet_is_looked_at_in_every_sweep(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    agenda = Agenda(timers(), RULES, 1_000.0)
    monkeypatch.setattr("models.features.of_rows", lambda said, _now: said[:, [COL.events]])
    agenda.plan(np.arange(1), rows(0), np.zeros((1, 1)), NOW_MS, model=model(), yardsticks=None)
    assert agenda.take(int(NOW_MS) + 999).tolist() == []
    assert agenda.take(int(NOW_MS) + 1_000).tolist() == [0]

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models import decay
from models.decay import CELL_MS, DAY_MS

TIMES = st.lists(st.integers(631_152_000_000, 2_000_000_000_000), min_size=1, max_size=30)
HALF_LIVES = st.sampled_from([1, 7, 30, 180])


def _sum(times: list[int], cell: float, half_life: int) -> float:
    days = decay.days_from_landmark(np.array(times), np.full(len(times), cell))
    return float(decay.weight(days, half_life).sum())


@settings(deadline=None)
@given(TIMES, HALF_LIVES, st.integers(0, 10_000))
def test_a_sum_reads_as_its_definition(times, half_life, later_days):
    last = max(times)
    now = last + later_days * DAY_MS
    cell = decay.cell(np.array([float(last)]))
    days = decay.days_from_landmark(np.array([now]), cell)
    read = _sum(times, float(cell[0]), half_life) * float(decay.faded(days, half_life)[0])
    defined = math.fsum(0.5 ** ((now - time) / (half_life * DAY_MS)) for time in times)
    assert math.isclose(read, defined, rel_tol=1e-9, abs_tol=1e-120)


@settings(deadline=None)
@given(TIMES, HALF_LIVES, st.integers(1, 3))
def test_moving_the_landmark_is_exact(times, half_life, cells):
    cell = float(decay.cell(np.array([float(max(times))]))[0])
    moved = decay.rebase(np.array([[_sum(times, cell, half_life)]]), np.array([float(cells)]), half_life)[0, 0]
    assert math.isclose(moved, _sum(times, cell + cells, half_life), rel_tol=1e-12, abs_tol=1e-290)
    assert moved == math.ldexp(_sum(times, cell, half_life), -cells * 1260 // half_life)


def test_no_event_of_any_year_makes_a_weight_that_is_not_finite():
    times = np.arange(631_152_000_000, 4_102_444_800_000, 9 * DAY_MS)
    for last in (times[0], times[len(times) // 2], times[-1]):
        cells = np.full(len(times), decay.cell(np.array([float(last)]))[0])
        own = times <= last
        for half_life in (1, 7, 30, 180):
            weights = decay.weight(decay.days_from_landmark(times, cells)[own], half_life)
            assert np.isfinite(weights).all()
            assert weights.max() > 0


def test_the_landmark_is_at_most_630_days_away():
    last = np.arange(0.0, 3.0 * CELL_MS, 7.3 * DAY_MS)
    assert np.abs(decay.days_from_landmark(last, decay.cell(last))).max() <= 630

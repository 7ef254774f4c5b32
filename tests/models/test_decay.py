from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models import decay
from models.decay import CELL_MS, DAY_MS

TIMES = st.lists(st.integers(631_152_000_000, 2_000_000_000_000), min_size=1, max_size=30)
HALF_LIVES = st.sampled_from([1, 7, 30, 180])


def _sum(times: list[int], cell: float, half_life: int) -> float:
    return math.fsum(decay.weight(decay.days_from_landmark(float(time), cell), half_life) for time in times)


@given(TIMES, HALF_LIVES, st.integers(0, 10_000))
def test_a_sum_reads_as_its_definition(times, half_life, later_days):
    last = max(times)
    now = last + later_days * DAY_MS
    cell = decay.cell(float(last))
    read = _sum(times, cell, half_life) * decay.faded(decay.days_from_landmark(float(now), cell), half_life)
    defined = math.fsum(0.5 ** ((now - time) / (half_life * DAY_MS)) for time in times)
    assert math.isclose(read, defined, rel_tol=1e-9, abs_tol=1e-120)


@given(TIMES, HALF_LIVES, st.integers(1, 3))
def test_moving_the_landmark_is_exact(times, half_life, cells):
    cell = decay.cell(float(max(times)))
    moved = decay.rebase(_sum(times, cell, half_life), float(cells), half_life)
    assert math.isclose(moved, _sum(times, cell + cells, half_life), rel_tol=1e-12, abs_tol=1e-290)
    assert moved == math.ldexp(_sum(times, cell, half_life), -cells * 1260 // half_life)


def test_no_event_of_any_year_makes_a_weight_that_is_not_finite():
    times = range(631_152_000_000, 4_102_444_800_000, 9 * DAY_MS)
    for last in (times[0], times[len(times) // 2], times[-1]):
        cell = decay.cell(float(last))
        days = [decay.days_from_landmark(float(time), cell) for time in times if time <= last]
        for half_life in (1, 7, 30, 180):
            weights = [decay.weight(each, half_life) for each in days]
            assert all(map(math.isfinite, weights))
            assert max(weights) > 0


def test_the_landmark_is_at_most_630_days_away():
    for last in np.arange(0.0, 3.0 * CELL_MS, 7.3 * DAY_MS).tolist():
        assert abs(decay.days_from_landmark(last, decay.cell(last))) <= 630

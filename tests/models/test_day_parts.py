"""Night and weekend by the shop's clock."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import day_parts
from models.day_parts import COUNTED_MAX, NIGHT, UTC, WEEKEND, parts
from stream.local_time import local_clock

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")
FIRST_MS, LAST_MS = 631_152_000_000, 2_000_000_000_000


@pytest.mark.parametrize("zone", ZONES)
def test_every_hour_of_the_year_is_what_a_calendar_says(zone: str) -> None:
    times = np.random.default_rng(1).integers(FIRST_MS, LAST_MS, 5_000)
    for time_ms, part in zip(times.tolist(), parts(times, local_clock(zone)).tolist(), strict=True):
        local = datetime.fromtimestamp(time_ms // 1000, ZoneInfo(zone))
        assert bool(part & NIGHT) == (not 6 <= local.hour < 22)
        assert bool(part & WEEKEND) == (local.isoweekday() >= 6)


@pytest.mark.parametrize("zone", ZONES)
def test_a_clock_changes_in_the_very_minute(zone: str) -> None:
    clock = local_clock(zone)
    assert (np.diff(clock.since_ms) > 0).all()
    for since, offset in zip(clock.since_ms[1:20].tolist(), clock.offset_ms[1:20].tolist(), strict=True):
        at, before = (datetime.fromtimestamp(second, ZoneInfo(zone)) for second in (since // 1000, since // 1000 - 1))
        assert at.utcoffset().total_seconds() * 1000 == offset
        assert before.utcoffset() != at.utcoffset()


@given(st.lists(st.integers(FIRST_MS, LAST_MS), max_size=20))
def test_an_event_is_read_the_same_among_any_others(times: list[int]) -> None:
    clock = local_clock("Europe/Berlin")
    alone = [parts(np.array([time_ms]), clock)[0] for time_ms in times]
    assert parts(np.array(times, np.int64), clock).tolist() == alone


@given(st.integers(0, COUNTED_MAX - 1), st.integers(0, COUNTED_MAX - 1))
def test_both_counts_fit_one_exact_number(nights: int, weekends: int) -> None:
    packed = nights * day_parts.counted(NIGHT) + weekends * day_parts.counted(WEEKEND)
    assert (day_parts.nights(packed), day_parts.weekends(packed)) == (nights, weekends)


def test_customers_whose_hours_nobody_wrote_down_have_usual_ones() -> None:
    packed = day_parts.usual(np.array([0.0, 21.0, 1e300]))
    assert [day_parts.nights(each) for each in packed.tolist()][:2] == [0, 7]
    assert [day_parts.weekends(each) for each in packed.tolist()][:2] == [0, 6]
    assert day_parts.nights(packed[2]) < COUNTED_MAX
    assert parts(np.zeros(0, np.int64), UTC).tolist() == []

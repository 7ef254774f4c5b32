from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import Refusal
from schemas.timestamps import from_micros, from_text

ZONES = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=ZONES))  # noqa: DTZ001 (hypothesis adds the zones)
def test_text_says_what_datetime_says(moment) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert from_text(moment.isoformat()) == (moment - epoch) // timedelta(milliseconds=1)


@given(
    st.one_of(st.text(), st.from_regex(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", fullmatch=True))
)
def test_any_text_is_a_time_or_a_refusal(text) -> None:
    assert isinstance(from_text(text), int | Refusal)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2025-10-09T08:53:20Z", 1_760_000_000_000),
        ("2025-10-09t08:53:20z", 1_760_000_000_000),
        ("2025-10-09 08:53:20.1239999-00:00", 1_760_000_000_123),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
    ],
)
def test_what_rfc_3339_allows_is_read(text, said) -> None:
    assert from_text(text) == said


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("2025-10-09T08:53:20", "time_without_zone"),
        ("2025-10-09", "invalid_time"),
        ("2025-10-09T08:53Z", "invalid_time"),
        ("20251009T085320Z", "invalid_time"),
        ("2025-02-29T00:00:00Z", "invalid_time"),
        ("2025-10-09T24:00:00Z", "invalid_time"),
        ("2025-10-09T08:53:61Z", "invalid_time"),
        ("2025-10-09T08:53:20+24:00", "invalid_time"),
        ("0000-10-09T08:53:20Z", "invalid_time"),
        ("٢٠٢٥-10-09T08:53:20Z", "invalid_time"),
        ("1760000000000", "invalid_time"),
        (1_760_000_000_000, "invalid_time"),
        (True, "invalid_time"),
    ],
)
def test_nothing_else_is_guessed(value, reason) -> None:
    assert from_text(value).reason == reason


@pytest.mark.parametrize("value", [True, 1.5e15, "1760000000000000", [1]])
def test_microseconds_are_integers(value) -> None:
    assert from_micros(value).reason == "invalid_time"

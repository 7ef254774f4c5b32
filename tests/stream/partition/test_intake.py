"""Positions count each record once, and a stream that cannot be decoded stops the worker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import TooManyDeadLetters
from stream.partition.intake import StopLimit, count_positions
from stream.partition.meta import TopicPosition
from tests.stream.partition.kit import arrived


def test_positions_move_to_the_next_offset_of_each_topic() -> None:
    positions: dict[str, TopicPosition] = {}
    count_positions(positions, [arrived(0, range(5)), arrived(1, [3, 4]), arrived(0, [5, 9])])
    assert (positions["clickstream"].next, positions["clickstream"].read) == (10, 7)
    assert (positions["purchases"].next, positions["purchases"].read) == (5, 2)


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 39), st.integers(1, 40)), max_size=8))
def test_however_often_records_are_read_again_each_counts_once(size: int, replays: list[tuple[int, int]]) -> None:
    positions: dict[str, TopicPosition] = {}
    end = 0
    for start, count in [*replays, (0, size)]:
        # A consumer never skips: it starts at or before the next offset.
        first = min(start, end)
        offsets = range(first, min(first + count, size))
        if offsets:
            count_positions(positions, [arrived(0, offsets)])
            end = max(end, offsets[-1] + 1)
    count_positions(positions, [arrived(0, range(size))])
    assert (positions["clickstream"].next, positions["clickstream"].read) == (size, size)


def test_a_full_window_of_mostly_undecodable_records_stops_the_worker_with_an_action() -> None:
    limit = StopLimit(partition=2, window=100, ratio=0.5)
    limit.observe(90, 90)
    with pytest.raises(TooManyDeadLetters, match=r"partition 2: 95 of the last 100 .*dead-letters"):
        limit.observe(10, 5)


def test_a_window_that_is_not_full_never_stops_the_worker() -> None:
    limit = StopLimit(partition=0, window=100, ratio=0.1)
    for _ in range(9):
        limit.observe(11, 11)


def test_bad_records_of_long_ago_do_not_count() -> None:
    limit = StopLimit(partition=0, window=100, ratio=0.5)
    limit.observe(99, 99)
    with pytest.raises(TooManyDeadLetters):
        limit.observe(1, 0)
    limit = StopLimit(partition=0, window=100, ratio=0.5)
    limit.observe(60, 30)
    for _ in range(100):
        limit.observe(10, 0)
    limit.observe(60, 50)

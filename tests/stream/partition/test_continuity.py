"""Logs that no longer belong together are refused; those that do are not."""

from __future__ import annotations

import pytest

from stream.errors import BrokenChangelog, SourceLost
from stream.partition.continuity import check_committed, check_reach


def test_a_source_that_ends_where_it_was_read_to_or_later_is_the_same() -> None:
    check_reach("clickstream", 2, read=7, end=7)
    check_reach("clickstream", 2, read=7, end=9)


def test_a_source_that_ends_before_what_was_read_is_another() -> None:
    with pytest.raises(SourceLost, match="clickstream ends at offset 6, but was read up to 7"):
        check_reach("clickstream", 2, read=7, end=6)


def test_a_changelog_counts_at_least_what_is_committed() -> None:
    check_committed("purchases", 1, committed=0, counted=0)
    check_committed("purchases", 1, committed=5, counted=8)
    with pytest.raises(BrokenChangelog, match="does not reach offset 9 of purchases"):
        check_committed("purchases", 1, committed=9, counted=8)

"""The watcher notices what a reader of Redis must never see, and does not mistake a wipe for it."""

from __future__ import annotations

import pytest

from tests.proof.watch import Watcher


def record(rev: int, ver: int, name: str = "a") -> dict[str, str]:
    return {"rev": str(rev), "ver": str(ver), "name": name}


def watched(*looks: tuple[str | None, dict[str, str]]) -> Watcher:
    watcher = Watcher(partitions=1)
    watcher.watch("c1")
    for boot, fields in looks:
        watcher.look([boot], [fields])
    return watcher


def test_what_only_rises_is_no_regression() -> None:
    report = watched(("b", {}), ("b", record(1, 1)), ("b", record(2, 1, "b")), ("b", record(9, 4, "c"))).report
    assert (report.regressions, report.across_wipes, report.moves, report.wipes) == (0, 0, 2, 0)


@pytest.mark.parametrize(
    "later",
    [record(1, 2), record(2, 1), record(2, 2, "another content"), {}],
    ids=["rev falls", "ver falls", "two contents", "gone"],
)
def test_a_fall_under_one_boot_id_is_a_regression(later: dict[str, str]) -> None:
    report = watched(("b", record(2, 2)), ("b", later)).report
    assert (report.regressions, report.across_wipes) == (1, 0)
    assert report.findings[0].startswith("c1 under one boot id")


def test_a_wiped_record_that_comes_back_as_it_was_is_no_regression() -> None:
    report = watched(("b", record(2, 2)), (None, {}), ("c", {}), ("c", record(2, 2))).report
    assert (report.regressions, report.across_wipes, report.wipes) == (0, 0, 1)


def test_a_fall_across_a_wipe_is_counted_apart() -> None:
    report = watched(("b", record(2, 2)), (None, {}), ("c", record(1, 1))).report
    assert (report.regressions, report.across_wipes) == (0, 1)

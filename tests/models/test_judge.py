"""Whose record changes, and what its row then says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.assign import Model
from models.columns import COL, EMPTY_ROW
from models.judge import NAME_BITS, NO_SEGMENT, REASONS, Judged, Naming, Rules, judge
from models.standing import Yardsticks
from schemas.snapshot import ModelSnapshot, Segment

NOW_MS = 1_700_000_000_000.0
SEEN_MS = NOW_MS - 5_000
NEAR, FAR = 4, 9


def model() -> Model:
    segments = [
        Segment(id=identity, name=name, words=[], share=0.5, size_sampled=1, centroid=[at], weight=1.0)
        for identity, name, at in ((NEAR, "near", 0.0), (FAR, "far", 3.0))
    ]
    snapshot = ModelSnapshot(
        format_version=1,
        version=7,
        created_at=0,
        k=2,
        features=["orders_hl180d"],
        mean=[0.0],
        scale=[1.0],
        clip=10.0,
        centroids=segments,
        next_id=10,
        lineage={"4": "near", "9": "far"},
        learnt=100,
        seed=1,
        halflife=1.0,
    )
    return Model.from_snapshot(snapshot, ("orders_hl180d",))


def rows(count: int) -> NDArray[np.float64]:
    said = np.tile(EMPTY_ROW, (count, 1))
    said[:, COL.last_seen] = SEEN_MS
    return said


def run(
    said: NDArray[np.float64],
    at: list[float] | None,
    *,
    carts: list[float] | None = None,
    seq: int = 10,
    reason: str = "behaviour",
    rules: Rules | None = None,
    yardsticks: Yardsticks | None = None,
) -> Judged:
    """Judge customers whose one transformed feature lies `at`."""
    return judge(
        said,
        None if at is None else np.expm1(np.array(at))[:, None],
        np.zeros(len(said)) if carts is None else np.array(carts),
        model=None if at is None else model(),
        yardsticks=yardsticks,
        naming=Naming({NEAR: 1, FAR: 2}),
        rules=rules or Rules(margin=0.0, dwell_ms=0.0),
        reason=REASONS.index(reason),
        seq=seq,
        epoch=33,
        now_ms=NOW_MS,
    )


def test_new_customers_are_published_without_a_model_and_move_nowhere() -> None:
    said = rows(2)
    judged = run(said, None)
    assert judged.published.tolist() == [0, 1]
    assert judged.moved.tolist() == []
    assert said[:, COL.segment].tolist() == [NO_SEGMENT, NO_SEGMENT]
    assert said[:, COL.rev].tolist() == [1, 1]
    assert said[:, COL.ver].tolist() == [0, 0]
    assert said[:, COL.record_seq].tolist() == [11, 12]
    assert judged.seq == 12


def test_a_first_segment_is_a_change_from_none_in_order_of_the_group() -> None:
    said = rows(2)
    judged = run(said, [0.1, 2.9])
    assert judged.moved.tolist() == [0, 1]
    assert said[:, COL.segment].tolist() == [NEAR, FAR]
    assert said[:, COL.previous].tolist() == [NO_SEGMENT, NO_SEGMENT]
    assert said[:, COL.ver].tolist() == [1, 1]
    assert said[:, COL.change_seq].tolist() == [11, 12]
    assert said[:, COL.change_epoch].tolist() == [33, 33]
    assert said[:, COL.change_model].tolist() == [7, 7]
    assert said[:, COL.names].tolist() == [1.0, 2.0]


def test_what_does_not_change_is_not_published_and_keeps_its_row() -> None:
    said = rows(2)
    run(said, [0.1, 2.9])
    before = said.copy()
    judged = run(said, [0.2, 2.8], seq=12)
    assert len(judged.published) == len(judged.moved) == 0
    assert judged.seq == 12
    np.testing.assert_array_equal(said, before)


def test_a_move_raises_both_counters_and_remembers_where_it_came_from() -> None:
    said = rows(3)
    run(said, [0.1, 0.1, 2.9])
    judged = run(said, [0.1, 2.9, 2.9], seq=13)
    assert judged.published.tolist() == judged.moved.tolist() == [1]
    assert said[1, [COL.previous, COL.segment, COL.ver, COL.rev]].tolist() == [NEAR, FAR, 2, 2]
    assert said[1, COL.names] == (1 << NAME_BITS) | 2
    assert said[1, COL.change_seq] == said[1, COL.record_seq] == judged.seq == 14


def test_a_cart_that_opens_is_published_without_a_change() -> None:
    said = rows(1)
    run(said, [0.1])
    change = said[0, [COL.ver, COL.change_seq, COL.since]].copy()
    judged = run(said, [0.1], carts=[1.0], seq=11)
    assert judged.published.tolist() == [0]
    assert judged.moved.tolist() == []
    assert said[0, COL.cart_state] == 1
    assert said[0, [COL.rev, COL.record_seq]].tolist() == [2, 12]
    assert said[0, [COL.ver, COL.change_seq, COL.since]].tolist() == change.tolist()


def test_a_customer_whose_standing_changes_is_published_without_a_change() -> None:
    said = rows(2)
    run(said, None)
    said[1, [COL.orders, COL.first_order_at, COL.last_order_at]] = 1, SEEN_MS, SEEN_MS
    edges = np.zeros(4)
    measured = Yardsticks(edges, edges, edges, 60_000.0)
    found = run(said, None, yardsticks=measured)
    assert (found.published.tolist(), found.moved.tolist()) == ([0, 1], [])
    # The stage of both, and two scores of 5 and no money.
    assert said[:, COL.standing].tolist() == [1_000 * (said[0, COL.standing] // 1_000), 1_551]
    assert len(run(said, None, yardsticks=measured).published) == 0
    # Without what they are measured by, they keep what was published.
    assert len(run(said, None).published) == 0
    assert said[1, COL.standing] == 1_551


@pytest.mark.parametrize(("reason", "since"), [("behaviour", SEEN_MS), ("model", NOW_MS), ("time", NOW_MS)])
def test_a_segment_stands_since_the_event_or_since_the_model_that_moved_it(reason: str, since: float) -> None:
    said = rows(1)
    run(said, [0.1], reason=reason)
    assert said[0, COL.since] == since
    assert REASONS[int(said[0, COL.change_reason])] == reason


def test_the_margin_keeps_a_customer_that_is_hardly_nearer_to_another_segment() -> None:
    said = rows(1)
    run(said, [0.1])
    assert len(run(said, [1.55], rules=Rules(margin=0.2, dwell_ms=0.0)).moved) == 0
    assert len(run(said, [2.9], rules=Rules(margin=0.2, dwell_ms=0.0)).moved) == 1


def test_the_dwell_time_keeps_a_customer_that_has_just_moved() -> None:
    said = rows(1)
    run(said, [0.1])
    assert len(run(said, [2.9], rules=Rules(margin=0.0, dwell_ms=60_000.0)).moved) == 0
    assert len(run(said, [2.9], rules=Rules(margin=0.0, dwell_ms=4_000.0)).moved) == 1


def test_a_segment_without_a_name_has_the_empty_one() -> None:
    packed = Naming({NEAR: 3}).pack(np.array([NO_SEGMENT, NEAR]), np.array([NEAR, FAR]))
    assert packed.tolist() == [3, 3 << NAME_BITS]

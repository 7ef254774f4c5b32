"""RFM scores against the batch definition, and the stages of a life as a buyer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.columns import COL, EMPTY_ROW
from models.standing import Yardsticks, profiles, spelled, standings
from schemas.standing import RFM_GROUPS, CustomerBase, rfm_group

DAY_MS = 86_400_000
NOW_MS = 20_000.0 * DAY_MS
GAP_DAYS = 10


def customer(
    orders: float, *, first_days: float = 0, last_days: float = 0, seen_days: float | None = None, money: float = 0
) -> NDArray[np.float64]:
    """A customer whose orders and events lie so many days back."""
    row = EMPTY_ROW.copy()
    row[COL.orders], row[COL.spend_minor] = orders, money
    row[COL.first_seen] = NOW_MS - first_days * DAY_MS
    row[COL.last_seen] = NOW_MS - (last_days if seen_days is None else seen_days) * DAY_MS
    if orders:
        row[COL.first_order_at], row[COL.last_order_at] = NOW_MS - first_days * DAY_MS, NOW_MS - last_days * DAY_MS
    return row


def yardsticks(gap_days: float = GAP_DAYS) -> Yardsticks:
    recency = NOW_MS - np.array([40.0, 30.0, 20.0, 10.0]) * DAY_MS
    return Yardsticks(recency, np.array([1.0, 1.0, 2.0, 4.0]), np.array([100.0, 200, 300, 400]), gap_days * DAY_MS)


def said(row: NDArray[np.float64], now_ms: float = NOW_MS, gap_days: float = GAP_DAYS) -> tuple[str | None, str | None]:
    return spelled(int(standings(row[None, :], yardsticks(gap_days), now_ms)[0]))


def test_a_score_counts_the_edges_below_a_value() -> None:
    assert said(customer(5, first_days=90, last_days=5, money=401))[1] == "555"
    assert said(customer(1, first_days=50, last_days=50, money=100))[1] == "111"
    assert said(customer(2, first_days=90, last_days=10, money=250))[1] == "433"


def test_money_given_back_is_not_spent() -> None:
    row = customer(1, money=500)
    row[COL.refunds_minor] = 450
    assert said(row)[1] == "511"
    row[COL.refunds_minor] = 900
    assert said(row)[1] == "511"
    assert profiles(row[None, :])[0].tolist() == [NOW_MS, NOW_MS, 1, 0, NOW_MS]


def test_who_never_ordered_has_no_scores() -> None:
    assert said(customer(0, first_days=3))[1] is None


@pytest.mark.parametrize(
    ("row", "stage"),
    [
        (customer(1, first_days=19, last_days=19), "new"),
        (customer(1, first_days=21, last_days=21), "at_risk"),
        (customer(1, first_days=41, last_days=41), "lapsed"),
        (customer(2, first_days=30, last_days=10), "active"),
        (customer(5, first_days=90, last_days=5), "loyal"),
        # Their own rhythm is (20 + 10) / 2 = 15 days, and (2 + 10) / 4 = 3 days.
        (customer(2, first_days=49, last_days=29), "active"),
        (customer(4, first_days=9, last_days=7), "at_risk"),
        (customer(4, first_days=15, last_days=13), "lapsed"),
        (customer(0, first_days=19, seen_days=19), "new"),
        (customer(0, first_days=90, seen_days=19), "active"),
        (customer(0, first_days=90, seen_days=21), "at_risk"),
        (customer(0, first_days=90, seen_days=41), "lapsed"),
    ],
)
def test_the_stage_goes_by_gaps_between_orders_not_by_days(row: NDArray[np.float64], stage: str) -> None:
    assert said(row)[0] == stage


def test_without_a_base_rhythm_nobody_has_a_stage() -> None:
    assert said(customer(1, last_days=500), gap_days=0) == (None, "111")


def test_time_alone_ages_a_customer_and_never_makes_one_younger() -> None:
    row = customer(5, first_days=90, last_days=5)
    stages = [said(row, NOW_MS + days * DAY_MS)[0] for days in range(0, 200, 5)]
    assert list(dict.fromkeys(stages)) == ["loyal", "at_risk", "lapsed"]
    # A clock behind the customer's own events changes nothing.
    assert said(row, NOW_MS - 50 * DAY_MS) == said(row, NOW_MS - 5 * DAY_MS)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 300), st.integers(0, 900)), min_size=5, max_size=60))
def test_scores_are_those_of_a_batch_computation(buyers: list[tuple[int, int, int]]) -> None:
    rows = np.array([customer(n, first_days=days, last_days=days, money=money) for n, days, money in buyers])
    values = (rows[:, COL.last_order_at], rows[:, COL.orders], rows[:, COL.spend_minor])
    edges = [np.quantile(value, [0.2, 0.4, 0.6, 0.8]) for value in values]
    found = standings(rows, Yardsticks(*edges, 0.0), NOW_MS)
    batch = [
        int(
            "".join(
                str(1 + sum(value[at] > edge for edge in edge_of)) for value, edge_of in zip(values, edges, strict=True)
            )
        )
        for at in range(len(rows))
    ]
    assert found.tolist() == batch


def test_every_pair_of_scores_has_a_name_and_the_best_are_champions() -> None:
    assert len(RFM_GROUPS) == 25
    assert [
        rfm_group(rfm) for rfm in ("555", "545", "445", "535", "512", "333", "322", "245", "255", "222", "111")
    ] == [
        "Champions",
        "Champions",
        "Loyal",
        "Potential Loyalist",
        "New Customers",
        "Need Attention",
        "About To Sleep",
        "At Risk",
        "Can't Lose Them",
        "Hibernating",
        "Lost",
    ]


def test_yardsticks_of_no_base_are_none() -> None:
    assert Yardsticks.of(None) is None
    base = CustomerBase(buyers=9, last_order_at=[1.0, 2, 3, 4], orders=[1.0] * 4, money_minor=[0.0] * 4, gap_ms=5.0)
    found = Yardsticks.of(base)
    assert found is not None
    assert (found.gap_ms, found.last_order_at.tolist()) == (5.0, [1, 2, 3, 4])

"""Predictions: labels that come late, exact scores, exported weights that say what River says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.chances import NAMES, STEPS, Heads, probabilities, unpacked
from models.learner.heads import DAY_MS, LABELS_MIN, QUESTIONS, LearnedHead
from models.learner.panel import PANEL_MAX, Panel, Question, Sightings
from models.learner.regression import chances
from models.learner.trust import auc, log_loss, measure, reliability
from schemas.head import Head

WEEK = 7 * DAY_MS
BUYS, STAYS_AWAY = Question("purchase_7d", WEEK, absence=False), Question("churn_30d", 30 * DAY_MS, absence=True)
VECTOR = np.zeros(2)
FEATURES = ("a", "b")


def profile(*, last_order: float = 0, orders: float = 0, last_seen: float = 0) -> np.ndarray:
    return np.array([0.0, last_order, orders, 0.0, last_seen])


def came(question: Question, *sightings: tuple[float, np.ndarray]) -> list[bool | None]:
    """What each sighting, (days, profile), tells of the look before."""
    panel = Panel(question)
    found = [panel.see(1, int(days * DAY_MS), VECTOR, said, 0.5) for days, said in sightings]
    return [None if outcome is None else outcome.came for outcome in found]


def test_an_order_within_the_horizon_counts_once_the_horizon_is_over() -> None:
    bought = profile(last_order=3 * DAY_MS, orders=1)
    assert came(BUYS, (0, profile()), (4, bought), (6.9, bought), (7.5, bought)) == [None, None, None, True]


def test_without_an_order_the_outcome_is_no() -> None:
    assert came(BUYS, (0, profile()), (8, profile())) == [None, False]


def test_an_order_after_the_horizon_is_none_within_it() -> None:
    assert came(BUYS, (0, profile()), (6, profile()), (9, profile(last_order=8 * DAY_MS, orders=1)))[-1] is False


def test_of_several_orders_that_nobody_saw_come_the_outcome_is_left_out() -> None:
    assert came(BUYS, (0, profile()), (9, profile(last_order=8 * DAY_MS, orders=2))) == [None, None]


def test_a_busy_customer_counts_no_more_often_than_a_quiet_one() -> None:
    panel = Panel(BUYS)
    outcomes = [
        panel.see(1, day * DAY_MS, VECTOR, profile(last_order=day * DAY_MS, orders=day), 0.5) for day in range(22)
    ]
    assert [day for day, outcome in enumerate(outcomes) if outcome is not None] == [7, 14, 21]
    assert all(outcome.came for outcome in outcomes if outcome is not None)


def test_who_shows_up_has_not_churned() -> None:
    seen = profile(last_seen=5 * DAY_MS)
    assert came(STAYS_AWAY, (0, profile()), (10, seen), (31, seen)) == [None, None, False]
    assert came(STAYS_AWAY, (0, profile()), (31, profile())) == [None, True]


def test_the_panel_is_bounded_and_keeps_its_members_as_the_base_grows() -> None:
    panel = Panel(BUYS)
    keys = np.random.default_rng(1).integers(0, 2**53, 60_000).astype(np.uint64)
    small = panel.members(keys, PANEL_MAX)
    assert small.all()
    for key in keys.tolist():
        panel.see(key, 0, VECTOR, profile(), 0.5)
    large = panel.members(keys, 60_000)
    assert large.sum() == len(panel)
    assert len(panel) <= PANEL_MAX


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_the_area_under_the_curve_is_that_of_all_pairs(scored: list[tuple[int, bool]]) -> None:
    predicted = np.array([score / 5 for score, _ in scored])
    outcome = np.array([hit for _, hit in scored])
    if outcome.all() or not outcome.any():
        assert measure(predicted, outcome) is None
        return
    pairs = [(a > b) + (a == b) / 2 for a in predicted[outcome] for b in predicted[~outcome]]
    assert auc(predicted, outcome) == pytest.approx(np.mean(pairs))


def test_rare_outcomes_do_not_spoil_the_area() -> None:
    rng = np.random.default_rng(3)
    chance = rng.beta(0.5, 20, 50_000)
    outcome = rng.random(50_000) < chance
    found = measure(chance, outcome)
    assert found is not None
    # Ten thresholds between 0 and 1 see next to nothing of it.
    assert found.auc > 0.75
    assert found.calibration_error < 0.003
    assert found.log_loss < found.log_loss_of_rate
    assert measure(np.minimum(chance + 0.1, 1), outcome).calibration_error == pytest.approx(0.1, abs=0.01)


def test_a_reliability_curve_has_bins_of_about_equal_counts() -> None:
    predicted = np.arange(1000) / 1000
    bins = reliability(predicted, predicted > 0.5)
    assert [one.count for one in bins] == [100] * 10
    assert [one.observed for one in bins][:5] == [0] * 5
    assert reliability(np.full(9, 0.5), np.arange(9) < 3)[0].observed == pytest.approx(1 / 3)
    assert log_loss(np.array([0.5, 0.5]), np.array([True, False])) == pytest.approx(np.log(2))


def taught(weeks: int = 12, customers: int = 400, seed: int = 1) -> LearnedHead:
    """A head that saw customers who buy in a week the more likely the greater their first feature."""
    rng = np.random.default_rng(seed)
    head = LearnedHead(BUYS, FEATURES, seed=7)
    keys = rng.integers(0, 2**53, customers).astype(np.uint64)
    profiles = np.zeros((customers, 5))
    for week in range(weeks):
        vectors = rng.gamma(1.0, 2.0, (customers, 2))
        head.see(Sightings(keys, vectors, profiles.copy()), week * WEEK, customers)
        buys = rng.random(customers) < 1 / (1 + np.exp(3.0 - 2.0 * np.log1p(vectors[:, 0])))
        profiles[buys, 1], profiles[buys, 2] = week * WEEK + DAY_MS, profiles[buys, 2] + 1
    return head


def test_a_head_learns_who_buys_and_knows_how_good_it_is() -> None:
    head = taught(40)
    trust = head.trust()
    assert trust is not None
    assert trust.auc > 0.65
    assert trust.calibration_error < 0.05
    assert trust.log_loss < trust.log_loss_of_rate


def test_nothing_is_predicted_before_enough_outcomes() -> None:
    head = taught(2)
    assert head.labels == 0
    assert head.export() is None
    assert taught(3).labels >= LABELS_MIN


def test_the_exported_weights_say_what_the_regressions_say() -> None:
    head = taught()
    exported = head.export()
    assert exported is not None
    logs = np.log1p(np.random.default_rng(2).gamma(1.0, 2.0, (50, 2)))
    scaled = (logs - np.array(exported.mean)) / np.sqrt(exported.variance)
    theirs = chances(head._bag.weights, np.c_[scaled, np.ones(50)]).mean(axis=0)
    assert probabilities(np.array(exported.members), logs) == pytest.approx(theirs, abs=1e-9)


def test_a_restored_head_predicts_the_same_and_goes_on_learning() -> None:
    head = taught()
    exported = Head.model_validate_json(head.export().model_dump_json())
    again = LearnedHead.restore(BUYS, FEATURES, 7, exported)
    assert again.weights() == pytest.approx(head.weights(), abs=1e-9)
    assert (again.labels, again.positives, again.ready) == (head.labels, head.positives, True)
    again._bag.learn(np.ones((50, 2)), np.ones(50, np.bool_))
    assert 0.0 < np.abs(again.weights() - head.weights()).max() < 0.5
    assert LearnedHead.restore(BUYS, ("other",), 7, exported).labels == 0


def test_a_head_that_met_only_one_value_of_a_feature_is_restored_whole() -> None:
    head = Head(name="purchase_7d", labels=9, positives=9, mean=[1.0, 2.0], variance=[1.0, 0.0], members=[[1, 0, -1.0]])
    again = LearnedHead.restore(BUYS, FEATURES, 7, head)
    assert np.isfinite(again.weights()).all()
    again._bag.learn(np.ones((50, 2)), np.ones(50, np.bool_))
    assert np.isfinite(again.weights()).all()


def test_packed_chances_survive_to_a_thousandth() -> None:
    head = Head(
        name="churn_30d", labels=1, positives=1, mean=[0.0, 0], variance=[1.0, 1], members=[[1.0, 0, -1], [1.0, 0, -1]]
    )
    heads = Heads.of([head])
    vectors = np.expm1(np.array([[1.0, 0.0], [0.0, 0.0], [-5.0, 0.0]]))
    for number in heads.packed(vectors).tolist():
        purchase, churn = unpacked(int(number))
        assert purchase is None
        assert churn == pytest.approx(0.5 if churn > 0.4 else 1 / (1 + np.e), abs=0.5 / STEPS)
    assert unpacked(int(Heads.of([]).packed(vectors)[0])) == [None, None]
    assert [question.name for question in QUESTIONS] == list(NAMES)


def test_no_feature_can_break_a_chance() -> None:
    weights = np.array([[1e3, -1e3, 5.0]])
    found = probabilities(weights, np.log1p(np.array([[1e300, 0.0], [0.0, 1e300]])))
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()

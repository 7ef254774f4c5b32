"""Regressions learnt block by block, beside a fit to everything at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.learner.regression import MEMBERS, Bag, chances
from models.learner.trust import auc, measure
from models.transform import Floats

BLOCK = 256
TRUTH = np.array([1.5, -0.7, 0.0, -3.0])
"""Three slopes, and an intercept that makes outcomes rare."""


def drawn(count: int, seed: int, truth: Floats = TRUTH) -> tuple[Floats, np.ndarray]:
    rng = np.random.default_rng(seed)
    scaled = rng.normal(size=(count, 3))
    # Two features that nearly say the same, as recencies do.
    scaled[:, 2] = scaled[:, 0] + 0.1 * rng.normal(size=count)
    return scaled, rng.random(count) < 1 / (1 + np.exp(-(np.c_[scaled, np.ones(count)] @ truth)))


def taught(bag: Bag, scaled: Floats, came: np.ndarray) -> Bag:
    for start in range(0, len(came), BLOCK):
        bag.learn(scaled[start : start + BLOCK], came[start : start + BLOCK])
    return bag


def said(bag: Bag, scaled: Floats) -> Floats:
    found: Floats = chances(bag.weights, np.c_[scaled, np.ones(len(scaled))]).mean(axis=0)
    return found


def test_one_pass_is_nearly_as_good_as_the_truth_and_calibrated() -> None:
    bag = taught(Bag(3, 1), *drawn(20_000, 1))
    scaled, came = drawn(20_000, 2)
    best = 1 / (1 + np.exp(-(np.c_[scaled, np.ones(len(scaled))] @ TRUTH)))
    assert auc(said(bag, scaled), came) > auc(best, came) - 0.002
    found = measure(said(bag, scaled), came)
    assert found is not None
    assert found.calibration_error < 0.01
    assert bag.changes == 0


def test_when_the_world_turns_round_the_bag_notices_and_follows() -> None:
    bag = taught(Bag(3, 1), *drawn(20_000, 1))
    firm = taught(Bag(3, 1), *drawn(20_000, 1))
    firm._watch = lambda *_: None
    scaled, came = drawn(4_000, 3, -TRUTH)
    for each in (bag, firm):
        taught(each, scaled, came)
    assert bag.changes >= 1
    later, outcome = drawn(10_000, 4, -TRUTH)
    assert auc(said(bag, later), outcome) > auc(said(firm, later), outcome)


def test_equal_seeds_give_equal_weights_and_members_differ() -> None:
    one, two = (taught(Bag(3, 5), *drawn(2_000, 1)) for _ in range(2))
    assert np.array_equal(one.weights, two.weights)
    assert len({tuple(member) for member in one.weights.round(12).tolist()}) == MEMBERS


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans()), min_size=1, max_size=40))
def test_no_outcomes_make_weights_that_are_no_numbers(outcomes: list[tuple[float, bool]]) -> None:
    bag = Bag(1, 1)
    scaled, came = np.array([[value] for value, _ in outcomes]), np.array([hit for _, hit in outcomes])
    for _ in range(5):
        bag.learn(scaled, came)
    assert np.isfinite(bag.weights).all()

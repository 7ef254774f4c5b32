"""Why a customer is where they are: parts of a distance that add up to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.assign import NO_SEGMENT, Model
from models.explain import explain
from models.why import MOST, moved_by, pack, pulls, runner_up, unpack
from schemas.snapshot import ModelSnapshot, Segment

FEATURES = ("orders_hl30d", "views_hl7d", "days_since_seen", "spend_hl180d")
CENTROIDS = {3: [0.0, 0.0, 0.0, 0.0], 5: [2.0, 0.0, 1.0, 0.0], 9: [0.0, 3.0, 0.0, 0.0]}


def model(centroids: dict[int, list[float]] | None = None) -> Model:
    wanted = CENTROIDS if centroids is None else centroids
    width = len(next(iter(wanted.values())))
    snapshot = ModelSnapshot(
        format_version=2,
        version=1,
        created_at=0,
        k=len(wanted),
        features=list(FEATURES[:width]),
        mean=[0.0] * width,
        scale=[1.0] * width,
        clip=10.0,
        centroids=[
            Segment(
                id=number, name=f"s{number}", words=[], share=1 / len(wanted), size_sampled=1, centroid=at, weight=1.0
            )
            for number, at in wanted.items()
        ],
        next_id=10,
        lineage={str(number): f"s{number}" for number in wanted},
        learnt=1,
        seed=1,
        halflife=0.1,
    )
    return Model.from_snapshot(snapshot, FEATURES[:width])


def raw(*scaled: float) -> np.ndarray:
    return np.expm1(np.array([scaled]))


@given(st.lists(st.floats(0, 9), min_size=4, max_size=4), st.integers(0, 2), st.integers(0, 2))
def test_the_pulls_add_up_to_the_difference_of_the_squared_distances(at, here, there):
    found = pulls(model(), raw(*at), np.array([here]), np.array([there]))[0]
    squared = ((model().transform.apply(raw(*at)) - model().centroids) ** 2).sum(axis=1)
    assert found.sum() == pytest.approx(squared[there] - squared[here], abs=1e-9)


def test_the_runner_up_is_the_nearest_other_segment():
    vectors = np.concatenate([raw(0.1, 0, 0, 0), raw(0.1, 2.9, 0, 0), raw(1.9, 0, 1, 0)])
    assert runner_up(model(), vectors, np.array([0, 2, 1])).tolist() == [1, 0, 0]


def test_a_move_names_the_features_that_pull_most_strongest_first():
    found = moved_by(model(), raw(2.0, 0.0, 1.0, 7.0), np.array([3]), np.array([5]))
    assert found.tolist() == [[0, 2, -1]]


def test_a_first_segment_and_one_that_is_gone_are_compared_with_the_runner_up():
    vectors = np.repeat(raw(0.0, 3.0, 0.0, 0.0), 2, axis=0)
    found = moved_by(model(), vectors, np.array([NO_SEGMENT, 7]), np.array([9, 9]))
    assert found.tolist() == [[1, -1, -1], [1, -1, -1]]


def test_a_model_of_two_features_names_two():
    small = model({0: [0.0, 0.0], 1: [1.0, 1.0]})
    found = moved_by(small, raw(1.0, 1.0), np.array([0]), np.array([1]))
    assert found.shape == (1, MOST)
    assert sorted(found[0].tolist()) == [-1, 0, 1]


@given(st.lists(st.integers(0, 65_535), min_size=MOST, max_size=MOST))
def test_packed_numbers_survive_a_float(numbers):
    packed = pack(np.array([numbers]))
    assert unpack(int(packed[0])) == [number for number in numbers if number]


def test_an_explanation_adds_up_and_begins_with_the_strongest():
    found = explain(model(), raw(1.5, 0.0, 1.0, 0.0)[0], 5)
    assert (found.segment, found.runner_up) == (5, 3)
    assert sum(each.pull for each in found.contributions) == pytest.approx(
        found.there_distance**2 - found.here_distance**2
    )
    assert [each.feature for each in found.contributions][:2] == ["orders_hl30d", "days_since_seen"]
    first = found.contributions[0]
    assert (first.value, first.here, first.there) == pytest.approx((np.expm1(1.5), np.expm1(2.0), 0.0))


def test_a_customer_of_a_segment_that_is_gone_is_explained_by_the_nearest():
    assert explain(model(), raw(0.0, 2.9, 0.0, 0.0)[0], 7).segment == 9

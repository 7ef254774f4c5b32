from __future__ import annotations

import numpy as np
import pytest

from stream.evaluate.scores import batch_labels, compare, score


@pytest.fixture
def points() -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.concatenate([rng.normal(place, 0.3, (200, 2)) for place in (0.0, 4.0, 8.0)])


def test_the_true_partition_is_as_good_as_batch_and_agrees_with_it(points: np.ndarray) -> None:
    found = compare(points, np.repeat([0, 1, 2], 200), 3, np.random.default_rng(2))
    assert found.inertia_ratio == pytest.approx(1.0)
    assert found.silhouette_ratio == pytest.approx(1.0)
    assert found.agreement == 1.0
    assert found.ours.largest_share == pytest.approx(1 / 3)


def test_a_wrong_partition_is_worse_by_every_score(points: np.ndarray) -> None:
    found = compare(points, np.tile([0, 1, 2], 200), 3, np.random.default_rng(2))
    assert found.inertia_ratio > 10
    assert found.ours.silhouette < 0 < found.batch.silhouette
    assert found.ours.davies_bouldin > found.batch.davies_bouldin
    assert abs(found.agreement) < 0.05


def test_inertia_and_davies_bouldin_by_hand() -> None:
    found = score(np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([5, 5, 9, 9]))
    assert found.inertia == 4.0
    assert found.davies_bouldin == pytest.approx((1 + 1) / 10)


def test_batch_finds_separate_groups(points: np.ndarray) -> None:
    labels = batch_labels(points, 3, np.random.default_rng(3))
    assert [len(set(labels[part : part + 200].tolist())) for part in (0, 200, 400)] == [1, 1, 1]

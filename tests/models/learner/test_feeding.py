from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from models.learner.feeding import BLOCK, Feeder
from models.learner.kmeans import squared_distances
from models.learner.seeding import seed


def one_at_a_time(centroids: np.ndarray, weights: np.ndarray, floor: float, points: np.ndarray) -> np.ndarray:
    """The method it stands for: every vector moves its nearest centre by max(floor, 1 / seen)."""
    centroids, weights = centroids.copy(), weights.copy()
    for point in points:
        row = int(np.square(centroids - point).sum(axis=1).argmin())
        weights[row] += 1
        centroids[row] += max(floor, 1 / weights[row]) * (point - centroids[row])
    return centroids


def test_blocks_move_centres_like_single_vectors_do(shop: Callable) -> None:
    vectors = shop(21_000, 3).vectors
    seeding = seed(vectors[:1_000], 6, np.random.default_rng(3))
    scaled = seeding.transform.apply(vectors[1_000:])
    feeder = Feeder(seeding.centroids, seeding.counts, 0.005)
    for start in range(0, len(scaled), BLOCK):
        feeder.feed(scaled[start : start + BLOCK])
    single = one_at_a_time(seeding.centroids, seeding.counts.astype(float), 0.005, scaled)
    labels = squared_distances(scaled, single).argmin(axis=1)
    assert (feeder.assign(scaled) == labels).mean() > 0.99
    assert np.abs(feeder.centroids - single).max() < 0.15


def test_weights_count_what_each_centre_was_fed() -> None:
    feeder = Feeder(np.array([[0.0], [10.0]]), np.array([5.0, 5.0]), 0.01)
    feeder.feed(np.array([[1.0], [2.0], [9.0]]))
    assert feeder.weights.tolist() == [7.0, 6.0]


def test_the_step_is_the_running_mean_while_a_centre_is_young_and_the_floor_when_it_is_old() -> None:
    young = Feeder(np.array([[0.0], [100.0]]), np.array([1.0, 1.0]), 0.01)
    young.feed(np.array([[4.0], [4.0], [4.0]]))
    assert young.centroids[0, 0] == pytest.approx(3.0)
    old = Feeder(np.array([[0.0], [100.0]]), np.array([1e9, 1.0]), 0.01)
    old.feed(np.full((50, 1), 4.0))
    assert old.centroids[0, 0] == pytest.approx(4.0 * (1 - 0.99**50))


def test_a_centre_without_vectors_stays_where_it_is() -> None:
    feeder = Feeder(np.array([[0.0, 0], [9.0, 9]]), np.ones(2), 0.01)
    feeder.feed(np.ones((10, 2)))
    assert feeder.centroids[1].tolist() == [9.0, 9.0]


def test_the_centroids_handed_out_are_copies() -> None:
    feeder = Feeder(np.array([[0.0, 0], [9.0, 9]]), np.ones(2), 0.01)
    feeder.centroids[:] = np.nan
    assert np.isfinite(feeder.centroids).all()

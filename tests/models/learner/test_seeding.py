from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from models.learner.kmeans import lloyd, plus_plus, squared_distances
from models.learner.seeding import RESTARTS, TIE, seed
from models.learner.silhouette import silhouettes


def rng(number: int = 1) -> np.random.Generator:
    return np.random.default_rng(number)


def textbook_silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    """Rousseeuw's definition, one point at a time."""
    scores = []
    for i, point in enumerate(points):
        distance = np.linalg.norm(points - point, axis=1)
        own = (labels == labels[i]) & (np.arange(len(points)) != i)
        if not own.any():
            scores.append(0.0)
            continue
        a = distance[own].mean()
        b = min(distance[labels == other].mean() for other in set(labels) - {labels[i]})
        scores.append((b - a) / max(a, b))
    return float(np.mean(scores))


def agreement(found: np.ndarray, true: np.ndarray) -> float:
    """Share of points whose cluster's majority is their own kind."""
    return sum(np.bincount(true[found == label]).max() for label in set(found)) / len(true)


@pytest.mark.parametrize("number", range(5))
def test_seeding_is_within_a_percent_of_the_best_of_many_batch_runs(shop: Callable, number: int) -> None:
    customers = shop(1_000, number)
    seeding = seed(customers.vectors, 6, rng(number))
    scaled = seeding.transform.apply(customers.vectors)
    best = min(
        squared_distances(scaled, kmeans2(scaled, 6, iter=50, minit="++", rng=rng(run))[0]).min(axis=1).sum()
        for run in range(10)
    )
    assert seeding.inertia <= best * 1.011
    assert agreement(squared_distances(scaled, seeding.centroids).argmin(axis=1), customers.archetype) > 0.9


def test_inertia_and_counts_are_those_of_the_centroids(shop: Callable) -> None:
    vectors = shop(700, 1).vectors
    seeding = seed(vectors, 5, rng())
    squared = squared_distances(seeding.transform.apply(vectors), seeding.centroids)
    assert seeding.counts.tolist() == np.bincount(squared.argmin(axis=1), minlength=5).tolist()
    assert seeding.inertia == pytest.approx(squared.min(axis=1).sum())


def test_equal_generators_give_equal_seedings_and_the_vectors_are_left_alone(shop: Callable) -> None:
    vectors = shop(500, 1).vectors
    before = vectors.copy()
    first, second = seed(vectors, 6, rng(3)), seed(vectors, 6, rng(3))
    assert np.array_equal(first.centroids, second.centroids)
    assert np.array_equal(vectors, before)


def test_silhouette_is_the_textbook_one() -> None:
    points = rng().normal(size=(60, 3))
    partitions = [rng(2).integers(0, 4, 60), np.where(np.arange(60) == 0, 1, 0), np.zeros(60, np.int64)]
    found = silhouettes(points, partitions)
    assert found[0] == pytest.approx(textbook_silhouette(points, partitions[0]))
    assert found[1] == pytest.approx(textbook_silhouette(points, partitions[1]))
    assert found[2] == 0.0


def test_among_solutions_that_are_as_good_the_best_silhouette_wins() -> None:
    overruled = 0
    for number in range(12):
        points = np.expm1(rng(number).uniform(1, 3, (80, 3)))
        seeding = seed(points, 4, rng(number))
        scaled, draws = seeding.transform.apply(points), rng(number)
        solutions = [lloyd(scaled, plus_plus(scaled, 4, draws)) for _ in range(RESTARTS)]
        best = min(inertia for _, _, inertia in solutions)
        bound = (1 + TIE) * best
        scores = {inertia: textbook_silhouette(scaled, labels) for _, labels, inertia in solutions if inertia <= bound}
        assert seeding.silhouette == pytest.approx(max(scores.values()))
        assert seeding.inertia <= bound
        overruled += scores[best] < max(scores.values()) - 1e-3
    assert overruled > 0


@pytest.mark.parametrize(("distinct", "k"), [(1, 6), (2, 6), (5, 6), (6, 6), (7, 6)])
def test_fewer_distinct_vectors_than_clusters_give_one_centroid_each(distinct: int, k: int) -> None:
    kinds = rng().lognormal(2, 1, (distinct, 4))
    seeding = seed(kinds[rng(2).permutation(np.arange(300) % distinct)], k, rng())
    assert (seeding.k, seeding.k_wanted) == (min(distinct, k), k)
    assert np.isfinite(seeding.centroids).all()
    assert seeding.counts.sum() == 300
    assert seeding.counts.min() > 0


def test_constant_features_and_a_single_vector_do_not_break_it() -> None:
    vectors = np.column_stack((np.full(200, 7.0), np.zeros(200), np.arange(200.0)))
    assert seed(vectors, 4, rng()).k == 4
    assert seed(vectors[:1], 4, rng()).k == 1


@pytest.mark.parametrize("vectors", [np.zeros((0, 3)), np.array([[1.0, np.inf]])])
def test_nothing_and_undefined_values_are_refused(vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="scaler"):
        seed(vectors, 2, rng())

"""One set of checks for everything that follows the customers; the idea is river/checks/common.py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.learner.clusterer import CLUSTERERS, Clusterer
from models.learner.config import LearnerConfig
from models.learner.kmeans import lloyd, plus_plus, squared_distances
from models.learner.learner import Learner
from models.learner.microclusters import MICRO_CLUSTERS, MicroClusters
from models.learner.seeding import seed
from models.transform import Floats

ROOT = Path(__file__).parents[3]
BLOCK = 128


@pytest.fixture(params=list(CLUSTERERS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def points(shop: Callable) -> Floats:
    vectors = shop(3_000, 4).vectors
    return seed(vectors[:1_000], 6, np.random.default_rng(1)).transform.apply(vectors)


@pytest.fixture
def begin(name: str, points: Floats) -> Callable[[], Clusterer]:
    centroids, labels, _ = lloyd(points[:1_000], plus_plus(points[:1_000], 6, np.random.default_rng(1)))
    weights = np.bincount(labels, minlength=6).astype(np.float64)
    return lambda: CLUSTERERS[name](centroids, weights, 0.005)


def fed(clusterer: Clusterer, points: Floats) -> Clusterer:
    for start in range(0, len(points), BLOCK):
        clusterer.feed(points[start : start + BLOCK])
    return clusterer


def test_it_has_centroids_before_it_has_learnt_anything(begin: Callable, points: Floats) -> None:
    made = begin()
    assert made.centroids.shape == (6, points.shape[1])
    assert np.isfinite(made.centroids).all()


def test_no_vectors_change_nothing(begin: Callable, points: Floats) -> None:
    made = begin()
    before, weights = made.centroids, made.weights.copy()
    made.feed(points[:0])
    assert np.array_equal(made.centroids, before)
    assert np.array_equal(made.weights, weights)


def test_the_same_vectors_give_the_same_centroids(begin: Callable, points: Floats) -> None:
    assert np.array_equal(fed(begin(), points).centroids, fed(begin(), points).centroids)


def test_what_it_is_given_and_what_it_gives_is_never_shared(begin: Callable, points: Floats) -> None:
    kept, reused = fed(begin(), points), begin()
    for start in range(0, len(points), BLOCK):
        scratch = points[start : start + BLOCK].copy()
        reused.feed(scratch)
        scratch[:] = 1e9
        reused.centroids[:] = -1e9
    assert np.array_equal(kept.centroids, reused.centroids)


def test_rows_stay_the_same_clusters_and_follow_their_members(begin: Callable, points: Floats) -> None:
    made = begin()
    before = made.centroids
    fed(made, points)
    apart = squared_distances(before, made.centroids)
    assert apart.argmin(axis=1).tolist() == list(range(6))
    far = begin()
    moved = points + 0.5
    fed(far, moved)
    after = squared_distances(moved[-1_000:], far.centroids).min(axis=1).mean()
    assert after < squared_distances(moved[-1_000:], before).min(axis=1).mean()


def test_weights_count_every_vector(begin: Callable, points: Floats) -> None:
    made = begin()
    before = made.weights.sum()
    assert fed(made, points).weights.sum() == before + len(points)


def test_centroids_stay_within_what_was_fed(begin: Callable, points: Floats) -> None:
    made = fed(begin(), points)
    assert (made.centroids <= points.max(axis=0) + 1e-9).all()
    assert (made.centroids >= points.min(axis=0) - 1e-9).all()


def test_vectors_that_are_all_the_same_are_learnt_too(begin: Callable, points: Floats) -> None:
    made = fed(begin(), np.repeat(points[:1], 2_000, axis=0))
    assert np.isfinite(made.centroids).all()
    nearest = np.sqrt(squared_distances(points[:1], made.centroids).min())
    assert nearest < 0.2


def test_micro_clusters_are_bounded(points: Floats) -> None:
    made = MicroClusters(points[:6], np.ones(6), 0.005)
    fed(made, np.tile(points, (2, 1)))
    assert len(made._stream.micro_clusters) <= MICRO_CLUSTERS


def test_a_learner_refuses_what_is_not_finite_before_it_gets_here(
    name: str, shop: Callable, config: LearnerConfig
) -> None:
    learner = Learner(replace(config, clusterer=name))
    vectors = shop(2_000, 2).vectors
    learner.add(vectors[:1_000], 0)
    learner.settle(learner.due().run())
    broken = vectors[1_000:].copy()
    broken[::2, 0] = np.nan
    broken[1::4, 1] = np.inf
    assert learner.add(broken, 1) == 750
    assert np.isfinite([segment.centroid for segment in learner.snapshot(1).centroids]).all()


STORY = """
import sys
sys.path.insert(0, sys.argv[1])
from dataclasses import replace
from conftest import FEATURES, open_shop
from models.learner.config import LearnerConfig
from models.learner.learner import Learner
vectors = open_shop(6_000, 1).vectors
learner = Learner(LearnerConfig(FEATURES, k=6, clusterer=sys.argv[2]))
for start in range(0, 6_000, 500):
    learner.add(vectors[start:start + 500], 0)
    while (work := learner.due()) is not None:
        learner.settle(work.run())
print(learner.snapshot(0).model_dump_json())
"""


def test_the_model_does_not_depend_on_the_hash_seed(name: str) -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", STORY, str(Path(__file__).parent), name],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "4711")
    }
    assert len(told) == 1
    assert f'"clusterer":"{name}"' in told.pop()


@pytest.mark.parametrize("noise", [0.5, 0.8])
def test_a_stream_of_customers_is_segmented_almost_as_well_as_by_batch_k_means(
    name: str, noise: float, shop: Callable, config: LearnerConfig
) -> None:
    vectors = shop(8_000, 3, noise).vectors
    learner = Learner(replace(config, clusterer=name))
    for start in range(0, 8_000, 500):
        learner.add(vectors[start : start + 500], 0)
        if (work := learner.due()) is not None:
            learner.settle(work.run())
    snapshot = learner.snapshot(0)
    mean, scale = np.array(snapshot.mean), np.array(snapshot.scale)
    scaled = ((np.log1p(vectors) - mean) / scale).clip(-4, 4)
    ours = squared_distances(scaled, np.array([segment.centroid for segment in snapshot.centroids])).min(axis=1).sum()
    batch = min(lloyd(scaled, scaled[start : start + 6])[2] for start in range(0, 60, 6))
    assert ours <= 1.03 * batch

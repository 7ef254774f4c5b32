from __future__ import annotations

import numpy as np

from models.learner.baseline import FAR_QUANTILE, Baseline, psi
from models.learner.drift import DriftWatch


def blocks(rng: np.random.Generator, count: int, mean: float):
    for _ in range(count // 256):
        yield rng.normal(0, 1, (256, 2)), rng.integers(0, 2, 256), rng.normal(mean, 0.5, 256).clip(0)


def test_nothing_is_noticed_where_nothing_changes() -> None:
    rng = np.random.default_rng(1)
    watch = DriftWatch(("f", "g"), (0, 1))
    assert all(watch.observe(*block) is None for block in blocks(rng, 30_000, 2.0))
    assert watch.feature_changes.total() == watch.share_changes.total() == 0


def test_a_change_in_distance_is_noticed_within_160_vectors() -> None:
    rng = np.random.default_rng(2)
    watch = DriftWatch(("f", "g"), (0, 1))
    for block in blocks(rng, 5_000, 2.0):
        watch.observe(*block)
    noticed = [watch.observe(*block) for block in blocks(rng, 1_024, 2.5)]
    first = next(number for number, count in enumerate(noticed) if count is not None)
    assert 256 * first + noticed[first] <= 160


def test_a_feature_and_a_share_that_change_are_reported_and_no_alarm() -> None:
    rng = np.random.default_rng(3)
    watch = DriftWatch(("f", "g"), (4, 9))
    noticed = []
    for number, (scaled, labels, distances) in enumerate(blocks(rng, 8_192, 2.0)):
        late = number >= 16
        noticed.append(watch.observe(scaled + np.array([1.0 * late, 0.0]), labels | late, distances))
    assert noticed == [None] * 32
    assert watch.feature_changes["f"] > 0 == watch.feature_changes["g"]
    assert watch.share_changes[4] > 0 < watch.share_changes[9]


def test_the_baseline_finds_no_shift_in_itself() -> None:
    rng = np.random.default_rng(4)
    scaled = rng.normal(size=(4_000, 3))
    scaled[:, 1] = rng.integers(0, 2, 4_000)
    centroids = np.array([[-1.0, 0, 0], [1.0, 0, 0]])
    shift = Baseline.of(scaled, centroids).compare(scaled, centroids)
    assert shift.psi_features.max() == shift.psi_shares == shift.centroid_shift.max() == 0.0
    assert round(shift.novelty_share, 3) == round(1 - FAR_QUANTILE, 3)


def test_each_kind_of_shift_shows_where_it_is() -> None:
    rng = np.random.default_rng(5)
    scaled = rng.normal(size=(4_000, 3))
    centroids = np.array([[-1.0, 0, 0], [1.0, 0, 0]])
    baseline = Baseline.of(scaled, centroids)
    shift = baseline.compare(scaled + np.array([0, 3.0, 0]), centroids + np.array([[0, 0, 2.0], [0, 0, 0]]))
    assert shift.psi_features[1] > 1.0
    assert shift.psi_features[0] < 0.05
    assert shift.centroid_shift.tolist() == [2.0, 0.0]
    assert shift.novelty_share > 0.2
    lopsided = baseline.compare(scaled[scaled[:, 0] > -0.5], centroids)
    assert lopsided.psi_shares > 0.2


def test_an_empty_bin_is_no_infinity() -> None:
    assert 0.5 < psi(np.array([0.0, 100.0]), np.array([50.0, 50.0])) < 10.0

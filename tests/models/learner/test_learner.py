from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from models.assign import NO_SEGMENT, Model, assign
from models.learner.checks import check
from models.learner.config import LearnerConfig
from models.learner.feeding import BLOCK
from models.learner.kmeans import squared_distances
from models.learner.learner import Learner
from schemas.snapshot import ModelSnapshot

ROOT = Path(__file__).parents[3]


def seed_and_adopt(learner: Learner):
    return learner.settle(learner.due().run())


def reborn(learner: Learner, snapshot: ModelSnapshot) -> Learner:
    return Learner.restore(learner.config, ModelSnapshot.model_validate_json(snapshot.model_dump_json()))


@pytest.mark.parametrize("number", range(5))
def test_after_a_stream_the_centroids_are_as_good_as_batch_k_means_on_all_of_it(
    shop: Callable, config: LearnerConfig, number: int
) -> None:
    customers = shop(21_000, number)
    learner = Learner(replace(config, seed=number))
    for start in range(0, 21_000, 300):
        learner.add(customers.vectors[start : start + 300], start)
        if learner.due():
            seed_and_adopt(learner)
    snapshot = learner.snapshot(21_000)
    model = Model.from_snapshot(snapshot, config.features)
    scaled = model.transform.apply(customers.vectors[1_000:])
    batch = [kmeans2(scaled, 6, iter=30, minit="++", rng=np.random.default_rng(run))[0] for run in range(3)]
    # One run starts where the stream ended: its local optimum is the least a batch would make of it.
    batch.append(kmeans2(scaled, model.centroids, iter=30, minit="matrix")[0])
    best = min(squared_distances(scaled, centroids).min(axis=1).sum() for centroids in batch)
    assert squared_distances(scaled, model.centroids).min(axis=1).sum() <= 1.02 * best
    nobody = np.full(21_000, NO_SEGMENT)
    found = assign(model, customers.vectors, nobody, np.zeros(21_000), 0, margin=0.1, dwell_ms=0).segment
    assert sum(np.bincount(customers.archetype[found == i]).max() for i in set(found.tolist())) / 21_000 > 0.9


def test_the_archetypes_get_the_names_one_would_give_them(shop: Callable, config: LearnerConfig) -> None:
    customers = shop(4_000, 0)
    learner = Learner(config)
    learner.add(customers.vectors, 0)
    seed_and_adopt(learner)
    names = {segment.name for segment in learner.snapshot(0).centroids}
    assert {"window shoppers", "frequent high spenders", "lapsed one-time buyers", "cart abandoners"} <= names


def test_it_warms_up_until_enough_vectors_have_come(shop: Callable, config: LearnerConfig) -> None:
    learner = Learner(config)
    vectors = shop(1_000, 1).vectors
    learner.add(vectors[:999], 0)
    assert (learner.serving, bool(learner.due()), learner.warm_up_left) == (False, False, 1)
    with pytest.raises(ValueError, match="1 more"):
        learner.snapshot(0)
    learner.add(vectors[999:], 0)
    assert learner.due()
    seed_and_adopt(learner)
    assert (learner.serving, bool(learner.due()), learner.warm_up_left) == (True, False, 0)


def test_vectors_that_are_not_finite_are_refused_counted_and_change_nothing(shop: Callable, taught: Learner) -> None:
    before = taught.snapshot(9)
    broken = shop(600, 2).vectors
    broken[:, 3] = np.resize([np.nan, np.inf, -np.inf], 600)
    assert taught.add(broken, 10) == 600
    after = taught.snapshot(9)
    assert taught.refused == 600
    assert [s.centroid for s in after.centroids] == [s.centroid for s in before.centroids]
    assert after.learnt == before.learnt


def test_a_table_of_the_wrong_width_is_a_mistake_of_the_caller(config: LearnerConfig) -> None:
    with pytest.raises(ValueError, match="17 features"):
        Learner(config).add(np.zeros((3, 4)), 0)


def test_the_caller_may_reuse_its_array(shop: Callable, config: LearnerConfig) -> None:
    kept, reused = Learner(config), Learner(config)
    vectors = shop(1_500, 3).vectors
    for learner in (kept, reused):
        learner.add(vectors[:1_000], 0)
        seed_and_adopt(learner)
    for start in range(1_000, 1_500, 100):
        kept.add(vectors[start : start + 100], 0)
        scratch = vectors[start : start + 100].copy()
        reused.add(scratch, 0)
        scratch[:] = 1e9
    assert kept.snapshot(0) == reused.snapshot(0)


def test_how_vectors_are_grouped_does_not_matter(shop: Callable, config: LearnerConfig) -> None:
    vectors = shop(6_000, 4).vectors
    snapshots = []
    for size in (1, 37, 1_000, 5_000):
        learner = Learner(config)
        learner.add(vectors[:1_000], 0)
        seed_and_adopt(learner)
        for start in range(1_000, 6_000, size):
            learner.add(vectors[start : start + size], 0)
        snapshots.append(learner.snapshot(0))
    assert all(snapshot == snapshots[0] for snapshot in snapshots)


def test_the_window_holds_the_last_vectors_oldest_first(shop: Callable, config: LearnerConfig) -> None:
    vectors = shop(2_700, 5).vectors
    learner = Learner(replace(config, window_min=1_200))
    for start, stop in ((0, 10), (10, 600), (600, 1_400), (1_400, 2_700)):
        learner.add(vectors[start:stop], 0)
        assert np.array_equal(learner.recent(), vectors[max(0, stop - 1_200) : stop])


def test_versions_rise_shares_sum_to_one_and_lineage_names_everyone(taught: Learner) -> None:
    first, second = taught.snapshot(5_000), taught.snapshot(6_000)
    assert (first.version, second.version) == (1, 2)
    assert sum(segment.share for segment in first.centroids) == pytest.approx(1.0)
    assert sum(segment.size_sampled for segment in first.centroids) == 4_000
    assert first.lineage == {str(segment.id): segment.name for segment in first.centroids}
    assert (first.created_at, first.learnt, first.next_id) == (5_000, 5_000, 6)


def test_names_stay_while_centroids_move_a_little(shop: Callable, taught: Learner) -> None:
    names = [segment.name for segment in taught.snapshot(0).centroids]
    for number in range(20, 30):
        taught.add(shop(2_000, number).vectors, number)
        assert [segment.name for segment in taught.snapshot(0).centroids] == names


def test_a_restarted_learner_goes_on_with_the_same_ids_names_and_centroids(shop: Callable, taught: Learner) -> None:
    taught.add(shop(BLOCK - 4_000 % BLOCK, 6).vectors, 0)
    snapshot = taught.snapshot(7_000)
    again = reborn(taught, snapshot)
    assert (again.serving, bool(again.due())) == (True, False)
    copy = again.snapshot(7_000)
    skipped = {"version", "centroids"}
    assert copy.model_dump(exclude=skipped) == snapshot.model_dump(exclude=skipped)
    assert copy.version == snapshot.version + 1
    for new, old in zip(copy.centroids, snapshot.centroids, strict=True):
        assert (new.id, new.name, new.centroid, new.weight) == (old.id, old.name, old.centroid, old.weight)
        assert new.share == pytest.approx(old.share)


def test_a_restarted_learner_says_of_its_segments_what_was_said_before(shop: Callable, taught: Learner) -> None:
    snapshot = taught.snapshot(7_000)
    again = reborn(taught, snapshot)
    again.add(shop(10, 6).vectors, 8_000)
    copy = again.snapshot(8_000)
    for new, old in zip(copy.centroids, snapshot.centroids, strict=True):
        assert (new.name, new.words, new.contrasts) == (old.name, old.words, old.contrasts)


def test_a_restarted_learner_learns_on_as_if_it_had_never_stopped(shop: Callable, taught: Learner) -> None:
    taught.add(shop(BLOCK - 4_000 % BLOCK, 6).vectors, 0)
    again = reborn(taught, taught.snapshot(7_000))
    more = shop(4_096, 7).vectors
    for learner in (taught, again):
        learner.add(more, 8_000)
    one, other = taught.snapshot(9_000), again.snapshot(9_000)
    assert [(s.id, pytest.approx(s.centroid, abs=1e-5), s.weight, s.share) for s in one.centroids] == [
        (s.id, s.centroid, s.weight, s.share) for s in other.centroids
    ]


def test_a_learner_asked_for_another_k_serves_on_then_keeps_the_ids_it_can(shop: Callable, taught: Learner) -> None:
    snapshot = taught.snapshot(0)
    wider = Learner.restore(replace(taught.config, k=8), snapshot)
    assert (wider.serving, bool(wider.due())) == (True, False)
    wider.add(shop(1_000, 8).vectors, 1)
    assert wider.due()
    succession = seed_and_adopt(wider)
    after = wider.snapshot(1)
    assert after.k == 8
    assert set(succession.kept) <= set(range(6))
    assert len(succession.kept) >= 5
    assert min(succession.born) == 6
    assert after.next_id == 6 + len(succession.born)
    assert set(after.lineage) == {str(i) for i in range(after.next_id)}
    check(after, taught.config.features)


def test_ids_follow_the_same_customers_though_a_new_kind_of_them_moved_the_scale() -> None:
    rng = np.random.default_rng(1)

    def customers(*logs: float) -> np.ndarray:
        # Views that go up and down: as often as orders they would be another count of them.
        both = np.column_stack((logs, np.resize([3.0, 1.0], len(logs))))
        return np.expm1(np.repeat(both, 300, axis=0) + rng.uniform(0, 0.3, (300 * len(logs), 2)))

    def places(learner: Learner) -> dict[int, float]:
        snapshot = learner.snapshot(0)
        return {s.id: s.centroid[0] * snapshot.scale[0] + snapshot.mean[0] for s in snapshot.centroids}

    learner = Learner(LearnerConfig(("orders", "views"), k=3, warm_up=900))
    learner.add(customers(1.0, 3.0, 5.0), 0)
    seed_and_adopt(learner)
    before = places(learner)
    wider = Learner.restore(LearnerConfig(("orders", "views"), k=4, warm_up=1_200), learner.snapshot(0))
    wider.add(customers(1.0, 3.0, 5.0, 13.0), 1)
    succession = seed_and_adopt(wider)
    after = places(wider)
    assert succession.born == (3,)
    assert after[3] > 12
    assert all(abs(after[segment] - before[segment]) < 0.1 for segment in before)


def test_other_features_retire_the_ids_and_warm_up_again(shop: Callable, taught: Learner) -> None:
    snapshot = taught.snapshot(0)
    narrower = Learner.restore(LearnerConfig(taught.config.features[:9], k=6), snapshot)
    assert not narrower.serving
    narrower.add(shop(1_000, 9).vectors[:, :9], 1)
    seed_and_adopt(narrower)
    after = narrower.snapshot(1)
    assert [segment.id for segment in after.centroids] == list(range(6, 12))
    assert after.version == snapshot.version + 1
    assert set(after.lineage) == {str(i) for i in range(12)}


@pytest.mark.parametrize("distinct", [2, 4])
def test_too_few_distinct_vectors_give_fewer_segments_now_and_all_of_them_later(
    shop: Callable, config: LearnerConfig, distinct: int
) -> None:
    customers = shop(3_000, 10).vectors
    learner = Learner(config)
    learner.add(np.resize(customers[:distinct], (1_000, 17)), 0)
    seed_and_adopt(learner)
    poor = learner.snapshot(0)
    check(poor, config.features)
    assert poor.k == distinct
    assert not learner.due()
    learner.add(customers, 0)
    assert learner.due()
    succession = seed_and_adopt(learner)
    assert learner.snapshot(0).k == 6
    assert not set(succession.born) & set(range(distinct))


def test_one_kind_of_customer_is_no_segmentation_and_is_asked_about_ever_more_rarely(config: LearnerConfig) -> None:
    learner = Learner(config)
    asked = []
    for thousand in range(1, 17):
        learner.add(np.ones((1_000, 17)), 0)
        if learner.due():
            asked.append(thousand)
            assert seed_and_adopt(learner) is None
    assert not learner.serving
    assert asked == [1, 2, 4, 8, 16]


def test_a_second_look_that_finds_no_more_changes_nothing(shop: Callable, config: LearnerConfig) -> None:
    learner = Learner(config)
    few = np.resize(shop(4, 10).vectors, (1_000, 17))
    learner.add(few, 0)
    seed_and_adopt(learner)
    before = learner.snapshot(0)
    learner.add(few, 0)
    assert learner.due()
    assert seed_and_adopt(learner) is None
    assert [segment.id for segment in learner.snapshot(0).centroids] == [segment.id for segment in before.centroids]


@pytest.mark.parametrize("k", [1, 65])
def test_a_k_that_no_snapshot_allows_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"k {k}"):
        LearnerConfig(("orders",), k=k)

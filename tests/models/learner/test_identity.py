from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.learner.identity import Fate, Segments, first, go_on, in_space_of, succeed
from models.learner.kmeans import squared_distances
from models.transform import Transform


def segments(centroids: np.ndarray, people: np.ndarray) -> Segments:
    return Segments(centroids, squared_distances(people, centroids).argmin(axis=1))


def people_at(*places: float, each: int = 40) -> np.ndarray:
    return np.repeat(places, each)[:, None] + np.tile(np.linspace(-0.2, 0.2, each), len(places))[:, None]


def line(*places: float) -> np.ndarray:
    return np.array(places, np.float64)[:, None]


@given(st.integers(0, 2**32), st.integers(2, 12))
def test_moved_a_little_and_shuffled_every_segment_keeps_its_id(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    old = np.column_stack((np.arange(k) * 2.0, rng.normal(size=k)))
    people = np.repeat(old, 30, axis=0) + rng.normal(0, 0.2, (30 * k, 2))
    order = rng.permutation(k)
    after = (old + rng.uniform(-0.2, 0.2, old.shape))[order]
    found = succeed(segments(old, people), list(range(10, 10 + k)), segments(after, people), 99)
    assert found.ids == tuple((10 + order).tolist())
    assert (found.born, found.died, found.next_id, found.fates) == ((), (), 99, ())


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 8), st.integers(0, 60))
def test_ids_are_distinct_and_a_new_one_was_never_used(seed: int, before: int, after: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    old_ids = rng.choice(50, before, replace=False).tolist()
    people = rng.normal(size=(count, 3))
    old, new = segments(rng.normal(size=(before, 3)), people), segments(rng.normal(size=(after, 3)), people)
    found = succeed(old, old_ids, new, 50)
    assert len(set(found.ids)) == after
    assert set(found.kept) | set(found.died) == set(old_ids)
    assert set(found.ids) == set(found.kept) | set(found.born)
    assert all(born >= 50 for born in found.born)
    assert found.next_id == 50 + len(found.born)
    assert sorted(fate.segment for fate in found.fates) == sorted((*found.born, *found.died))


def test_a_split_keeps_the_id_for_one_half_and_the_other_came_out_of_it() -> None:
    people = people_at(-1.0, 1.5, 10.0)
    found = succeed(segments(line(0.0, 10.0), people), [0, 1], segments(line(-1.0, 1.5, 10.0), people), 2)
    assert (found.ids, found.born, found.died) == ((0, 2, 1), (2,), ())
    assert found.fates == (Fate("split", 2, 0, 0.5),)


def test_a_centroid_that_a_change_drew_to_the_members_of_another_goes_on_as_that_other() -> None:
    people = people_at(0.0, 4.0, 10.0)
    found = go_on(segments(line(0.0, 4.0, 10.0), people), [3, 1, 7], segments(line(4.1, 0.2, 10.0), people), 8)
    assert (found.ids, found.kept, found.born, found.died, found.fates) == ((1, 3, 7), (1, 3, 7), (), (), ())


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(0, 60))
def test_centroids_that_go_on_have_all_the_ids_there_were(seed: int, k: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    ids, people = rng.choice(50, k, replace=False).tolist(), rng.normal(size=(count, 3))
    old, new = segments(rng.normal(size=(k, 3)), people), segments(rng.normal(size=(k, 3)), people)
    found = go_on(old, ids, new, 50)
    assert sorted(found.ids) == list(found.kept) == sorted(ids)
    assert found.next_id == 50
    assert go_on(old, ids, old, 50).ids == tuple(ids)


def test_a_merge_ends_one_id_and_says_where_its_members_went() -> None:
    people = people_at(0.0, 0.0, 1.0, 10.0)
    found = succeed(segments(line(0.0, 1.0, 10.0), people), [0, 1, 2], segments(line(0.4, 10.0), people), 3)
    assert (found.ids, found.died, found.next_id) == ((0, 2), (1,), 3)
    assert found.fates == (Fate("merged", 1, 0, 1.0),)


def test_a_kind_of_customer_that_appears_far_away_is_born_and_takes_no_id_from_its_nearest_segment() -> None:
    people = people_at(0.0, 5.0, 50.0)
    found = succeed(segments(line(0.0, 5.0), people), [0, 1], segments(line(50.0, 5.0, 0.0), people), 2)
    assert found.ids == (2, 1, 0)
    assert found.fates == (Fate("born", 2, None, 0.0),)


def test_a_segment_whose_members_are_scattered_died() -> None:
    people = people_at(0.0, 3.9, 4.0, 4.1, 8.0)
    found = succeed(segments(line(0.0, 4.0, 8.0), people), [0, 1, 2], segments(line(1.0, 7.0), people), 3)
    assert found.died == (1,)


def test_segments_with_hardly_any_members_are_matched_by_their_place() -> None:
    people = people_at(0.0, 4.0, each=2)
    found = succeed(segments(line(0.0, 4.0), people), [3, 5], segments(line(4.1, 40.0, 0.2), people), 6)
    assert found.ids == (5, 6, 3)


@pytest.mark.parametrize("count", [0, 1])
def test_without_members_everything_goes_by_place(count: int) -> None:
    people = people_at(0.0)[:count]
    found = succeed(segments(line(0.0, 2.0), people), [7, 8], segments(line(2.1, 0.1), people), 9)
    assert found.ids == (8, 7)


def test_centroids_are_compared_in_one_space() -> None:
    rng = np.random.default_rng(1)
    raw = rng.lognormal(3, 1, (5, 4))
    old, new = Transform.fit(rng.lognormal(3, 1, (300, 4))), Transform.fit(rng.lognormal(4, 2, (300, 4)))
    assert np.allclose(in_space_of(new, old, old.apply(raw)), new.apply(raw), atol=1e-4)


def test_first_ids_start_after_the_last_ever_used() -> None:
    assert first(2, next_id=41).ids == (41, 42)


def test_segments_of_customers_who_are_all_alike_keep_their_ids() -> None:
    alike = Segments(line(1.0, 1.0, 1.0), np.zeros(80, np.int64))
    for after in (alike, segments(line(1.0, 1.0, 5.0), people_at(1.0, 5.0))):
        found = succeed(alike, [4, 7, 9], after, 10)
        assert len(set(found.ids)) == 3
        assert 4 in found.ids
    assert go_on(alike, [4, 7, 9], alike, 10).ids == (4, 7, 9)

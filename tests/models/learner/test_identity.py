from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.learner.identity import first, in_space_of, succeed
from models.transform import Transform


@given(st.integers(0, 2**32), st.integers(2, 12))
def test_moved_a_little_and_shuffled_every_segment_keeps_its_id(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    old = np.column_stack((np.arange(k) * 2.0, rng.normal(size=k)))
    order = rng.permutation(k)
    found = succeed(old, list(range(10, 10 + k)), (old + rng.uniform(-0.2, 0.2, old.shape))[order], 99)
    assert found.ids == tuple((10 + order).tolist())
    assert (found.born, found.died, found.next_id) == ((), (), 99)


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 8))
def test_ids_are_distinct_and_a_new_one_was_never_used(seed: int, before: int, after: int) -> None:
    rng = np.random.default_rng(seed)
    old_ids = rng.choice(50, before, replace=False).tolist()
    found = succeed(rng.normal(size=(before, 3)), old_ids, rng.normal(size=(after, 3)), 50)
    assert len(set(found.ids)) == after
    assert set(found.kept) | set(found.died) == set(old_ids)
    assert set(found.ids) == set(found.kept) | set(found.born)
    assert all(born >= 50 for born in found.born)
    assert found.next_id == 50 + len(found.born)


def test_a_split_keeps_the_id_for_one_half_and_bears_the_other() -> None:
    found = succeed(np.array([[0.0], [10.0]]), [0, 1], np.array([[-1.0], [1.5], [10.0]]), 2)
    assert (found.ids, found.born, found.died) == ((0, 2, 1), (2,), ())


def test_a_merge_ends_one_id() -> None:
    found = succeed(np.array([[0.0], [1.0], [10.0]]), [0, 1, 2], np.array([[0.4], [10.0]]), 3)
    assert (found.ids, found.died, found.next_id) == ((0, 2), (1,), 3)


def test_the_total_distance_decides_not_the_nearest_pair() -> None:
    # Greedy would give the new 1.9 to the old 2 and leave the old 0 with 3.5, out of reach.
    assert succeed(np.array([[0.0], [2.0]]), [7, 8], np.array([[1.9], [3.5]]), 9).ids == (7, 8)


def test_a_group_that_appears_far_away_does_not_inherit_the_id_of_one_that_vanished() -> None:
    found = succeed(np.array([[0.0], [1.0]]), [0, 1], np.array([[0.0], [50.0]]), 2)
    assert (found.ids, found.born, found.died) == ((0, 2), (2,), (1,))


def test_centroids_are_compared_in_one_space() -> None:
    rng = np.random.default_rng(1)
    raw = rng.lognormal(3, 1, (5, 4))
    old, new = Transform.fit(rng.lognormal(3, 1, (300, 4))), Transform.fit(rng.lognormal(4, 2, (300, 4)))
    assert np.allclose(in_space_of(new, old, old.apply(raw)), new.apply(raw), atol=1e-4)


def test_first_ids_start_after_the_last_ever_used() -> None:
    assert first(2, next_id=41).ids == (41, 42)

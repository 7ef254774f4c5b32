from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.transform import CLIP, Transform

ANY_FLOATS = arrays(np.float64, (7, 3), elements=st.floats(width=64))
DECENT = arrays(np.float64, (20, 4), elements=st.floats(0, 1e12))


def plain(transform: Transform, vectors: np.ndarray) -> np.ndarray:
    """The definition, in double precision."""
    return np.clip((np.log1p(vectors) - transform.mean) / transform.scale, -transform.clip, transform.clip)


def test_scaled_warm_up_vectors_have_mean_zero_and_deviation_one() -> None:
    vectors = np.random.default_rng(1).lognormal(2, 0.5, (4_000, 3))
    scaled = Transform.fit(vectors).apply(vectors)
    assert np.abs(scaled.mean(axis=0)).max() < 1e-3
    assert np.abs(scaled.std(axis=0) - 1).max() < 1e-2


@given(DECENT)
def test_single_precision_agrees_with_the_definition(vectors: np.ndarray) -> None:
    transform = Transform.fit(np.random.default_rng(1).lognormal(3, 2, (500, 4)))
    assert np.abs(transform.apply(vectors) - plain(transform, vectors)).max() < 1e-5


@given(ANY_FLOATS)
def test_any_number_at_all_comes_out_finite_and_within_the_clip(vectors: np.ndarray) -> None:
    scaled = Transform.fit(np.random.default_rng(1).lognormal(3, 2, (500, 3))).apply(vectors)
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() <= CLIP


def test_undefined_and_negative_count_as_zero_and_infinite_as_the_clip() -> None:
    transform = Transform.fit(np.array([[0.0], [3.0]]))
    zero = transform.apply(np.array([[0.0]]))[0, 0]
    assert transform.apply(np.array([[np.nan], [-5.0], [-np.inf], [np.inf]]))[:, 0].tolist() == [zero, zero, zero, 4.0]


def test_one_broken_value_does_not_change_the_others() -> None:
    transform = Transform.fit(np.random.default_rng(1).lognormal(3, 2, (500, 3)))
    vectors = np.random.default_rng(2).lognormal(3, 2, (9, 3))
    expected = transform.apply(vectors)
    vectors[4, 1] = np.nan
    scaled = transform.apply(vectors)
    assert np.array_equal(np.delete(scaled, 4, axis=0), np.delete(expected, 4, axis=0))


def test_a_constant_feature_has_scale_one_and_says_nothing() -> None:
    vectors = np.column_stack((np.full(50, 1e6), np.arange(50.0)))
    transform = Transform.fit(vectors)
    assert transform.scale[0] == 1.0
    assert np.abs(transform.apply(vectors)[:, 0]).max() < 1e-5


@given(DECENT)
def test_what_is_not_clipped_inverts_to_what_it_was(vectors: np.ndarray) -> None:
    transform = Transform.fit(np.random.default_rng(1).lognormal(3, 2, (500, 4)), clip=1_000.0)
    assert np.allclose(transform.invert(transform.apply(vectors)), vectors, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_vector_alone_and_in_a_batch_scale_to_the_same_bits(order: str) -> None:
    transform = Transform.fit(np.random.default_rng(1).lognormal(3, 2, (500, 5)))
    vectors = np.asarray(np.random.default_rng(2).lognormal(3, 2, (333, 5)), order=order)
    alone = np.concatenate([transform.apply(vectors[i : i + 1]) for i in range(len(vectors))])
    assert np.array_equal(alone, transform.apply(vectors))


@pytest.mark.parametrize("vectors", [np.zeros((0, 3)), np.zeros(3), np.array([[1.0, np.nan]])])
def test_a_scaler_refuses_to_be_measured_on_nothing_or_on_undefined_values(vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="scaler"):
        Transform.fit(vectors)


def test_features_that_say_the_same_share_one_vote() -> None:
    rng = np.random.default_rng(1)
    once, other = rng.lognormal(2, 0.5, (2, 4_000))
    alone = Transform.fit(np.column_stack((once, other)))
    twice = Transform.fit(np.column_stack((once, once, other)))
    assert twice.scale == pytest.approx(alone.scale[[0, 0, 1]] * [np.sqrt(2), np.sqrt(2), 1], rel=1e-6)
    vectors = rng.lognormal(2, 0.5, (9, 2))
    apart = np.square(np.diff(alone.apply(vectors), axis=0)).sum(axis=1)
    assert np.square(np.diff(twice.apply(vectors[:, [0, 0, 1]]), axis=0)).sum(axis=1) == pytest.approx(apart, rel=1e-4)


def test_features_that_merely_go_together_keep_their_votes() -> None:
    rng = np.random.default_rng(2)
    shared, own, another = rng.normal(size=(3, 4_000))
    # A correlation of .7.
    vectors = np.exp(np.column_stack((shared + 0.65 * own, shared + 0.65 * another)))
    plain_deviation = np.log1p(vectors).std(axis=0)
    assert Transform.fit(vectors).scale == pytest.approx(plain_deviation, rel=0.05)

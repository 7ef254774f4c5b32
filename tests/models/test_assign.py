from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.assign import NO_SEGMENT, Model, assign
from models.learner.checks import SnapshotRefusedError
from schemas.snapshot import ModelSnapshot, Segment

FEATURES = ("orders", "spend", "views")
DAY_MS = 86_400_000


def snapshot(centroids: list[list[float]], ids: list[int] | None = None, **changes: Any) -> ModelSnapshot:
    ids = ids or list(range(len(centroids)))
    segments = [
        Segment(
            id=segment,
            name=f"kind {segment}",
            words=[],
            share=1 / len(ids),
            size_sampled=10,
            centroid=centroid,
            weight=10.0,
        )
        for segment, centroid in zip(ids, centroids, strict=True)
    ]
    fields: dict[str, Any] = {
        "format_version": 1,
        "version": 3,
        "created_at": 1_700_000_000_000,
        "k": len(ids),
        "features": list(FEATURES),
        "mean": [1.0, 4.0, 2.0],
        "scale": [0.5, 2.0, 1.0],
        "clip": 4.0,
        "centroids": segments,
        "next_id": max(ids) + 1,
        "lineage": {str(segment.id): segment.name for segment in segments},
        "learnt": 1_000,
        "seed": 7,
        "halflife": 0.005,
    }
    return ModelSnapshot(**(fields | changes))


def model_of(centroids: list[list[float]], ids: list[int] | None = None) -> Model:
    return Model.from_snapshot(snapshot(centroids, ids), FEATURES)


def raw(model: Model, scaled: list[list[float]]) -> np.ndarray:
    return model.transform.invert(np.array(scaled))


def assign_one(
    model: Model, vector: np.ndarray, current: int, *, moved_at: int = 0, now: int = 0, margin: float = 0.1, dwell=0
):
    found = assign(model, vector, np.array([current]), np.array([moved_at]), now_ms=now, margin=margin, dwell_ms=dwell)
    return int(found.segment[0]), float(found.confidence[0]), int(found.nearest[0])


def one_at_a_time(model: Model, vector: np.ndarray, current: int, free: bool, margin: float) -> tuple[int, float, int]:
    """The definition, for one customer: plain Python over plain distances."""
    point = model.transform.apply(vector[None])[0]
    distances = {int(i): float(np.linalg.norm(point - c)) for i, c in zip(model.ids, model.centroids, strict=True)}
    nearest = min(distances, key=lambda i: (distances[i], i))
    if current not in distances or (free and distances[nearest] < (1 - margin) * distances[current]):
        segment = nearest
    else:
        segment = current
    others = [distance for i, distance in distances.items() if i != nearest]
    confidence = 1 - distances[nearest] / min(others) if segment == nearest else 0.0
    return segment, confidence, nearest


@given(
    st.integers(0, 2**32),
    st.sampled_from([2, 5, 64]),
    st.sampled_from([1, 3, 40, 500]),
    st.sampled_from([0.0, 0.1, 0.5]),
)
def test_a_batch_equals_the_definition_one_customer_at_a_time(seed: int, k: int, customers: int, margin: float) -> None:
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(200, k, replace=False)).tolist()
    model = Model.from_snapshot(snapshot(rng.uniform(-3, 3, (k, 3)).tolist(), ids), FEATURES)
    vectors = rng.lognormal(2, 2, (customers, 3))
    current = rng.choice([*ids, NO_SEGMENT, 777], customers)
    moved_at = rng.integers(0, 2 * DAY_MS, customers)
    found = assign(model, vectors, current, moved_at, 2 * DAY_MS, margin=margin, dwell_ms=DAY_MS)
    for place in rng.choice(customers, min(customers, 25), replace=False):
        free = bool(2 * DAY_MS - moved_at[place] >= DAY_MS)
        segment, confidence, nearest = one_at_a_time(model, vectors[place], int(current[place]), free, margin)
        assert (found.segment[place], found.nearest[place]) == (segment, nearest)
        assert found.confidence[place] == pytest.approx(confidence, abs=1e-4)


def test_a_customer_stays_within_the_margin_and_moves_past_it() -> None:
    model = model_of([[0.0, 0, 0], [2.0, 0, 0]])
    inside, past = raw(model, [[1.04, 0, 0]]), raw(model, [[1.06, 0, 0]])
    assert assign_one(model, inside, 0, margin=0.1)[0] == 0
    assert assign_one(model, past, 0, margin=0.1)[0] == 1
    assert assign_one(model, inside, 0, margin=0.0)[0] == 1


def test_a_customer_who_moved_lately_stays_until_the_dwell_time_is_over() -> None:
    model = model_of([[0.0, 0, 0], [2.0, 0, 0]])
    vector = raw(model, [[1.9, 0, 0]])
    assert assign_one(model, vector, 0, moved_at=0, now=DAY_MS - 1, dwell=DAY_MS)[0] == 0
    assert assign_one(model, vector, 0, moved_at=0, now=DAY_MS, dwell=DAY_MS)[0] == 1


@pytest.mark.parametrize("current", [NO_SEGMENT, 2, 4, 99, 2**40])
def test_a_segment_the_model_does_not_have_is_left_at_once_whatever_the_dwell_time(current: int) -> None:
    model = model_of([[0.0, 0, 0], [2.0, 0, 0]], ids=[3, 5])
    assert assign_one(model, raw(model, [[1.9, 0, 0]]), current, dwell=DAY_MS)[0] == 5


def test_confidence_is_one_on_a_centroid_and_zero_half_way_or_when_held() -> None:
    model = model_of([[0.0, 0, 0], [2.0, 0, 0]])
    assert assign_one(model, raw(model, [[0.0, 0, 0]]), 0)[1] == pytest.approx(1.0, abs=1e-4)
    assert assign_one(model, raw(model, [[1.0, 0, 0]]), 0)[1] == pytest.approx(0.0, abs=1e-4)
    assert assign_one(model, raw(model, [[0.5, 0, 0]]), 0)[1] == pytest.approx(1 - 0.5 / 1.5, abs=1e-4)
    assert assign_one(model, raw(model, [[1.02, 0, 0]]), 0)[:2] == (0, 0.0)


def test_two_equal_centroids_share_no_confidence_and_the_lower_id_wins() -> None:
    model = model_of([[1.0, 0, 0], [1.0, 0, 0]], ids=[9, 4])
    segment, confidence, nearest = assign_one(model, raw(model, [[1.0, 0, 0]]), NO_SEGMENT)
    assert (segment, nearest) == (4, 4)
    assert confidence == pytest.approx(0.0, abs=1e-4)


def test_undefined_values_are_assigned_like_zeros() -> None:
    model = model_of([[0.0, 0, 0], [2.0, 0, 0], [-2.0, -2, -2]])
    broken = assign_one(model, np.array([[np.nan, np.nan, -1.0]]), NO_SEGMENT)
    assert broken == assign_one(model, np.zeros((1, 3)), NO_SEGMENT)


def test_nobody_is_assigned_to_nothing() -> None:
    model = model_of([[0.0, 0, 0], [2.0, 0, 0]])
    none = np.zeros(0, np.int64)
    found = assign(model, np.zeros((0, 3)), none, none, 0, margin=0.1, dwell_ms=0)
    assert len(found.segment) == len(found.confidence) == len(found.nearest) == 0


def test_the_batch_a_customer_is_in_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    model = Model.from_snapshot(snapshot(rng.uniform(-2, 2, (6, 3)).tolist()), FEATURES)
    vectors, current = rng.lognormal(2, 2, (4_196, 3)), rng.integers(-1, 6, 4_196)
    moved_at = np.zeros(len(current), np.int64)
    together = assign(model, vectors, current, moved_at, 0, margin=0.1, dwell_ms=0)
    cuts = [0, 1, 20, 777, 3_000, len(current)]
    parts = [
        assign(model, vectors[a:b], current[a:b], moved_at[a:b], 0, margin=0.1, dwell_ms=0) for a, b in pairwise(cuts)
    ]
    assert np.array_equal(together.segment, np.concatenate([part.segment for part in parts]))
    assert np.allclose(together.confidence, np.concatenate([part.confidence for part in parts]), atol=1e-9)


def test_inputs_are_left_as_they_were() -> None:
    model = model_of([[0.0, 0, 0], [2.0, 0, 0]])
    vectors, current, moved_at = np.array([[3.0, 2, np.nan]]), np.array([1]), np.array([5])
    assign(model, vectors, current, moved_at, 9, margin=0.1, dwell_ms=1)
    assert np.array_equal(vectors, [[3.0, 2, np.nan]], equal_nan=True)
    assert (current[0], moved_at[0]) == (1, 5)


def test_a_model_says_the_name_of_its_segments_and_of_no_other() -> None:
    model = model_of([[0.0, 0, 0], [2.0, 0, 0]], ids=[5, 3])
    assert [model.name_of(segment) for segment in (3, 5, 4, -1, 99)] == ["kind 3", "kind 5", None, None, None]


def test_a_snapshot_of_other_features_is_refused() -> None:
    with pytest.raises(SnapshotRefusedError, match="missing"):
        Model.from_snapshot(snapshot([[0.0, 0, 0], [2.0, 0, 0]]), (*FEATURES, "age"))

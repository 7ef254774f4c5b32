from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from models.learner.checks import BYTES_MAX, SnapshotRefusedError, check, parse
from models.learner.learner import Learner

Fields = dict[str, Any]


@pytest.fixture
def good(taught: Learner) -> Fields:
    return json.loads(taught.snapshot(3_000).model_dump_json())


def refusal(fields: Fields, features: list[str]) -> str:
    with pytest.raises(SnapshotRefusedError) as refused:
        parse(json.dumps(fields).encode(), features)
    return str(refused.value)


def test_what_a_learner_publishes_is_fit_to_serve_and_survives_json(taught: Learner, good: Fields) -> None:
    snapshot = parse(json.dumps(good).encode(), taught.config.features)
    check(snapshot, taught.config.features)
    assert json.loads(snapshot.model_dump_json()) == good


def change_first(field: str, value: Any) -> Callable[[Fields], None]:
    return lambda fields: fields["centroids"][0].__setitem__(field, value)


def shares(*values: float) -> Callable[[Fields], None]:
    def change(fields: Fields) -> None:
        for segment, value in zip(fields["centroids"], values, strict=True):
            segment["share"] = value

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda fields: fields["features"].reverse(), "another order"),
        (lambda fields: fields["features"].__setitem__(0, "shoe_size"), "shoe_size"),
        (lambda fields: fields["mean"].__setitem__(0, float("nan")), "mean.0"),
        (lambda fields: fields["scale"].__setitem__(0, float("inf")), "scale.0"),
        (lambda fields: fields["scale"].__setitem__(0, 0.0), "scale.0"),
        (lambda fields: fields["mean"].pop(), "one value per feature"),
        (lambda fields: fields["centroids"][0]["centroid"].__setitem__(2, float("-inf")), "centroid.2"),
        (lambda fields: fields["centroids"][0]["centroid"].__setitem__(2, 4.5), "outside the clip"),
        (lambda fields: fields["centroids"][0]["centroid"].pop(), "one value per feature"),
        (lambda fields: fields["centroids"].pop(), "k centroids"),
        (lambda fields: fields.__setitem__("format_version", 3), "format_version"),
        (lambda fields: fields.__setitem__("next_id", 5), "not below next_id"),
        (lambda fields: fields.__setitem__("next_id", 2_000_000), "over 1000000"),
        (change_first("id", 1), "twice"),
        (change_first("share", 1.5), "share"),
        (shares(0.1, 0.1, 0.1, 0.1, 0.1, 0.1), "sum to 0.600"),
        (shares(0.9995, 0.0005, 0.0, 0.0, 0.0, 0.0), "of all customers"),
        (lambda fields: change_first("name", fields["centroids"][1]["name"])(fields), "one name"),
    ],
)
def test_a_bad_snapshot_is_refused_and_told_why(
    taught: Learner, good: Fields, change: Callable[[Fields], None], reason: str
) -> None:
    change(good)
    assert reason in refusal(good, list(taught.config.features))


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"[]", b"\xff\xfe", b" " * (BYTES_MAX + 1)])
def test_what_is_no_snapshot_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotRefusedError):
        parse(data, ["orders"])


def test_a_refusal_is_a_value_error_and_repeats_no_content() -> None:
    with pytest.raises(ValueError, match="format_version") as refused:
        parse(b'{"format_version": "secret content"}', ["orders"])
    assert "secret" not in str(refused.value)

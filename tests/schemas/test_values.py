from __future__ import annotations

import hashlib
import json

import pytest
from pydantic import ValidationError

from schemas.dead_letter import DeadLetter, seal
from schemas.record import RECORD_BYTES_MAX, SegmentRecord
from schemas.redis_keys import KEYS, partition_key, segment_key
from schemas.sample import FeatureSample
from schemas.snapshot import ModelSnapshot

RECORD = SegmentRecord(
    segment=3, name="frequent high spenders", since=1, cart="open", confidence=0.875, as_of=2, model=4, ver=5, rev=6
)
SEGMENT = {"name": "a", "words": ["w"], "share": 0.5, "size_sampled": 10, "centroid": [0.0, 1.0], "weight": 1.0}
SNAPSHOT = {
    "format_version": 1,
    "version": 1,
    "created_at": 0,
    "k": 2,
    "features": ["f", "g"],
    "mean": [0.0, 0.0],
    "scale": [1.0, 1.0],
    "clip": 4.0,
    "centroids": [{"id": 0, **SEGMENT}, {"id": 1, **SEGMENT, "name": "b"}],
    "next_id": 2,
    "lineage": {"0": "a", "1": "b"},
    "learnt": 0,
    "seed": 7,
    "halflife": 0.005,
}
SAMPLE = {"partition": 0, "now": 1, "features": ["f", "g"], "vectors": [[1.0, 2.0]], "customers": 1}


def test_a_record_survives_redis_as_text_and_as_bytes() -> None:
    stored = RECORD.to_hash()
    expected = RECORD.model_copy(update={"confidence": float(stored["confidence"])})
    assert SegmentRecord.from_hash(stored) == expected
    assert SegmentRecord.from_hash({name.encode(): value.encode() for name, value in stored.items()}) == expected


def test_a_record_without_a_segment_is_warming_up() -> None:
    warming = RECORD.model_copy(update={"segment": None, "name": "warming_up"})
    assert warming.to_hash()["segment"] == ""
    assert SegmentRecord.from_hash(warming.to_hash()).segment is None


def test_the_widest_record_stays_below_its_size() -> None:
    top = 2**53 - 1
    widest = SegmentRecord(
        segment=2**31 - 1, name="n" * 80, since=top, cart="abandoned", confidence=1, as_of=top, model=top, ver=top,
        rev=top, lifecycle="at_risk", rfm="555", purchase_7d=0.123, churn_30d=0.987,
    )  # fmt: skip
    assert sum(len(name) + len(value) for name, value in widest.to_hash().items()) <= RECORD_BYTES_MAX


def test_the_documented_keys_are_the_keys() -> None:
    assert [key.pattern for key in KEYS] == [segment_key("{customer_id}"), partition_key("{number}")]


@pytest.mark.parametrize("value", [None, b"", b"{", b"x" * 65_536, b"y" * 65_537, b"\xff" * 900_000])
def test_a_letter_carries_the_bytes_or_their_start_and_digest(value) -> None:
    body, headers = seal(value, reason="bad_json", topic="purchases", partition=2, offset=9, seen_at_ms=5, detail="d")
    letter = DeadLetter.from_headers(headers)
    assert (letter.id, letter.reason, letter.seen_at, letter.detail) == ("purchases/2/9", "bad_json", 5, "d")
    assert letter.size == len(value or b"")
    if letter.truncated:
        assert body == value[:65_536]
        assert letter.sha256 == hashlib.sha256(value).hexdigest()
    else:
        assert (body, letter.sha256) == (value, None)
    assert dict(headers)["truncated"] in {b"true", b"false"}


def test_headers_of_others_are_no_letter() -> None:
    with pytest.raises(ValueError, match="reason"):
        DeadLetter.from_headers([("id", b"x"), ("trace", b"y")])


def test_a_letters_detail_is_cut() -> None:
    _, headers = seal(b"", reason="invalid", topic="t", partition=0, offset=0, seen_at_ms=0, detail="d" * 5_000)
    assert len(DeadLetter.from_headers(headers).detail) == 200


def test_a_whole_snapshot_is_read() -> None:
    assert ModelSnapshot.model_validate_json(json.dumps(SNAPSHOT)).k == 2


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 3},
        {"k": 3},
        {"k": 1, "centroids": SNAPSHOT["centroids"][:1]},
        {"mean": [0.0]},
        {"scale": [1.0, 0.0]},
        {"mean": [float("nan"), 0.0]},
        {"clip": float("inf")},
        {"features": ["f", "f"]},
        {"centroids": [SNAPSHOT["centroids"][0]] * 2},
        {"centroids": [{"id": 0, **SEGMENT}, {"id": 1, **SEGMENT, "centroid": [0.0]}]},
        {"version": True},
        {"version": "1"},
        {"surprise": 1},
        {"features": ["f"] * 65},
    ],
)
def test_a_snapshot_that_does_not_fit_is_refused(change) -> None:
    with pytest.raises(ValidationError):
        ModelSnapshot.model_validate_json(json.dumps(SNAPSHOT | change))


def test_a_number_beyond_a_double_is_no_coordinate() -> None:
    with pytest.raises(ValidationError):
        ModelSnapshot.model_validate_json(json.dumps(SNAPSHOT).replace('"clip": 4.0', '"clip": 1e400'))


@pytest.mark.parametrize(
    "change", [{"vectors": [[1.0]]}, {"vectors": [[1.0, float("nan")]]}, {"vectors": [[1.0, 1e999]]}, {"now": -1}]
)
def test_a_sample_that_does_not_fit_is_refused(change) -> None:
    with pytest.raises(ValidationError):
        FeatureSample.model_validate_json(json.dumps(SAMPLE | change))

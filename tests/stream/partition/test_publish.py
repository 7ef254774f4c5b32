"""What is sent is what the schemas say, read from the row alone."""

from __future__ import annotations

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.columns import COL, EMPTY_ROW, POSITION
from models.judge import NAME_BITS, REASONS
from models.standing import spelled
from schemas.change import SegmentChanged
from schemas.record import SegmentRecord
from schemas.redis_keys import segment_key
from stream.partition import publish

NAMES = ["", "occasional browsers", "frequent high spenders"]


def row(**columns: float) -> NDArray[np.float64]:
    made = EMPTY_ROW.copy()
    for name, value in columns.items():
        made[POSITION[name]] = value
    return made


@st.composite
def judged_rows(draw: st.DrawFn) -> NDArray[np.float64]:
    previous, current = draw(st.integers(-1, 500)), draw(st.integers(0, 500))
    return row(
        segment=current,
        previous=previous,
        since=draw(st.integers(0, 4_000_000_000_000)),
        as_of=draw(st.integers(0, 4_000_000_000_000)),
        rev=draw(st.integers(1, 2**40)),
        ver=draw(st.integers(1, 2**40)),
        epoch=draw(st.integers(0, 2**50)),
        change_epoch=draw(st.integers(0, 2**50)),
        change_reason=draw(st.integers(0, len(REASONS) - 1)),
        change_model=draw(st.integers(1, 2**30)),
        names=(draw(st.integers(0, 2)) << NAME_BITS) | draw(st.integers(0, 2)),
        cart_state=draw(st.integers(0, 2)),
        confidence=draw(st.integers(0, 100)) / 100,
        change_why=(draw(st.integers(0, 2)) << 32) | draw(st.integers(0, 2)),
        standing=draw(st.sampled_from([0, 555, 1_000, 2_111, 5_345])),
    )


@given(judged_rows())
def test_a_redis_record_is_what_the_schema_spells(said: NDArray[np.float64]) -> None:
    ((key, rev, *fields),) = publish.records(["c1"], said[None, :], NAMES)
    stored = dict(zip(map(str, fields[::2]), map(str, fields[1::2]), strict=True))
    record = SegmentRecord.from_hash(stored)
    assert key == segment_key("c1")
    assert rev == record.rev == said[COL.rev]
    assert record.segment == said[COL.segment]
    assert record.name == (NAMES[int(said[COL.names]) & (2**NAME_BITS - 1)] or f"segment {record.segment}")
    assert record.confidence == said[COL.confidence]
    assert (record.lifecycle, record.rfm) == spelled(int(said[COL.standing]))
    assert record.to_hash() == stored


def test_a_customer_without_a_segment_is_warming_up() -> None:
    ((_, _, *fields),) = publish.records(["c1"], row(rev=1, as_of=5)[None, :], NAMES)
    record = SegmentRecord.from_hash(dict(zip(map(str, fields[::2]), map(str, fields[1::2]), strict=True)))
    assert (record.segment, record.name, record.cart) == (None, "warming_up", "none")


@given(judged_rows(), st.text(min_size=1, max_size=20))
def test_a_change_is_valid_and_says_the_row(said: NDArray[np.float64], customer: str) -> None:
    ((key, value),) = publish.changes([customer], said[None, :], NAMES)
    change = SegmentChanged.model_validate_json(value)
    assert key == customer.encode()
    assert change.id == f"{customer}:{int(said[COL.ver])}"
    assert change.previous == (None if said[COL.previous] < 0 else said[COL.previous])
    assert change.current == said[COL.segment]
    assert change.reason == REASONS[int(said[COL.change_reason])]
    assert change.epoch == said[COL.change_epoch]
    assert change.event_time == said[COL.since]
    packed = int(said[COL.change_why])
    assert change.why == [NAMES[number] for number in (packed >> 32, packed & 0xFFFF) if number]


def test_a_change_is_sent_again_byte_for_byte() -> None:
    said = row(segment=2, ver=3, rev=9, names=(1 << NAME_BITS) | 2, change_model=1, change_epoch=7)[None, :]
    first = publish.changes(["c1"], said, NAMES)
    # A later owner: another epoch, a newer record, more names.
    said[0, [COL.epoch, COL.rev, COL.as_of]] = 99, 10, 5
    assert publish.changes(["c1"], said, [*NAMES, "another"]) == first
    assert orjson.loads(first[0][1])["previous_name"] == "warming_up"

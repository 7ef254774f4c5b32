"""The fast path and the models agree, whatever the records hold; every record ends as one event or one letter."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.batch import EventBatch
from schemas.dead_letter import REASONS, Refusal
from schemas.events import FAST_EVENTS
from schemas.folding import fold
from stream.decode import Decoded, Decoder, Portion, judge
from tests.stream.decode_kit import EVENTS, NOW_MS, Raw, event, records

COUNT = int(os.environ.get("LIVESEGMENT_PROPERTY_RECORDS", "100000"))
SEEDS = range(20)
UNORDERED = (("item_event", "item_product"), ("category_event", "category"))
"""Single products and those of items are gathered separately: within a chunk their order is free."""

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=12,
)


def decoder(**changes: Any) -> Decoder:
    return Decoder(**({"currency": "USD", "currency_digits": 2} | changes))


def said(fields: dict[str, Any]) -> dict[str, Any]:
    """An event's fields without the absent ones; no items are the same as none given."""
    items = [{name: value for name, value in item.items() if value is not None} for item in fields.get("items") or ()]
    said_fields = {name: value for name, value in fields.items() if value is not None and name != "items"}
    return said_fields | {"items": items} if items else said_fields


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_fast_path_accepts_the_models_accept_with_equal_fields(seed) -> None:
    documents = [
        document
        for record in records(COUNT // len(SEEDS), random.Random(seed), spoilt=0)
        if isinstance(document := orjson.loads(record.value), dict)
    ]
    accepted = 0
    for document, fast in zip(documents, FAST_EVENTS.validate_python(documents), strict=True):
        if fast is None:
            continue
        accepted += 1
        folded = fold(document, unknown_is_activity=True)
        assert isinstance(folded, dict), (document, folded)
        model = judge(folded)
        if "\0" in fast["customer_id"]:
            assert model == Refusal("invalid_customer", "customer_id: value_error")
            continue
        assert isinstance(model, dict), (document, model)
        assert said(model) == said(fast)
        # What comes out of folding takes the fast path again, with the same meaning.
        (again,) = FAST_EVENTS.validate_python([folded])
        assert again is not None
        assert said(again) == said(fast)
    assert accepted > len(documents) // 10, "the generator makes too few good events to say anything"


def facts(decoded: Decoded) -> list[Any]:
    """Everything that was decoded, in a form that compares; the order of products within a batch means nothing."""
    batch = decoded.batch
    pairs = [_pairs([batch], [0], columns) for columns in UNORDERED]
    columns = [
        name for name in EventBatch.__slots__ if not name.startswith(("item_", "category")) and name != "cart_names"
    ]
    names = [batch.cart_names.get(product) for product in batch.cart_product.tolist()]
    names += [batch.category_names[category] for _, category in pairs[1]]
    return [decoded.letters, decoded.custom, decoded.without_id, decoded.undecodable, pairs, names] + [
        list(getattr(batch, name)) for name in columns
    ]


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_partitions_decoded_in_one_pass_are_what_each_is_alone(seed) -> None:
    rng = random.Random(seed)
    portions = [
        Portion(partition, source, list(records(rng.choice((0, 1, 40, 700)), rng, spoilt=0.2)))
        for partition in (4, 0, 7)
        for source in (0, 1)
    ]
    together = decoder().decode(portions, NOW_MS)
    assert list(together) == [4, 0, 7]
    for partition, decoded in together.items():
        alone = decoder().decode([portion for portion in portions if portion.partition == partition], NOW_MS)
        assert facts(decoded) == facts(alone[partition])


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_every_record_is_one_event_or_one_letter_and_its_neighbours_do_not_matter(seed) -> None:
    log = records(2_000, random.Random(1000 + seed), spoilt=0.2)
    together = decoder().decode([Portion(3, 0, log)], NOW_MS)[3]
    offsets = together.batch.offset.tolist() + [letter.offset for letter in together.letters]
    assert sorted(offsets) == [record.offset for record in log]
    assert {letter.reason for letter in together.letters} <= set(REASONS)
    assert len({letter.reason for letter in together.letters}) >= 8
    alone = [decoder().decode([Portion(3, 0, [record])], NOW_MS)[3] for record in log]
    assert together.letters == [letter for one in alone for letter in one.letters]
    assert together.without_id == sum(one.without_id for one in alone)
    assert_equal(together.batch, [one.batch for one in alone if len(one.batch)])


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_folded_events_mean_the_same_as_the_records_they_come_from(seed) -> None:
    """Send every event of the fast path through the models instead: a field that folding forgets shows here."""
    log = [Raw(orjson.dumps(event(dict(EVENTS[n % 10]), n)), offset=n) for n in range(500)]
    random.Random(seed).shuffle(log)
    log = [Raw(record.value, offset=n) for n, record in enumerate(log)]
    renamed = []
    for record in log:
        document = orjson.loads(record.value)
        document["user_id"], document["messageId"] = document.pop("customer_id"), document.pop("event_id")
        renamed.append(Raw(orjson.dumps(document), offset=record.offset))
    usual = decoder().decode([Portion(0, 0, log)], NOW_MS)[0]
    other = decoder().decode([Portion(0, 0, renamed)], NOW_MS)[0]
    assert usual.letters == other.letters == []
    assert_equal(usual.batch, [other.batch])


@given(st.lists(st.one_of(st.none(), st.binary(max_size=40), JSON.map(orjson.dumps)), max_size=5))
def test_no_bytes_make_it_raise(values) -> None:
    log = [Raw(value, offset=at * 2) for at, value in enumerate(values)]
    decoded = decoder().decode([Portion(0, 1, log)], NOW_MS)[0]
    assert len(decoded.batch) + len(decoded.letters) == len(log)


@settings(max_examples=200)
@given(
    st.sampled_from(EVENTS), st.dictionaries(st.sampled_from(sorted({key for e in EVENTS for key in event(e)})), JSON)
)
def test_no_field_makes_it_raise(fields, changes) -> None:
    log = [Raw(orjson.dumps(event(dict(fields)) | changes))]
    decoded = decoder(unknown_events="dead_letter").decode([Portion(0, 0, log)], NOW_MS)[0]
    assert len(decoded.batch) + len(decoded.letters) == 1


def assert_equal(whole: EventBatch, parts: list[EventBatch]) -> None:
    """Compare all columns; positions in the parts count from their own start."""
    starts = np.cumsum([0, *(len(part) for part in parts)])
    for name in EventBatch.__slots__:
        expected = getattr(whole, name)
        if name in {"cart_names", "category_names"}:
            assert expected == {product: said for part in parts for product, said in getattr(part, name).items()}
            continue
        if any(name in columns for columns in UNORDERED):
            continue
        if isinstance(expected, list):
            assert expected == [value for part in parts for value in getattr(part, name)]
            continue
        shift = name in {"cart_event", "order_event"}
        found = [getattr(part, name) + (start if shift else 0) for part, start in zip(parts, starts, strict=False)]
        joined = np.concatenate(found)
        assert joined.dtype == expected.dtype
        np.testing.assert_array_equal(joined, expected, err_msg=name)
    for columns in UNORDERED:
        assert _pairs([whole], [0], columns) == _pairs(parts, starts.tolist(), columns)


def _pairs(parts: list[EventBatch], starts: list[int], columns: tuple[str, str]) -> list[tuple[int, int]]:
    """Positions and hashes of some batches that follow each other, sorted."""
    return sorted(
        (at + start, hashed)
        for part, start in zip(parts, starts, strict=False)
        for at, hashed in zip(*(getattr(part, name).tolist() for name in columns), strict=True)
    )

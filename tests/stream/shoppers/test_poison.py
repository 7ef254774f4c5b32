"""Poison is refused with the reason that its sort promises, and well-formed shoppers are accepted to the last event."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from models.batch import SOURCES
from schemas.dead_letter import REASONS
from stream.decode import Decoder, Portion
from stream.shoppers import POISON_SORTS, Config, generate
from stream.shoppers.config import DEFAULT_START_MS

NOW_MS = DEFAULT_START_MS + 800 * 86_400_000


def decode(records, topic="clickstream"):
    decoder = Decoder(currency="USD", currency_digits=2)
    consumed = [
        SimpleNamespace(key=key, value=value, offset=offset, timestamp=NOW_MS)
        for offset, (key, value, *_) in enumerate(records)
    ]
    return decoder.decode([Portion(0, SOURCES.index(topic), consumed)], NOW_MS)[0]


@pytest.mark.parametrize("sort", POISON_SORTS, ids=lambda sort: sort.name)
@pytest.mark.parametrize("number", range(6))
def test_each_sort_is_refused_with_a_reason_it_names(sort, number):
    assert sort.reasons <= set(REASONS)
    key, value = sort.build(b"c0000001", number, DEFAULT_START_MS)
    decoded = decode([(key, value)])
    if sort.reasons == {"key_mismatch"}:  # decoding cannot know: the key is looked at when a customer is new
        (customer,) = decoded.batch.customer
        assert customer.encode() != key
        assert not decoded.letters
    else:
        (letter,) = decoded.letters
        assert letter.reason in sort.reasons


def test_wrong_keys_belong_to_customers_who_do_nothing_else():
    builders = [sort.build for sort in POISON_SORTS if sort.reasons == {"key_mismatch"}]
    strangers = {decode([build(b"c1", i, DEFAULT_START_MS)]).batch.customer[0] for i in range(9) for build in builders}
    assert not any(customer.startswith("c") for customer in strangers)


@pytest.mark.parametrize("acceleration", [None, 10.0])
def test_every_event_is_accepted_and_the_money_adds_up(acceleration):
    rate = None if acceleration is None else 1_000.0
    config = Config(customers=300, events=20_000, rate_per_s=rate, acceleration=acceleration, disorder_s=20.0)
    orders, revenue, refunds, events = set(), 0, 0, 0
    for chunk in generate(config, np.random.default_rng(3)):
        for topic in SOURCES:
            decoded = decode(getattr(chunk, topic), topic)
            assert not decoded.letters
            assert decoded.without_id == 0
            assert set(decoded.custom) <= {"share"}
            events += len(decoded.batch)
        batch = decoded.batch
        bought = batch.kind[batch.order_event] == 11
        orders |= set(batch.order_hash[bought].tolist())
        revenue += int(batch.order_amount_minor[bought].sum())
        refunds += int(batch.order_amount_minor[~bought].sum())
        totals = chunk.totals
        assert int(batch.order_amount_minor[bought].sum()) == totals.revenue_minor
        assert int(batch.order_amount_minor[~bought].sum()) == totals.refunds_minor
    assert events == 20_000
    assert len(orders) > 200
    assert revenue > refunds > 0

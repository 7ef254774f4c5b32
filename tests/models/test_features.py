from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import features
from models.catalogue import FEATURES, MODEL_FEATURES
from models.columns import CustomerTable
from schemas.kinds import Kind
from tests.oracle.compare import applied
from tests.oracle.histories import START, histories, numbered, spread
from tests.oracle.shop import DAY, Event


@settings(max_examples=100)
@given(histories(), st.integers(-DAY, 9_000 * DAY))
def test_every_feature_is_finite_and_never_negative(history, later):
    run = applied([history])
    values = features.read(run.table, np.arange(len(run.table)), START + later, tuple(FEATURES))
    assert np.isfinite(values).all()
    assert (values >= 0).all()


@settings(max_examples=30)
@given(histories(), st.permutations(tuple(FEATURES)))
def test_features_are_the_same_in_any_order_and_choice(history, names):
    run = applied([history])
    slots = np.arange(len(run.table))
    every = features.read(run.table, slots, START, tuple(FEATURES))
    some = features.read(run.table, slots, START, names[:7])
    assert np.array_equal(some, every[:, [tuple(FEATURES).index(name) for name in names[:7]]])


def test_model_vectors_are_the_model_features_in_their_order():
    run = applied([numbered([Event("a", START, Kind.SEARCH, spread(1))])])
    vector = features.read(run.table, np.array([0]), START + DAY)
    told = features.describe(run.table, 0, START + DAY)
    assert vector[0].tolist() == [told[name] for name in MODEL_FEATURES]


def test_time_that_passes_ages_a_customer_without_an_event():
    run = applied([numbered([Event("a", START, Kind.SEARCH, spread(1))])])
    fresh, old = (features.describe(run.table, 0, START + days * DAY) for days in (0, 7))
    assert (fresh["searches_hl7d"], old["searches_hl7d"]) == (pytest.approx(1.0), pytest.approx(0.5))
    assert (fresh["sessions_7d"], old["sessions_7d"], old["days_since_seen"]) == (1, 0, 7)


def test_now_before_the_latest_event_reads_at_that_event():
    run = applied([numbered([Event("a", START, Kind.SEARCH, spread(1))])])
    assert features.describe(run.table, 0, START - 9 * DAY) == features.describe(run.table, 0, START)


def test_silence_reads_as_the_prior_not_as_never():
    run = applied([numbered([Event("a", START, Kind.SEARCH, spread(1))])])
    told = features.describe(run.table, 0, START)
    assert (told["view_to_cart"], told["cart_to_order"], told["days_since_order"]) == (0.1, 0.3, 365)


def test_orders_of_a_shop_without_carts_say_nothing_of_carts():
    orders = [Event("a", START, Kind.PURCHASE, spread(number), order=spread(number), amount=500) for number in (1, 2)]
    run = applied([numbered(orders)])
    told = features.describe(run.table, 0, START)
    assert (told["orders_hl30d"], told["cart_to_order"]) == (pytest.approx(2.0), 0.3)


def test_no_customers_have_no_features():
    assert features.read(CustomerTable(), np.array([], dtype=np.int64), START).shape == (0, len(MODEL_FEATURES))

"""The shoppers keep their promises: reproducible, exactly counted, with the truth kept aside."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

import numpy as np
import orjson
import pytest

from schemas.kinds import Kind
from stream.shoppers import ARCHETYPES, POISON, POISON_SORTS, Config, Totals, generate
from stream.shoppers.config import DAY_MS, DEFAULT_SPAN_MS, DEFAULT_START_MS
from stream.shoppers.disturb import DUPLICATE_REACH


def run(**settings):
    """(clickstream, purchases, totals, shoppers, moves) of a whole finite simulation."""
    config = Config(**({"customers": 300, "events": 20_000, "chunk_events": 2_000} | settings))
    shoppers = generate(config, np.random.default_rng(config.seed))
    clickstream, purchases, moves, totals = [], [], [], Totals()
    for chunk in shoppers:
        clickstream += chunk.clickstream
        purchases += chunk.purchases
        moves += chunk.moves
        totals.add(chunk.totals)
    return clickstream, purchases, totals, shoppers, moves


def fingerprint(*topics):
    digest = hashlib.sha256()
    for records in topics:
        for key, value, time_ms, kind in records:
            digest.update(repr((key, value, time_ms, kind)).encode())
    return digest.hexdigest()


def well_formed(records):
    return [record for record in records if record[3] != POISON]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_shares_no_event_id():
    settings = {"duplicates": 0.02, "poison": 0.01, "disorder_s": 30.0, "drift": True}
    first, again, other = run(**settings), run(**settings), run(seed=8, **settings)
    assert fingerprint(*first[:2]) == fingerprint(*again[:2])
    ids = [{orjson.loads(r[1])["event_id"] for r in well_formed(one[0] + one[1])} for one in (first, other)]
    assert not ids[0] & ids[1]


def test_the_totals_are_what_reading_the_records_gives():
    clickstream, purchases, totals, _, _ = run(duplicates=0.05, poison=0.02, disorder_s=60.0)
    seen, types, copies = set(), Counter(), 0
    orders, money_minor, refunds_minor = set(), 0, 0
    for _key, value, _, _ in well_formed(clickstream + purchases):
        event = orjson.loads(value)
        if event["event_id"] in seen:
            copies += 1
            continue
        seen.add(event["event_id"])
        types[event["event_type"]] += 1
        if event["event_type"] == "purchase":
            orders.add(event["order_id"])
            money_minor += round(event["value"] * 100)
        if event["event_type"] == "refund":
            refunds_minor += round(event["value"] * 100)
    assert types == totals.events
    assert types.total() == 20_000
    assert copies == totals.duplicates > 500
    assert (len(orders), money_minor, refunds_minor) == (totals.orders, totals.revenue_minor, totals.refunds_minor)
    assert totals.orders == types["purchase"]
    assert totals.refunds_minor > 0
    assert totals.topics == {"clickstream": len(clickstream), "purchases": len(purchases)}
    assert totals.records == len(clickstream) + len(purchases)
    assert sum(r[3] == POISON for r in clickstream + purchases) == totals.poison.total()


def test_every_record_says_of_itself_what_its_value_says():
    names = {"purchase": Kind.PURCHASE, "refund": Kind.REFUND, "add_to_cart": Kind.ADD_TO_CART, "share": Kind.ACTIVITY}
    clickstream, purchases, _, _, _ = run()
    for key, value, time_ms, kind in clickstream + purchases:
        event = orjson.loads(value)
        assert key == event["customer_id"].encode()
        assert time_ms == event["event_time"]
        assert names.get(event["event_type"], kind) == kind
    assert {record[3] for record in purchases} == {Kind.PURCHASE, Kind.REFUND}
    assert not {record[3] for record in clickstream} & {Kind.PURCHASE, Kind.REFUND}


def test_the_true_labels_are_known_aside_and_never_in_a_record():
    clickstream, purchases, _, shoppers, _ = run(poison=0.01)
    truth = shoppers.truth()
    names = {archetype.name for archetype in ARCHETYPES}
    assert len(truth) == 300
    assert set(truth.values()) == names
    everything = b"".join(value or b"" for _, value, _, _ in clickstream + purchases)
    assert not any(name.encode() in everything for name in names)


def test_moves_lead_from_the_first_truth_to_the_last():
    config = Config(customers=500, events=40_000, drift=True)
    shoppers = generate(config, np.random.default_rng(1))
    labels = shoppers.truth()
    moves = [move for chunk in shoppers for move in chunk.moves]
    assert moves
    for move in moves:
        assert labels[move.customer_id] == move.previous != move.current
        labels[move.customer_id] = move.current
    assert labels == shoppers.truth()


def test_drift_changes_the_mix_and_its_absence_keeps_it():
    def hunters(drift):
        *_, shoppers, _ = run(customers=400, events=60_000, drift=drift)
        return Counter(shoppers.truth().values())["bargain_hunter"] / 400

    assert hunters(drift=False) == pytest.approx(0.18, abs=0.07)
    assert hunters(drift=True) > 0.27


def test_archetypes_behave_apart():
    clickstream, purchases, _, shoppers, moves = run(customers=600, events=60_000)
    moved = {move.customer_id for move in moves}
    truth = {customer: name for customer, name in shoppers.truth().items() if customer not in moved}
    counts, money = defaultdict(Counter), defaultdict(list)
    for _key, value, _, _ in clickstream + purchases:
        event = orjson.loads(value)
        name = truth.get(event["customer_id"])
        counts[name][event["event_type"]] += 1
        if event["event_type"] == "purchase":
            money[name].append(event["value"])

    def share(name, event_type):
        return counts[name][event_type] / counts[name].total()

    assert share("bargain_hunter", "search") > 3 * share("loyal_regular", "search")
    assert share("window_shopper", "purchase") < 0.1 * share("loyal_regular", "purchase")
    assert share("cart_abandoner", "add_to_cart") > 2 * share("bargain_hunter", "add_to_cart")
    assert share("cart_abandoner", "purchase") < 0.4 * share("loyal_regular", "purchase")
    assert np.median(money["big_spender"]) > 4 * np.median(money["loyal_regular"])
    assert np.median(money["bargain_hunter"]) < 0.8 * np.median(money["loyal_regular"])


def test_those_who_lapse_fall_silent():
    clickstream, *_, shoppers, moves = run(customers=400, events=80_000)
    moved = {move.customer_id for move in moves}
    lapsing = {c.encode() for c, name in shoppers.truth().items() if name == "lapsing_one_timer" and c not in moved}
    times = [time_ms for key, _, time_ms, _ in clickstream if key in lapsing]
    middle = (clickstream[0][2] + clickstream[-1][2]) // 2
    assert sum(t > middle for t in times) < 0.4 * len(times)


def test_orders_add_up_and_a_removed_article_is_not_bought():
    clickstream, purchases, _, _, _ = run()
    carts = defaultdict(Counter)
    for _key, value, _, _ in clickstream:
        event = orjson.loads(value)
        if event["event_type"] in {"add_to_cart", "remove_from_cart"}:
            sign = 1 if event["event_type"] == "add_to_cart" else -1
            carts[event["session_id"]][event["product_id"]] += sign * event["quantity"]
    bought = {}
    for _key, value, _, kind in purchases:
        event = orjson.loads(value)
        if kind == Kind.REFUND:
            assert 0 < event["value"] <= bought[event["order_id"]] + 1e-9
            continue
        bought[event["order_id"]] = event["value"]
        lines = Counter()
        for item in event["items"]:
            lines[item["product_id"]] += item["quantity"]
        assert lines == +carts[event["session_id"]]
        total_minor = sum(round(item["price"] * 100) * item["quantity"] for item in event["items"])
        paid_percent = 85 if "coupon" in event else 100
        assert round(event["value"] * 100) == total_minor * paid_percent // 100


def test_more_carts_are_left_than_bought_by_abandoners_only():
    _, _, totals, _, _ = run()
    assert totals.events["purchase"] < totals.events["begin_checkout"] < totals.events["add_to_cart"]


def test_duplicates_follow_their_original_closely_and_exactly():
    clickstream, purchases, totals, _, _ = run(duplicates=0.1)
    found = 0
    for records in (clickstream, purchases):
        first = {}
        for position, record in enumerate(records):
            event_id = orjson.loads(record[1])["event_id"]
            if event_id in first:
                found += 1
                assert records[first[event_id]] == record
                # Other copies may stand between the two.
                assert position - first[event_id] <= 2 * DUPLICATE_REACH + 2
            else:
                first[event_id] = position
    assert found == totals.duplicates
    assert found == pytest.approx(2_000, rel=0.15)


@pytest.mark.parametrize("acceleration", [None, 50.0])
def test_disorder_is_bounded_by_its_seconds(acceleration):
    rate = None if acceleration is None else 100.0
    for disorder_s in (0.0, 90.0):
        clickstream, purchases, *_ = run(disorder_s=disorder_s, acceleration=acceleration, rate_per_s=rate)
        for records in (clickstream, purchases):
            times = np.array([record[2] for record in records])
            behind = np.maximum.accumulate(times) - times
            assert behind.max() <= disorder_s * 1_000
            assert disorder_s == 0 or behind.max() > 30_000


def test_the_day_has_a_rhythm():
    clickstream, *_ = run(customers=2_000, events=60_000)
    hours = np.bincount([time_ms // 3_600_000 % 24 for _, _, time_ms, _ in clickstream], minlength=24)
    assert hours[18:22].sum() > 5 * hours[1:5].sum()


def test_a_given_acceleration_stamps_evenly():
    config = Config(customers=100, events=1_000, rate_per_s=500.0, acceleration=60.0, start_ms=1_000_000_000_000)
    records = [r for chunk in generate(config, np.random.default_rng(1)) for r in chunk.clickstream + chunk.purchases]
    times = sorted(record[2] for record in records)
    assert times == [1_000_000_000_000 + 120 * i for i in range(1_000)]


def test_the_clock_stops_following_behaviour_at_the_horizon():
    clickstream, purchases, *_ = run(customers=3, events=30_000)
    times = [record[2] for record in clickstream + purchases]
    assert max(times) < DEFAULT_START_MS + DEFAULT_SPAN_MS + 30_000
    assert max(times) > DEFAULT_START_MS + DEFAULT_SPAN_MS


def test_every_sort_of_poison_comes_and_says_what_reason_is_right():
    clickstream, purchases, totals, _, _ = run(events=30_000, poison=0.1)
    assert set(totals.poison) == {sort.name for sort in POISON_SORTS}
    assert all(sort.reasons for sort in POISON_SORTS)
    bad = [record for record in clickstream + purchases if record[3] == POISON]
    values = [value for _, value, _, _ in bad]
    assert None in values
    assert max(len(value or b"") for value in values) > 900_000
    assert {key for key, _, _, _ in bad} >= {None, b""}
    assert any(record[3] == POISON for record in purchases)


def test_poison_leaves_the_events_as_they_are():
    clean, poisoned = run(), run(poison=0.05)
    for topic in (0, 1):
        assert well_formed(poisoned[topic]) == clean[topic]


def test_simulated_time_passes_at_behaviours_own_speed():
    clickstream, *_ = run(customers=2_000, events=50_000)
    days = (clickstream[-1][2] - clickstream[0][2]) / DAY_MS
    assert 3 < days < 15


@pytest.mark.parametrize(
    "bad",
    [
        {"customers": 0},
        {"events": -1},
        {"duplicates": 1.5},
        {"poison": -0.1},
        {"disorder_s": -1.0},
        {"acceleration": 2.0},
        {"rate_per_s": 0.0},
        {"chunk_events": 0},
    ],
)
def test_a_config_out_of_bounds_is_refused(bad):
    with pytest.raises(ValueError, match=":"):
        Config(**bad)


def test_no_events_are_no_chunks():
    assert list(generate(Config(events=0), np.random.default_rng(1))) == []

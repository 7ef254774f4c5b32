from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models import rows
from models.apply import Watermarks, apply
from models.catalogue import FEATURES
from models.columns import COL, CustomerTable
from schemas.kinds import Kind
from tests.oracle.compare import Run, applied, differences, judged, unlike
from tests.oracle.histories import START, batch_of, cuts, histories, numbered, spread, unique
from tests.oracle.shop import DAY, HOUR, Event, Operation

CLASS_A = [feature.name for feature in FEATURES.values() if feature.trust == "A"]
ORDER_COUNTS = ["orders", "orders_hl7d", "orders_hl30d", "orders_hl180d", "average_order_value", "cart_to_order"]


@settings(max_examples=300)
@given(histories(), st.data(), st.sampled_from([0, HOUR, 9 * DAY, 4_000 * DAY]))
def test_a_batch_applied_at_once_equals_the_oracle_one_by_one(history, data, later):
    history = [replace(e, key=data.draw(st.sampled_from([None, b"c0"]))) if e.customer == "c0" else e for e in history]
    run, shop = applied(cuts(data.draw, history)), judged(history)
    assert differences(run, shop, START + later) == []


@settings(max_examples=150)
@given(histories(customers=1, span=20 * HOUR), st.data())
def test_ids_that_evict_each_other_within_a_batch_equal_the_oracle(history, data):
    assert differences(applied(cuts(data.draw, history)), judged(history), START) == []


@settings(max_examples=100)
@given(histories(customers=2, kinds=[Kind.ORDER_LINE, Kind.PURCHASE, Kind.REFUND], most=80), st.data())
def test_orders_lines_and_refunds_equal_the_oracle(history, data):
    assert differences(applied(cuts(data.draw, history)), judged(history), START + 90 * DAY) == []


@settings(max_examples=40)
@given(st.integers(0, 10**9).map(Random), st.integers(45, 130), st.data())
def test_carts_that_overflow_equal_the_oracle_in_any_order(random, size, data):
    history = [_event(at, time=START + random.randrange(20 * DAY), **_some_operation(random)) for at in range(size)]
    history.append(_event(size, kind=Kind.PURCHASE, order=1, time=START + random.randrange(9 * DAY)))
    run = applied(cuts(data.draw, numbered(history)))
    assert differences(run, judged(numbered(history)), START + 90 * DAY) == []
    random.shuffle(history)
    again = applied(cuts(data.draw, numbered(history)))
    assert unlike(run, again, START, CLASS_A) == []
    assert [_cart(run), len(_cart(run) or b"") <= 16 + 50 * 40] == [_cart(again), True]


def _some_operation(random) -> dict:
    adds = random.random() < 0.7
    change = Operation(spread(random.randrange(6)), (1 if adds else -1) * random.randrange(1, 4), random.randrange(900))
    return {"kind": Kind.ADD_TO_CART if adds else Kind.REMOVE_FROM_CART, "operations": (change,)}


def _cart(run: Run) -> bytes | None:
    return run.table.carts.blobs.get(0)


def test_a_cart_of_over_50_operations_says_that_it_is_truncated_until_it_is_bought():
    add = {"kind": Kind.ADD_TO_CART, "operations": (Operation(5, 1, 10),)}
    run = applied([numbered([_event(at, time=START + at, **add) for at in range(300)])])
    (found,) = run.describe(START).values()
    assert (found["cart_items"], found["cart_value"], found["cart_truncated"]) == (50, 500, 1)
    assert len(run.table.carts.blobs[0]) == 16 + 50 * 40
    run.apply([_event(1_000, kind=Kind.PURCHASE, time=START + 299, source=1)])
    (found,) = run.describe(START).values()
    assert (found["cart_items"], found["cart_truncated"]) == (0, 0)


@settings(max_examples=200)
@given(histories(), st.randoms(use_true_random=False), st.data())
def test_class_a_is_the_same_in_any_order_any_split_and_any_interleaving(history, random, data):
    history = unique(history)
    shuffled = list(history)
    random.shuffle(shuffled)
    left, right = applied(cuts(data.draw, history)), applied(cuts(data.draw, numbered(shuffled)))
    slack = sum(event.amount for event in history)
    assert unlike(left, right, START + 40 * DAY, [*CLASS_A, *ORDER_COUNTS, "events", "custom"], slack) == []


@settings(max_examples=200)
@given(histories(customers=2, span=23 * HOUR, most=24), st.randoms(use_true_random=False), st.data())
def test_class_b_is_the_same_in_any_order_within_a_day(history, random, data):
    # At most 12 events: fewer than 16 ids a customer, each then sent up to twice, byte for byte.
    once = [replace(e, order=spread(at)) for at, e in enumerate(unique(history[:12]))]
    sent = once + data.draw(st.lists(st.sampled_from(once), max_size=12))
    shuffled = list(sent)
    random.shuffle(shuffled)
    left, right = applied(cuts(data.draw, numbered(sent))), applied(cuts(data.draw, numbered(shuffled)))
    slack = sum(event.amount for event in sent)
    assert unlike(left, right, START + 40 * DAY, FEATURES, slack) == []
    assert left.totals == right.totals
    assert left.totals["applied"] == len(once)


@settings(max_examples=100)
@given(histories(), st.data())
def test_a_crash_and_a_replay_change_nothing(history, data):
    run, shop = applied(cuts(data.draw, history)), judged(history)
    before = rows.encode(run.table, np.arange(len(run.table)))
    again = data.draw(st.integers(0, len(history) - 1))
    replayed = run.apply(history[again:])
    assert (replayed.replayed, replayed.applied, len(replayed.touched)) == (len(history) - again, 0, 0)
    assert rows.encode(run.table, np.arange(len(run.table))) == before
    assert differences(applied([history]), shop, START) == []


@settings(max_examples=60)
@given(histories(), st.data())
def test_pruning_at_any_moment_changes_nothing(history, data):
    history = sorted(history, key=lambda event: event.time) if data.draw(st.booleans()) else history
    kept, pruned = Run(), Run()
    # A late order line is looked up as well as memory allows: the one documented exception.
    history = numbered([e for e in history if e.kind is not Kind.ORDER_LINE])
    for batch in cuts(data.draw, history):
        kept.apply(batch)
        pruned.apply(batch)
        pruned.table.prune(pruned.watermarks.oldest)
    assert unlike(kept, pruned, START, FEATURES) == []
    assert kept.totals == pruned.totals


def test_pruning_forgets_who_has_been_away():
    run = applied([numbered([_event(1), _event(2, customer="b", time=START + 3 * DAY)])])
    assert len(run.table.recent_events) == 2
    assert run.table.prune(run.watermarks.oldest) == 1
    assert (run.table.recent_events.get(0), len(run.table.recent_events.get(1))) == ([], 1)


def _event(number: int, *, customer: str = "a", time: int = START, kind: Kind = Kind.VIEW_ITEM, **more) -> Event:
    return Event(customer=customer, time=time, kind=kind, id=spread(number), **more)


def test_a_repeated_purchase_only_raises_duplicates():
    first = _event(1, kind=Kind.PURCHASE, order=7, amount=500)
    reload = _event(2, time=START + 6 * HOUR, kind=Kind.PURCHASE, order=7, amount=500)
    run = applied([numbered([first, reload])])
    (found,) = run.describe(START).values()
    assert (found["orders"], found["spend_minor"], found["duplicates"], found["events"]) == (1, 500, 1, 1)
    assert (found["last_order_at"], found["last_seen"]) == (START, START)
    assert run.totals["order_repeat"] == 1


def test_every_line_of_an_order_is_money_and_the_order_counts_once():
    lines = [_event(n, kind=Kind.ORDER_LINE, order=7, amount=100) for n in range(40)]
    (found,) = applied([numbered(lines)]).describe(START).values()
    assert (found["orders"], found["spend_minor"], found["events"]) == (1, 4_000, 40)


def test_an_order_of_value_0_is_an_order():
    (found,) = applied([numbered([_event(1, kind=Kind.PURCHASE, order=1)])]).describe(START).values()
    assert (found["orders"], found["spend_minor"], found["days_since_order"]) == (1, 0, 0)


def test_a_refund_undoes_no_order_and_moves_no_recency_and_no_cart():
    events = [
        _event(1, kind=Kind.PURCHASE, order=1, amount=900),
        _event(2, time=START + HOUR, kind=Kind.ADD_TO_CART, operations=(Operation(5, 2, 50),)),
        _event(3, time=START + 2 * HOUR, kind=Kind.REFUND, order=1, amount=2_000),
    ]
    (found,) = applied([numbered(events)]).describe(START).values()
    assert (found["orders"], found["spend_minor"], found["refunds_minor"]) == (1, 900, 2_000)
    assert (found["last_order_at"], found["cart_value"], found["spend_hl7d"]) == (START, 100, 0)


def test_a_late_event_is_applied_and_counted_by_its_own_topics_clock_only():
    events = [
        _event(1, source=1, time=START),
        _event(2, time=START - 2 * DAY),
        _event(3, time=START),
        _event(2, time=START - 2 * DAY),
    ]
    run = applied([numbered(events)])
    (found,) = run.describe(START).values()
    # The first event of two days ago was the newest of its topic; its repeat came too late to be looked up.
    assert (found["late"], found["events"], found["duplicates"], run.totals["late"]) == (1, 4, 0, 1)


def test_a_late_add_older_than_the_last_purchase_does_not_reopen_the_cart():
    buy = _event(1, kind=Kind.PURCHASE, order=1, amount=100)
    for add_at, items in ((START - HOUR, 0), (START, 0), (START + 1, 1)):
        add = _event(2, time=add_at, kind=Kind.ADD_TO_CART, operations=(Operation(5, 1, 50),))
        for log in ([buy, add], [add, buy]):
            (found,) = applied([[event] for event in numbered(log)]).describe(START).values()
            assert found["cart_items"] == items


def test_a_wrong_key_is_refused_and_makes_no_customer():
    events = numbered([_event(1, key=b"b"), _event(2, key=b"a"), _event(3, key=b"b")])
    done = applied([[]]).apply(events)
    # The key is looked at once per customer: the third event finds the customer known.
    assert (done.refused, done.applied, done.touched.tolist()) == ([0], 2, [0])


def test_what_apply_says_it_touched_is_dirty_and_nothing_else():
    run = applied([numbered([_event(1), _event(2, customer="b"), _event(3, customer="c")])])
    run.table.dirty[:] = False
    done = run.apply([replace(_event(9, customer="b"), offset=10)])
    assert done.touched.tolist() == [1]
    assert run.table.dirty.tolist() == [False, True, False]


def test_only_customers_with_something_of_a_cart_are_cart_touched():
    run = Run()
    add = _event(1, kind=Kind.ADD_TO_CART, operations=(Operation(5, 1, 50),))
    assert run.apply(numbered([_event(2, customer="b"), add])).cart_touched.tolist() == [1]
    buy = _event(3, time=START + 1, kind=Kind.PURCHASE, source=1, order=2, amount=1)
    assert run.apply([buy]).cart_touched.tolist() == [1]
    assert len(run.table.carts) == 0
    assert run.apply(numbered([_event(4, customer="b", time=START + 2)] * 9)[8:]).cart_touched.tolist() == []


def test_an_empty_batch_is_nothing():
    done = apply(CustomerTable(), batch_of([]), Watermarks(5, 6), lambda _customer, _key: True)
    assert (done.applied, len(done.touched), done.watermarks, done.watermarks.oldest) == (0, 0, (5, 6), 5)


def test_the_published_part_is_not_apply_s():
    run = applied([numbered([_event(1)])])
    said = run.table.gather(np.array([0]))
    said[:, COL.segment :] = 7
    run.table.scatter(np.array([0]), said)
    run.apply([replace(_event(2), offset=5)])
    assert (run.table.gather(np.array([0]))[0, COL.segment :] == 7).all()

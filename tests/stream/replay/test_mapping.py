"""What a row of a file becomes: every rule of the mapping, and what is left for a worker to refuse."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import WrongUsage
from stream.replay import Columns, event, outgoing, verbatim
from stream.replay.mapping import FIELDS, number, plain, times


def mapped(row, **overrides):
    return event(row, Columns.resolve(row, overrides))


def test_a_row_with_order_id_quantity_and_price_is_a_line_of_an_order():
    row = {
        "event_type": "purchase",
        "customer_id": "17850",
        "order_id": "536365",
        "product_id": "85123A",
        "price": 2.55,
        "quantity": 6.0,
        "amount": 15.3,
    }
    line = mapped(row)
    assert line["event_type"] == "order_line"
    assert (line["quantity"], type(line["quantity"])) == (6, int)
    assert (line["price"], line["amount"], line["order_id"], line["product_id"]) == (2.55, 15.3, "536365", "85123A")


def test_a_purchase_with_order_id_and_amount_is_one_order_of_that_value():
    order = mapped({"event_type": "purchase", "customer_id": "1", "order_id": "cd0", "amount": 11.77, "quantity": 1.0})
    assert order == {"event_type": "purchase", "customer_id": "1", "order_id": "cd0", "value": 11.77}


def test_a_purchase_with_a_price_alone_is_worth_its_price():
    order = mapped({"event_type": "purchase", "customer_id": "1", "product_id": "p", "price": 35.79})
    assert order["value"] == 35.79
    assert order["items"] == [{"product_id": "p", "price": 35.79}]
    assert "price" not in order


def test_a_purchase_with_price_and_quantity_but_no_order_is_worth_both_in_decimals():
    assert mapped({"event_type": "purchase", "customer_id": "1", "price": 1.1, "quantity": 3.0})["value"] == 3.3


def test_a_purchase_without_money_stays_a_purchase():
    order = mapped({"event_type": "purchase", "customer_id": "1", "product_id": 1715})
    assert order == {"event_type": "purchase", "customer_id": "1", "items": [{"product_id": 1715}]}


def test_units_that_are_not_whole_leave_only_the_money():
    row = {"event_type": "purchase", "customer_id": "1", "order_id": "o", "price": 3.0, "quantity": 0.5}
    assert mapped(row) == {"event_type": "order_line", "customer_id": "1", "order_id": "o", "amount": 1.5}


@pytest.mark.parametrize(
    "money", [{"amount": -27.5}, {"value": 27.5}, {"price": 13.75, "quantity": -2.0}, {"price": 27.5}]
)
def test_a_refund_is_worth_its_absolute_amount(money):
    refund = mapped({"event_type": "refund", "customer_id": "1", "order_id": "C1", **money})
    assert refund == {"event_type": "refund", "customer_id": "1", "order_id": "C1", "amount": 27.5}


def test_other_types_pass_as_they_are():
    row = {"event_type": "adjustment", "customer_id": "1", "order_id": "o", "price": 0.0, "quantity": -56.0}
    assert mapped(row) == {**row, "quantity": -56}
    assert outgoing(row, Columns.resolve(row, {})).topic == "clickstream"


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("purchase", "purchases"),
        ("refund", "purchases"),
        ("Order Completed", "purchases"),
        ("view_item", "clickstream"),
        ("home", "clickstream"),
        (None, "clickstream"),
        (7, "clickstream"),
    ],
)
def test_orders_go_to_purchases_and_the_rest_to_the_clickstream(name, topic):
    row = {"event_type": name, "customer_id": "1"}
    assert outgoing(row, Columns.resolve(row, {})).topic == topic


@pytest.mark.parametrize("nothing", [None, "", float("nan"), float("inf")])
def test_null_and_nan_are_left_out_so_that_a_worker_sees_a_missing_customer(nothing):
    row = {"event_type": "view_item", "customer_id": nothing, "price": nothing}
    sent = outgoing(row, Columns.resolve(row, {}))
    assert sent.key is None
    assert orjson.loads(sent.value) == {"event_type": "view_item"}


@pytest.mark.parametrize(
    ("customer", "key"),
    [("00001", b"00001"), (17850, b"17850"), (17850.0, b"17850"), ("é", "é".encode()), (17850.5, None), (True, None)],
)
def test_the_key_is_the_customers_bytes(customer, key):
    row = {"event_type": "view_item", "customer_id": customer}
    assert outgoing(row, Columns.resolve(row, {})).key == key


def test_another_column_can_be_named_and_wins_over_the_automatic_one():
    row = {"event_type": "view_item", "customer_id": "machine", "buyer": "person"}
    assert mapped(row, customer_id="buyer")["customer_id"] == "person"


@pytest.mark.parametrize("overrides", [{"colour": "event_type"}, {"customer_id": "nobody"}])
def test_a_map_that_cannot_be_meant_is_refused(overrides):
    with pytest.raises(WrongUsage, match="--map"):
        Columns.resolve(["event_type", "customer_id"], overrides)


def test_a_file_without_a_needed_column_says_which_map_would_help():
    with pytest.raises(WrongUsage, match="--map customer_id=COLUMN"):
        Columns.resolve(["event_type", "event_time", "who"], {}).require("shop.csv")


@pytest.mark.parametrize(
    ("time", "fields"),
    [
        (1_291_191_960_000, {"event_time": 1_291_191_960_000}),
        ("1291191960000", {"event_time": 1_291_191_960_000}),
        ("2010-12-01T08:26:00Z", {"event_time": 1_291_191_960_000}),
        ("2010-12-01T09:26:00+01:00", {"event_time": 1_291_191_960_000}),
        ("2010-12-01T08:26:00", {"timestamp": "2010-12-01T08:26:00"}),
        ("yesterday", {"timestamp": "yesterday"}),
        (datetime(2010, 12, 1, 8, 26), {"timestamp": "2010-12-01T08:26:00"}),  # noqa: DTZ001 - that is the point
        (date(2010, 12, 1), {"timestamp": "2010-12-01"}),
    ],
)
def test_times_are_milliseconds_where_they_say_a_zone_and_are_never_guessed(time, fields):
    row = {"event_type": "view_item", "customer_id": "1", "event_time": time}
    found = mapped(row)
    assert {name: found[name] for name in ("event_time", "timestamp") if name in found} == fields


def test_numbers_are_written_as_they_stand_in_the_file():
    row = {"event_type": "view_item", "customer_id": "1", "price": "2.50", "quantity": "3", "event_time": "1"}
    value = outgoing(row, Columns.resolve(row, {})).value
    assert b'"price":2.5,' in value
    assert b'"quantity":3' in value
    assert number("2,50") == "2,50"
    assert number("1e400") == "1e400"


def test_a_cell_that_is_no_utf8_still_becomes_a_record():
    broken = b"caf\xe9".decode("utf-8", "surrogateescape")
    row = {"event_type": "view_item", "customer_id": "1", "category": broken}
    sent = outgoing(row, Columns.resolve(row, {}))
    with pytest.raises(ValueError, match="line 1"):
        orjson.loads(sent.value)
    assert sent.key == b"1"


def test_ga4_and_segment_objects_keep_their_bytes_and_get_key_and_topic():
    line = (
        b'{"event":"Order Completed","userId":"u7","messageId":"m","timestamp":"2025-10-09T08:53:20Z","properties":{}}'
    )
    assert verbatim(line) == ("purchases", b"u7", line, 1_760_000_000_000)
    line = b'{"event_name":"page_view","client_id":"555.1","timestamp_micros":1760000000000999,"params":{}}'
    assert verbatim(line) == ("clickstream", b"anon:555.1", line, 1_760_000_000_000)
    assert verbatim(b"{broken") == ("clickstream", None, b"{broken", None)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the mapping
@given(
    st.dictionaries(
        st.sampled_from([alias for aliases in FIELDS.values() for alias in aliases]),
        st.one_of(
            st.none(),
            st.text(max_size=8),
            st.floats(),
            st.integers(),
            st.booleans(),
            st.sampled_from(["purchase", "refund", "order_line", "1.5", "-2"]),
            st.decimals(),
            st.datetimes(),
        ),
    )
)
def test_no_row_can_break_the_mapping(row):
    sent = outgoing(row, Columns.resolve(row, {}))
    assert sent.topic in {"clickstream", "purchases"}
    assert isinstance(sent.value, bytes)


@given(st.floats(min_value=0.01, max_value=1e5).map(lambda x: round(x, 2)), st.integers(1, 10_000))
def test_products_are_exact_decimals(price, quantity):
    assert times(price, quantity) == float(Decimal(repr(price)) * quantity)
    assert plain(Decimal(repr(price))) == price

from __future__ import annotations

from typing import Any

import orjson
import pytest

from schemas.kinds import Kind
from stream.decode import CHUNK_RECORDS, OTHER_NAMES, RECORD_BYTES_MAX, Decoded
from stream.extract_sparse import text_hashes
from tests.stream.decode_kit import ITEMS, NOW_MS, canonical, decode, event


def one(**fields: Any) -> Decoded:
    """Decode one canonical event, which must be accepted."""
    decoded = decode(event(fields))
    assert decoded.letters == []
    return decoded


def reason(value: Any, **settings: Any) -> str:
    """The reason code of the one letter that the value ends as."""
    decoded = decode(value, **settings)
    assert len(decoded.batch) == 0
    (letter,) = decoded.letters
    assert letter.value == (value if value is None or isinstance(value, bytes) else orjson.dumps(value))
    return letter.reason


def product(*names: str) -> list[int]:
    return list(text_hashes(names))


def test_a_usual_event_becomes_one_row_of_every_dense_column() -> None:
    batch = one(event_type="page_view").batch
    assert (batch.customer, batch.key) == (["c1"], [b"c1"])
    assert (batch.source.tolist(), batch.offset.tolist()) == ([0], [100])
    assert (batch.kind.tolist(), batch.time_ms.tolist()) == ([Kind.PAGE_VIEW], [NOW_MS])
    assert batch.event_hash.tolist() == product("e0")


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_its_canonical_name(kind) -> None:
    assert one(event_type=kind.name.lower()).batch.kind.tolist() == [kind]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"customer_id": 42}, "42"),
        ({"customer_id": 2**64 - 1}, str(2**64 - 1)),
        ({"customer_id": " É "}, " É "),
        ({"customer_id": "x" * 128}, "x" * 128),
        ({"customer_id": None, "user_id": "u", "client_id": "d"}, "u"),
        ({"customer_id": None, "userId": 7}, "7"),
        ({"customer_id": None, "client_id": "123.456"}, "anon:123.456"),
        ({"customer_id": None, "anonymousId": 5}, "anon:5"),
        ({"customer_id": "c", "user_id": "u"}, "c"),
    ],
)
def test_the_customer_is_the_first_identity_given(fields, said) -> None:
    assert decode(canonical(**fields)).batch.customer == [said]


@pytest.mark.parametrize("customer", ["", "x" * 129, True, False, 1.5, 1e30, [], {}, ["c"], "a\0b", "\0owner"])
@pytest.mark.parametrize("field", ["customer_id", "userId", "client_id"])
def test_a_customer_that_is_no_id_is_refused(field, customer) -> None:
    assert reason(canonical(customer_id=None) | {field: customer}) == "invalid_customer"


def test_a_device_id_must_leave_room_for_its_prefix() -> None:
    assert decode(canonical(customer_id=None, client_id="x" * 123)).letters == []
    assert reason(canonical(customer_id=None, client_id="x" * 124)) == "invalid_customer"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"event_time": None}, "missing_time"),
        ({"event_time": True}, "invalid_time"),
        ({"event_time": NOW_MS + 0.5}, "invalid_time"),
        ({"event_time": str(NOW_MS)}, "invalid_time"),
        ({"event_time": "2025-10-09T08:53:20Z"}, "invalid_time"),
        ({"event_time": 1e30}, "invalid_time"),
        ({"event_time": NOW_MS // 1000}, "past"),
        ({"event_time": 631_151_999_999}, "past"),
        ({"event_time": -1}, "past"),
        ({"event_time": NOW_MS + 300_001}, "future"),
        ({"event_time": NOW_MS * 1000}, "future"),
        ({"event_time": 2**64 - 1}, "future"),
        ({"event_time": None, "timestamp": "2025-10-09T08:53:20"}, "time_without_zone"),
        ({"event_time": None, "timestamp": NOW_MS}, "invalid_time"),
        ({"event_time": None, "timestamp_micros": str(NOW_MS)}, "invalid_time"),
        ({"event_time": None, "timestamp_micros": NOW_MS}, "past"),
    ],
)
def test_a_time_that_is_none_has_its_reason(fields, code) -> None:
    assert reason(canonical(**fields)) == code


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"event_time": NOW_MS + 300_000}, NOW_MS + 300_000),
        ({"event_time": 631_152_000_000}, 631_152_000_000),
        ({"event_time": None, "timestamp_micros": NOW_MS * 1000 + 999}, NOW_MS),
        ({"event_time": None, "timestamp": "2025-10-09T10:53:20.007+02:00"}, NOW_MS + 7),
        ({"timestamp": "nonsense"}, NOW_MS),
    ],
)
def test_a_time_is_read_from_the_field_that_has_it(fields, said) -> None:
    assert decode(canonical(**fields)).batch.time_ms.tolist() == [said]


def test_the_tolerance_is_a_setting() -> None:
    assert reason(canonical(event_time=NOW_MS + 1), future_tolerance_s=0) == "future"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b'{"a":NaN}', "bad_json"),
        (b'{"a":1e400}', "bad_json"),
        (b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "bad_json"),
        (b'{"a":"\\ud800"}', "bad_json"),
        (b'{"a":"\xff"}', "bad_utf8"),
        (None, "null_value"),
        (b"null", "not_an_object"),
        (b"[]", "not_an_object"),
        (b'"view_item"', "not_an_object"),
        (b"5", "not_an_object"),
        (b" " * (RECORD_BYTES_MAX + 1), "too_large"),
        ({}, "missing_event_type"),
        ({"events": [canonical()]}, "envelope"),
        ({"batch": [canonical()], "type": "track"}, "envelope"),
        (canonical(event_type=5), "invalid"),
        (canonical(event_type=""), "invalid"),
        (canonical(event_type="x" * 101), "invalid"),
        (canonical(customer_id=None), "missing_customer"),
        (canonical(product_id=["p"]), "invalid"),
        (canonical(event_id=True), "invalid"),
        (canonical(event_id="x" * 257), "invalid"),
        (canonical(event_type="add_to_cart", price="9.99"), "invalid"),
        (canonical(event_type="add_to_cart", price=True), "invalid"),
        (canonical(event_type="add_to_cart", price=-1), "invalid"),
        (canonical(event_type="add_to_cart", price=1e30), "invalid"),
        (canonical(event_type="add_to_cart", quantity=1.5), "invalid"),
        (canonical(event_type="add_to_cart", quantity=False), "invalid"),
        (canonical(event_type="add_to_cart", quantity=2**63), "invalid"),
        (canonical(event_type="purchase", items={}), "invalid"),
        (canonical(event_type="purchase", items=[[]]), "invalid"),
        (canonical(event_type="purchase", items=[{"product_id": "p"}] * 501), "invalid"),
        (canonical(event_type="order_line", price=1e11, quantity=1_000_000), "invalid"),
        (canonical(event_type="purchase", value=5, currency="EUR"), "currency_mismatch"),
        (canonical(event_type="add_to_cart", price=5, currency="EUR"), "currency_mismatch"),
        ({"event_name": "purchase", "user_id": "c", "timestamp_micros": NOW_MS * 1000, "params": [1]}, "invalid"),
    ],
)  # fmt: skip
def test_what_is_no_event_is_a_letter_with_its_reason(value, code) -> None:
    assert reason(value) == code


def test_a_letter_says_the_field_and_the_rule_but_nothing_of_the_payload() -> None:
    secret = "someone@example.org"
    values = [
        canonical(event_type=secret, customer_id=None),
        canonical(customer_id=[secret]),
        canonical(event_time=secret),
        canonical(event_type="purchase", items=[{"product_id": "p", "price": secret}]),
        canonical(event_type="purchase", currency=secret),
        canonical(event_time=None, timestamp=secret),
        orjson.dumps({secret: 1})[:-1],
    ]
    letters = decode(*values, unknown_events="dead_letter").letters
    assert len(letters) == len(values)
    assert not any(secret in letter.detail for letter in letters)
    assert letters[3].detail == "items.0.price: float_type"


def test_one_bad_record_costs_its_neighbours_nothing_and_order_is_kept() -> None:
    values: list[Any] = [canonical(event_id=f"e{n}") for n in range(CHUNK_RECORDS + 20)]
    values[3], values[7], values[9] = b"{", canonical(event_time=NOW_MS * 9), {"event": "Order Completed", "userId": 1}
    decoded = decode(*values)
    assert [(letter.offset, letter.reason) for letter in decoded.letters] == [
        (103, "bad_json"),
        (107, "future"),
        (109, "missing_time"),
    ]
    gone = {103, 107, 109}
    assert decoded.batch.offset.tolist() == [n for n in range(100, 100 + len(values)) if n not in gone]
    assert decoded.batch.item_event.tolist() == list(range(len(values) - 3))
    assert decoded.undecodable == 1


def test_only_records_that_hold_something_else_altogether_are_undecodable() -> None:
    decoded = decode(b"\x00\x01", b"[]", None, b"\xff", {}, canonical(customer_id=None), canonical(event_time=1))
    assert (len(decoded.letters), decoded.undecodable) == (7, 4)


def test_without_an_id_the_place_in_the_log_is_the_id() -> None:
    ga4 = {"event_name": "page_view", "client_id": "d", "timestamp_micros": NOW_MS * 1000}
    decoded = decode(canonical(), ga4, ga4, {**ga4, "client_id": ""}, source=1)
    assert decoded.without_id == 2
    assert decoded.batch.event_hash.tolist() == product("e0", "purchases/1/101", "purchases/1/102")


def test_custom_events_are_activity_and_counted_by_name() -> None:
    decoded = decode(canonical(event_type="level_up"), canonical(event_type="activity", name="level_up"), canonical())
    assert decoded.batch.kind.tolist() == [Kind.ACTIVITY, Kind.ACTIVITY, Kind.VIEW_ITEM]
    assert decoded.custom == {"level_up": 2}
    assert reason(canonical(event_type="level_up"), unknown_events="dead_letter") == "unknown_event"


def test_only_the_first_hundred_names_are_kept_apart() -> None:
    decoded = decode(*(canonical(event_type=f"name {n}") for n in range(130)))
    assert len(decoded.custom) == 101
    assert decoded.custom[OTHER_NAMES] == 30


@pytest.mark.parametrize(
    ("fields", "minor", "order"),
    [
        ({"order_id": "o", "value": 19.995}, 2000, "o"),
        ({"transaction_id": "t", "value": 5}, 500, "t"),
        ({"order_id": "o", "transaction_id": "t", "value": 0}, 0, "o"),
        ({"order_id": 77, "items": ITEMS}, 3004, "77"),
        ({"items": []}, 0, "e0"),
        ({}, 0, "e0"),
        ({"value": None, "currency": None, "items": None}, 0, "e0"),
        ({"value": 1, "currency": "usd"}, 100, "e0"),
    ],
)
def test_a_purchase_is_its_value_else_its_items(fields, minor, order) -> None:
    batch = one(event_type="purchase", **fields).batch
    assert batch.order_event.tolist() == [0]
    assert (batch.order_amount_minor.tolist(), batch.order_hash.tolist()) == ([minor], product(order))


def test_the_items_of_a_purchase_are_its_products_and_change_no_cart() -> None:
    batch = one(event_type="purchase", items=[*ITEMS, {"price": 1}]).batch
    assert (batch.item_event.tolist(), batch.item_product.tolist()) == ([0, 0], product("p1", "p2"))
    assert batch.cart_event.tolist() == []


@pytest.mark.parametrize(
    ("fields", "minor"),
    [
        ({"amount": 2.5, "price": 9, "quantity": 9}, 250),
        ({"price": 0.335, "quantity": 3}, 100),
        ({"price": 4}, 400),
        ({}, 0),
    ],
)
def test_an_order_line_is_its_amount_else_price_times_quantity(fields, minor) -> None:
    batch = one(event_type="order_line", product_id="p", order_id="o", **fields).batch
    assert batch.order_amount_minor.tolist() == [minor]
    assert (batch.item_product.tolist(), batch.order_hash.tolist()) == (product("p"), product("o"))


@pytest.mark.parametrize(
    ("fields", "minor"),
    [
        ({"amount": -9.99}, 999),
        ({"amount": 9.99, "value": 1}, 999),
        ({"value": -2}, 200),
        ({"price": 2, "quantity": 2}, 400),
        ({"items": ITEMS}, 3004),
        ({}, 0),
    ],
)
def test_a_refund_is_an_absolute_amount_and_names_no_products(fields, minor) -> None:
    batch = one(event_type="refund", order_id="o", **fields).batch
    assert (batch.kind.tolist(), batch.order_amount_minor.tolist()) == ([Kind.REFUND], [minor])
    assert batch.item_event.tolist() == []


def test_the_currencys_digits_decide_the_minor_unit() -> None:
    yen = decode(canonical(event_type="purchase", value=199.5), currency="JPY", currency_digits=0)
    assert yen.batch.order_amount_minor.tolist() == [200]


@pytest.mark.parametrize(
    ("fields", "operations"),
    [
        ({"event_type": "add_to_cart", "product_id": "p"}, [("p", 1, 0)]),
        ({"event_type": "add_to_cart", "product_id": "p", "price": 9.995, "quantity": 3}, [("p", 3, 1000)]),
        ({"event_type": "add_to_cart", "items": ITEMS}, [("p1", 3, 1001), ("p2", 1, 0)]),
        ({"event_type": "add_to_cart", "product_id": "p", "items": ITEMS}, [("p", 1, 0)]),
        ({"event_type": "add_to_cart"}, []),
        ({"event_type": "remove_from_cart", "product_id": "p", "quantity": 2, "price": 1}, [("p", -2, 100)]),
        ({"event_type": "remove_from_cart", "items": ITEMS}, [("p1", -3, 1001), ("p2", -1, 0)]),
        ({"event_type": "remove_from_cart", "items": [{"price": 1}]}, []),
        ({"event_type": "view_item", "product_id": "p"}, []),
    ],
)
def test_cart_operations_have_product_signed_quantity_and_price(fields, operations) -> None:
    batch = one(**fields).batch
    columns = (batch.cart_product.tolist(), batch.cart_quantity.tolist(), batch.cart_price_minor.tolist())
    expected = [(product(name)[0], quantity, price) for name, quantity, price in operations]
    assert list(zip(*columns, strict=True)) == expected
    assert batch.cart_event.tolist() == [0] * len(operations)


@pytest.mark.parametrize("fields", [{}, {"items": []}, {"product_id": None}])
def test_a_removal_that_names_no_product_empties_the_cart(fields) -> None:
    batch = one(event_type="remove_from_cart", **fields).batch
    assert (batch.cart_product.tolist(), batch.cart_quantity.tolist()) == ([0], [0])


def test_ga4_is_folded() -> None:
    params = {"transaction_id": "T", "value": 30.03, "currency": "USD", "items": [{"item_id": "S", "price": 10.01}]}
    base = {"client_id": "d", "user_id": "u", "timestamp_micros": NOW_MS * 1000}
    names = ("purchase", "add_payment_info", "add_to_cart", "view_item", "select_item")
    batch = decode(*({"event_name": name, **base, "params": params} for name in names)).batch
    kinds = [Kind.PURCHASE, Kind.CHECKOUT_STEP, Kind.ADD_TO_CART, Kind.VIEW_ITEM, Kind.ACTIVITY]
    assert batch.kind.tolist() == kinds
    assert (batch.order_amount_minor.tolist(), batch.order_hash.tolist()) == ([3003], product("T"))
    assert (batch.cart_product.tolist(), batch.cart_price_minor.tolist()) == (product("S"), [1001])
    assert sorted(batch.item_event.tolist()) == [0, 2, 3]
    assert set(batch.customer) == {"u"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Products Searched", Kind.SEARCH),
        ("Product List Viewed", Kind.VIEW_ITEM_LIST),
        ("Product Viewed", Kind.VIEW_ITEM),
        ("Product Removed", Kind.REMOVE_FROM_CART),
        ("Cart Viewed", Kind.VIEW_CART),
        ("Checkout Started", Kind.BEGIN_CHECKOUT),
        ("Checkout Step Completed", Kind.CHECKOUT_STEP),
        ("Product Added to Wishlist", Kind.ADD_TO_WISHLIST),
        ("Order Refunded", Kind.REFUND),
        ("Order Updated", Kind.ACTIVITY),
        ("product viewed", Kind.ACTIVITY),
    ],
)
def test_segments_names_are_folded_exactly_as_written(name, kind) -> None:
    value = {"type": "track", "event": name, "userId": "u", "messageId": "m", "timestamp": "2025-10-09T08:53:20Z"}
    assert decode(value | {"properties": {}}).batch.kind.tolist() == [kind]


def test_segments_money_is_revenue_before_total_before_value() -> None:
    def amount(**properties: Any) -> list[int]:
        track = {"event": "Order Completed", "userId": "u", "messageId": "m", "timestamp": "2025-10-09T08:53:20Z"}
        return decode(track | {"properties": properties}).batch.order_amount_minor.tolist()

    assert amount(revenue=1, total=2, value=3) == [100]
    assert amount(total=2, value=3) == [200]
    assert amount(products=[{"sku": "s", "price": 2.5, "quantity": 2}]) == [500]


def test_hashes_are_those_that_rows_were_written_with() -> None:
    """Durable: a change here forgets every order and product that state knows."""
    assert product("e0", "p1", "é") == [14240161513779458720, 14720575911012066148, 17839895020865391795]

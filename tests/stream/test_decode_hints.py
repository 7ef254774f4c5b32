"""Categories and discounts are hints: used where they can be, and never a reason to refuse an event."""

from __future__ import annotations

from typing import Any

import pytest

from models.batch import EventBatch
from stream.extract_sparse import text_hashes
from tests.stream.decode_kit import canonical, decode, event


def categories(batch: EventBatch) -> list[tuple[int, str]]:
    """(position, name), sorted: within a chunk their order is free."""
    pairs = zip(batch.category_event.tolist(), batch.category.tolist(), strict=True)
    return sorted((at, batch.category_names[category]) for at, category in pairs)


def discounts(*orders: dict[str, Any]) -> list[int]:
    decoded = decode(*(event(order, number) for number, order in enumerate(orders)))
    assert decoded.letters == []
    return decoded.batch.order_discount_minor.tolist()


def test_a_category_is_text_or_an_integer_and_its_hash_is_that_of_its_text() -> None:
    batch = decode(canonical(category="shoes"), canonical(category=17), canonical(category="17")).batch
    assert categories(batch) == [(0, "shoes"), (1, "17"), (2, "17")]
    assert set(batch.category_names) == set(text_hashes(["shoes", "17"]))


@pytest.mark.parametrize("odd", [None, True, 1.5, "", "x" * 101, [], ["shoes"], {"name": "shoes"}])
def test_what_is_no_category_refuses_nothing_and_hides_no_other(odd: object) -> None:
    decoded = decode(canonical(category=odd), canonical(category="shoes"), canonical(category=1), canonical())
    assert (len(decoded.batch), decoded.letters) == (4, [])
    assert categories(decoded.batch) == [(1, "shoes"), (2, "1")]


def test_a_category_counts_with_its_product_in_every_shape() -> None:
    shapes = [
        {"event_type": "order_line", "order_id": "o", "product_id": "p", "price": 1, "category": "hats"},
        {"event_type": "purchase", "value": 3, "items": [{"product_id": "p", "category": "hats"}, {"product_id": "q"}]},
        {"event_name": "view_item", "params": {"items": [{"item_id": "p", "item_category": "hats"}]}},
        {"event": "Product Added", "properties": {"sku": "p", "category": "hats"}},
        {"event_type": "add_to_wishlist", "category": "hats"},
        {"event_type": "remove_from_cart", "product_id": "p", "category": "hats"},
        {"event_type": "search", "category": "hats"},
    ]
    decoded = decode(*(event(shape, number) for number, shape in enumerate(shapes)))
    assert decoded.letters == []
    # A wish without a product, what is taken out again and a search are no interest in a product.
    assert categories(decoded.batch) == [(at, "hats") for at in range(4)]


def test_a_discount_is_the_orders_own_else_the_sum_over_the_units_of_its_items() -> None:
    items = [{"product_id": "p", "quantity": 3, "discount": 0.5}, {"product_id": "q", "discount": 1}]
    assert discounts(
        {"event_type": "purchase", "value": 10, "discount": 2.005, "items": items},
        {"event_type": "purchase", "value": 10, "items": items},
        {"event_type": "order_line", "product_id": "p", "price": 5, "quantity": 2, "discount": 1.5},
        {"event_name": "purchase", "params": {"value": 10, "items": [{"item_id": 1, "discount": 4}]}},
        {"event_type": "purchase", "value": 10},
    ) == [200, 250, 150, 400, 0]


@pytest.mark.parametrize("odd", ["5", True, -1, 1e12, [], {}, None])
def test_what_is_no_discount_counts_as_none(odd: object) -> None:
    assert discounts({"event_type": "purchase", "value": 10, "discount": odd}) == [0]


def test_the_shops_time_zone_says_what_is_night_and_what_is_weekend() -> None:
    friday_23_utc = 1_759_532_400_000
    batch = decode(canonical(event_time=friday_23_utc), time_zone="UTC").batch
    assert batch.day_part.tolist() == [1]
    assert decode(canonical(event_time=friday_23_utc), time_zone="Europe/Berlin").batch.day_part.tolist() == [3]

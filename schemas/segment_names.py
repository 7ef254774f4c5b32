"""Segment's ecommerce specification (v2): which of its event names are which kind."""

from __future__ import annotations

SEGMENT_NAMES: dict[str, str] = {
    "Products Searched": "search",
    "Product List Viewed": "view_item_list",
    "Product List Filtered": "view_item_list",
    "Product Viewed": "view_item",
    "Product Added": "add_to_cart",
    "Product Removed": "remove_from_cart",
    "Cart Viewed": "view_cart",
    "Checkout Started": "begin_checkout",
    "Checkout Step Viewed": "checkout_step",
    "Checkout Step Completed": "checkout_step",
    "Payment Info Entered": "checkout_step",
    "Order Completed": "purchase",
    "Order Refunded": "refund",
    "Product Added to Wishlist": "add_to_wishlist",
}

SEGMENT_CALLS: dict[str, str] = {"page": "page_view"}
"""Calls that are events without a name: their `type` says what happened."""

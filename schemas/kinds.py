"""The kinds of event that count, in one order that state rows and columns may rely on."""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """What an event is. The numbers are part of the durable format: append, never renumber."""

    ACTIVITY = 0
    VIEW_ITEM = 1
    VIEW_ITEM_LIST = 2
    PAGE_VIEW = 3
    SEARCH = 4
    ADD_TO_CART = 5
    REMOVE_FROM_CART = 6
    VIEW_CART = 7
    ADD_TO_WISHLIST = 8
    BEGIN_CHECKOUT = 9
    CHECKOUT_STEP = 10
    PURCHASE = 11
    ORDER_LINE = 12
    REFUND = 13

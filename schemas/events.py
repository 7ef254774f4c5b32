"""The canonical events, twice from the same field types: pydantic models that decide, TypedDicts that are fast.

A canonical event is a flat JSON object with `event_type`, `customer_id` and `event_time`. Other shapes (GA4, Segment,
other names of the same field) are folded into it by `schemas.folding` first. Only what a kind reads is looked at: any
other field is ignored, whatever it holds.

Events come by the thousand, and building model objects for them costs twice what TypedDicts cost. So the TypedDicts
accept the usual record and the models judge whatever they turn down. The TypedDicts may refuse more (an event without
an id, an item without a product), never accept more: a property test holds them to it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from schemas.fields import (
    ITEMS_MAX,
    Currency,
    CustomerId,
    EventName,
    EventTime,
    FastCustomerId,
    Hint,
    Id,
    Money,
    NoneOnError,
    Quantity,
    SignedMoney,
)
from schemas.kinds import Kind

VisitType = Literal["view_item_list", "page_view", "search", "view_cart", "begin_checkout", "checkout_step"]
ProductType = Literal["view_item", "add_to_wishlist"]
CartType = Literal["add_to_cart", "remove_from_cart"]

KINDS: dict[str, Kind] = {kind.name.lower(): kind for kind in Kind}
"""Canonical event types and the kinds they are."""


class Item(BaseModel):
    """One product of an event. A quantity that is absent is 1."""

    model_config = ConfigDict(frozen=True)

    product_id: Id | None = None
    price: Money | None = None
    quantity: Quantity | None = None
    category: Hint = None
    discount: Hint = None


Items = Annotated[list[Item], Field(max_length=ITEMS_MAX)]


class BaseEvent(BaseModel):
    """What every event says. Unknown fields are ignored; null is the same as absent."""

    model_config = ConfigDict(frozen=True)

    event_id: Id | None = Field(None, description="Unique per event. Without one the record's position stands in.")
    customer_id: CustomerId = Field(description="Must equal the record's Kafka key.")
    event_time: EventTime = Field(description="Milliseconds since 1970, 1990 to five minutes ahead of the clock.")


class Visit(BaseEvent):
    """An event that counts by its type alone."""

    event_type: VisitType


class Activity(BaseEvent):
    """Any other event: it moves first and last event and the activity slots, and is counted by its name."""

    event_type: Literal["activity"]
    name: EventName | None = None


class ProductSeen(BaseEvent):
    """A product, or several, looked at or wished for; `product_id` is read before `items`.

    A `category` is text of 1 to 100 characters or an integer; what is neither counts as none and refuses nothing.
    """

    event_type: ProductType
    product_id: Id | None = None
    category: Hint = None
    items: Items | None = None


class CartChanged(BaseEvent):
    """Products put into or taken out of the cart; `product_id` is read before `items`.

    A `remove_from_cart` that names no product empties the cart.
    """

    event_type: CartType
    product_id: Id | None = None
    price: Money | None = None
    quantity: Quantity | None = None
    currency: Currency | None = None
    category: Hint = None
    items: Items | None = None


class Purchase(BaseEvent):
    """One whole order: `value`, else the sum of its items. Without an order id the event id is the order.

    `discount` is what was taken off it, else the sum of what was taken off each unit of its items; what is no amount
    counts as none and refuses nothing.
    """

    event_type: Literal["purchase"]
    order_id: Id | None = None
    transaction_id: Id | None = Field(None, description="GA4's name of order_id, read where that is absent.")
    value: Money | None = None
    currency: Currency | None = None
    discount: Hint = None
    items: Items | None = None


class OrderLine(BaseEvent):
    """One line of an order: `amount`, else price x quantity. The order counts once, however many lines it has."""

    event_type: Literal["order_line"]
    product_id: Id | None = None
    order_id: Id | None = None
    transaction_id: Id | None = None
    amount: Money | None = None
    price: Money | None = None
    quantity: Quantity | None = None
    currency: Currency | None = None
    category: Hint = None
    discount: Hint = None


class Refund(BaseEvent):
    """Money given back: absolute `amount`, else `value`, else price x quantity or the sum of the items."""

    event_type: Literal["refund"]
    order_id: Id | None = None
    transaction_id: Id | None = None
    amount: SignedMoney | None = None
    value: SignedMoney | None = None
    price: Money | None = None
    quantity: Quantity | None = None
    currency: Currency | None = None
    items: Items | None = None


Event = Annotated[
    Visit | Activity | ProductSeen | CartChanged | Purchase | OrderLine | Refund, Field(discriminator="event_type")
]
EVENT: TypeAdapter[Any] = TypeAdapter(Event)
"""The judge of one event."""


class FastItem(TypedDict):
    """`Item` with its product."""

    product_id: Id
    price: NotRequired[Money | None]
    quantity: NotRequired[Quantity | None]
    category: NotRequired[Hint]
    item_category: NotRequired[None]
    """Google Analytics' name of a category: one who uses it has the item folded."""
    discount: NotRequired[Hint]


FastItems = Annotated[list[FastItem], Field(max_length=ITEMS_MAX)]


class _FastBase(TypedDict):
    event_id: Id
    customer_id: FastCustomerId
    event_time: EventTime


class FastVisit(_FastBase):
    """`Visit`."""

    event_type: VisitType


class FastActivity(_FastBase):
    """`Activity`."""

    event_type: Literal["activity"]
    name: NotRequired[EventName | None]


class FastProductSeen(_FastBase):
    """`ProductSeen` of one product."""

    event_type: ProductType
    product_id: Id
    category: NotRequired[Hint]


class FastCartChanged(_FastBase):
    """`CartChanged` of one product."""

    event_type: CartType
    product_id: Id
    price: NotRequired[Money | None]
    quantity: NotRequired[Quantity | None]
    currency: NotRequired[Currency | None]
    category: NotRequired[Hint]


class FastPurchase(_FastBase):
    """`Purchase`."""

    event_type: Literal["purchase"]
    order_id: NotRequired[Id | None]
    transaction_id: NotRequired[Id | None]
    value: NotRequired[Money | None]
    currency: NotRequired[Currency | None]
    discount: NotRequired[Hint]
    items: NotRequired[FastItems | None]


class FastOrderLine(_FastBase):
    """`OrderLine` with its product."""

    event_type: Literal["order_line"]
    product_id: Id
    order_id: NotRequired[Id | None]
    transaction_id: NotRequired[Id | None]
    amount: NotRequired[Money | None]
    price: NotRequired[Money | None]
    quantity: NotRequired[Quantity | None]
    currency: NotRequired[Currency | None]
    category: NotRequired[Hint]
    discount: NotRequired[Hint]


class FastRefund(_FastBase):
    """`Refund`."""

    event_type: Literal["refund"]
    order_id: NotRequired[Id | None]
    transaction_id: NotRequired[Id | None]
    amount: NotRequired[SignedMoney | None]
    value: NotRequired[SignedMoney | None]
    price: NotRequired[Money | None]
    quantity: NotRequired[Quantity | None]
    currency: NotRequired[Currency | None]
    items: NotRequired[FastItems | None]


FastEvent = Annotated[
    FastVisit | FastActivity | FastProductSeen | FastCartChanged | FastPurchase | FastOrderLine | FastRefund,
    Field(discriminator="event_type"),
]
FAST_EVENTS: TypeAdapter[Any] = TypeAdapter(list[Annotated[FastEvent, NoneOnError]])
"""Validates a chunk of parsed records at once: one dict per record, None where the models have to judge."""

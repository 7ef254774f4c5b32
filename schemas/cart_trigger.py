"""The value of topic cart-triggers: what is to be known of a cart that somebody left."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.fields import CUSTOMER_CHARS_MAX
from schemas.record import Counter, Milliseconds, SegmentId, SegmentName

ITEMS_MAX = 20
CartTriggerKind = Literal["abandoned", "withdrawn", "recovered"]


class CartItem(BaseModel):
    """A product of which something lies in the cart."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    product_id: Annotated[str, Field(min_length=1)] | None = Field(description="None where the row is of version 1.")
    quantity: Counter
    value_minor: Counter = Field(description="Money of all units, in minor units; 0 where no price was said.")


class CartTrigger(BaseModel):
    """A reminder that is due, or what became of one; delivered at least once: drop an `id` seen before.

    Each reminder of a cart is due once. After `withdrawn` it may be due again, at a later time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Annotated[str, Field(max_length=CUSTOMER_CHARS_MAX + 80)] = Field(
        description="cart_id:reminder:due:kind, the same on a repeat."
    )
    kind: CartTriggerKind = Field(
        description="abandoned: the reminder is due. withdrawn: it should not have been. recovered: it was bought."
    )
    cart_id: Annotated[str, Field(max_length=CUSTOMER_CHARS_MAX + 20)] = Field(
        description="customer_id:opened. What is put into a cart after it was bought or emptied is another cart."
    )
    customer_id: Annotated[str, Field(min_length=1, max_length=CUSTOMER_CHARS_MAX)]
    reminder: Annotated[int, Field(ge=1, le=3)] = Field(
        description="Which one, from 1; of recovered the latest that stood."
    )
    due: Milliseconds = Field(description="When the cart had been silent for that reminder's delay.")
    opened: Milliseconds
    touched: Milliseconds = Field(description="When something was put in or taken out last; 0 where the cart is gone.")
    items: Annotated[list[CartItem], Field(max_length=ITEMS_MAX)] = Field(
        description="At most 20 products, the most valuable first; none where the cart is gone."
    )
    units: Counter = Field(description="Units of all products in the cart.")
    value_minor: Counter = Field(
        description="Money in the cart, in minor units; of recovered, that of the order that bought it."
    )
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    segment: SegmentId | None
    segment_name: SegmentName
    epoch: Counter = Field(description="Which owner of the partition decided.")
    event_time: Milliseconds = Field(description="The stream's time when this was decided, milliseconds since 1970.")

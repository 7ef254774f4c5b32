"""The events of a batch while it is applied: parallel arrays that shrink together as events fall out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.batch import EventBatch


@dataclass(slots=True)
class Selection:
    """N of a batch's events, in log order, with the sparse parts that belong to them. Fields as in `EventBatch`."""

    position: NDArray[np.int64]
    """(N,) position in the batch."""
    slot: NDArray[np.int64]
    late: NDArray[np.bool_] | None
    """(N,) or None where no event is late, which is nearly always."""
    source: NDArray[np.int8]
    offset: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    kind: NDArray[np.int8]
    event_hash: NDArray[np.uint64]
    item_event: NDArray[np.int64]
    item_product: NDArray[np.uint64]
    cart_event: NDArray[np.int64]
    cart_product: NDArray[np.uint64]
    cart_quantity: NDArray[np.int64]
    cart_price_minor: NDArray[np.int64]
    order_event: NDArray[np.int64]
    order_hash: NDArray[np.uint64]
    order_amount_minor: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.position)

    def kept(self, keep: NDArray[np.bool_]) -> Selection:
        """Keep the events where `keep` (N,) is true."""
        place = np.cumsum(keep) - 1
        items, carts, orders = keep[self.item_event], keep[self.cart_event], keep[self.order_event]
        return Selection(
            position=self.position[keep],
            slot=self.slot[keep],
            late=None if self.late is None else self.late[keep],
            source=self.source[keep],
            offset=self.offset[keep],
            time_ms=self.time_ms[keep],
            kind=self.kind[keep],
            event_hash=self.event_hash[keep],
            item_event=place[self.item_event[items]],
            item_product=self.item_product[items],
            cart_event=place[self.cart_event[carts]],
            cart_product=self.cart_product[carts],
            cart_quantity=self.cart_quantity[carts],
            cart_price_minor=self.cart_price_minor[carts],
            order_event=place[self.order_event[orders]],
            order_hash=self.order_hash[orders],
            order_amount_minor=self.order_amount_minor[orders],
        )


def select_all(batch: EventBatch, slot: NDArray[np.int64], late: NDArray[np.bool_] | None) -> Selection:
    """Every event of a batch, with its customer's slot and whether it is late."""
    return Selection(
        position=np.arange(len(batch)),
        slot=slot,
        late=late,
        source=batch.source,
        offset=batch.offset,
        time_ms=batch.time_ms,
        kind=batch.kind,
        event_hash=batch.event_hash,
        item_event=batch.item_event,
        item_product=batch.item_product,
        cart_event=batch.cart_event,
        cart_product=batch.cart_product,
        cart_quantity=batch.cart_quantity,
        cart_price_minor=batch.cart_price_minor,
        order_event=batch.order_event,
        order_hash=batch.order_hash,
        order_amount_minor=batch.order_amount_minor,
    )

"""Validated events to the columns of an EventBatch.

Events come in chunks; each chunk's dense columns are pulled out by C loops (itemgetter, map, compress). A chunk that
holds something no static schema can refuse (a time ahead of the clock, another currency) appends nothing and says
which events to leave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import day_parts
from models.batch import EventBatch
from models.day_parts import LocalClock
from schemas.dead_letter import Refusal
from schemas.events import KINDS
from schemas.kinds import Kind
from schemas.money import MINOR_MAX
from stream.extract_sparse import Carts, Fields, Items, Orders, mask, text_hashes

_KIND_NUMBERS: dict[str, int] = {name: int(kind) for name, kind in KINDS.items()}
_DENSE = itemgetter("event_type", "customer_id", "event_time", "event_id")
_ACTIVITY = mask(Kind.ACTIVITY)
_MONEY = mask(Kind.ADD_TO_CART, Kind.REMOVE_FROM_CART, Kind.PURCHASE, Kind.ORDER_LINE, Kind.REFUND)


class Extractor:
    """Collects the columns of one decoding; `append` chunks, then `batch` once."""

    def __init__(self, *, currency: str, digits: int, time_max_ms: int, clock: LocalClock) -> None:
        self._currency = currency.upper()
        self._digits = digits
        self._time_max_ms = time_max_ms
        self._clock = clock
        self._customers: list[str] = []
        self._kinds = bytearray()
        self._times: list[NDArray[np.int64]] = []
        self._hashes: list[NDArray[np.uint64]] = []
        self._places: list[NDArray[np.int64]] = []
        self._items = Items()
        self._carts = Carts()
        self._orders = Orders(digits)
        self.custom: list[tuple[int, str]] = []
        """Place and name of each event that is plain activity."""

    def append(self, events: Sequence[Fields], places: NDArray[np.int64]) -> dict[int, Refusal]:
        """Take a chunk of one or more validated events, with the places of their records, rising over all calls.

        Returns {} and keeps them, or keeps none and returns the refused positions: call again without those.
        """
        size = len(events)
        types, customers, times, event_ids = zip(*map(_DENSE, events), strict=True)
        time_ms = np.fromiter(times, np.int64, size)
        kinds = bytes(map(_KIND_NUMBERS.__getitem__, types))
        ordering = Orders.select(kinds)
        orders = list(compress(events, ordering))
        whole, computed = self._orders.compute(orders)
        refused = self._refuse_statics(customers, times)
        refused |= self._refuse_currencies(events, kinds)
        if computed and max(computed.values()) > MINOR_MAX:
            positions = list(compress(range(size), ordering))
            too_large = [positions[at] for at, minor in computed.items() if minor > MINOR_MAX]
            refused |= dict.fromkeys(too_large, Refusal("invalid", "price x quantity: too large"))
        if refused:
            return refused
        where = range(len(self._customers), len(self._customers) + size)
        self._items.extend(where, events, kinds)
        self._carts.extend(where, events, kinds)
        self._orders.extend(compress(where, ordering), orders, whole, computed)
        if Kind.ACTIVITY in kinds:
            activity = kinds.translate(_ACTIVITY)
            names = [event.get("name") or "activity" for event in compress(events, activity)]
            self.custom += zip(compress(places.tolist(), activity), names, strict=True)
        self._customers += customers
        self._kinds += kinds
        self._times.append(time_ms)
        self._hashes.append(np.fromiter(text_hashes(event_ids), np.uint64, size))
        self._places.append(places)
        return refused

    def places(self) -> NDArray[np.int64]:
        """(E,) places of the events' records."""
        return _joined(self._places, np.int64)

    def batch(self, *, source: NDArray[np.int8], offset: NDArray[np.int64], keys: list[bytes | None]) -> EventBatch:
        """Return everything appended as one batch; what the events' records say of themselves is given (E each)."""
        items, carts, orders = self._items, self._carts, self._orders
        time_ms = _joined(self._times, np.int64)
        return EventBatch(
            source=source,
            offset=offset,
            customer=self._customers,
            key=keys,
            time_ms=time_ms,
            kind=np.frombuffer(self._kinds, np.int8),
            event_hash=_joined(self._hashes, np.uint64),
            item_event=np.array(items.event, np.int64),
            item_product=np.array(items.product, np.uint64),
            cart_event=np.array(carts.event, np.int64),
            cart_product=np.array(carts.product, np.uint64),
            cart_quantity=np.array(carts.quantity, np.int64),
            cart_price_minor=carts.prices_minor(self._digits),
            order_event=np.array(orders.event, np.int64),
            order_hash=np.array(orders.order, np.uint64),
            order_amount_minor=orders.amounts_minor(),
            order_discount_minor=orders.discounts_minor(),
            category_event=np.array(items.category_event, np.int64),
            category=np.array(items.category, np.uint64),
            day_part=day_parts.parts(time_ms, self._clock),
            cart_names=carts.names,
            category_names=items.category_names,
        )

    def _refuse_statics(self, customers: Sequence[str], times: Sequence[int]) -> dict[int, Refusal]:
        """Find events ahead of the clock, and NUL in customer ids, which costs less here than as a pattern each."""
        refused: dict[int, Refusal] = {}
        if max(times) > self._time_max_ms:
            time_ms = np.array(times)
            ahead = np.flatnonzero(time_ms > self._time_max_ms).tolist()
            refused |= dict.fromkeys(ahead, Refusal("future", "event_time: ahead of the clock"))
        if "\0" in "".join(customers):
            holders = [at for at, customer in enumerate(customers) if "\0" in customer]
            refused |= dict.fromkeys(holders, Refusal("invalid_customer", "customer_id: contains NUL"))
        return refused

    def _refuse_currencies(self, events: Sequence[Fields], kinds: bytes) -> dict[int, Refusal]:
        """Find money in another currency than the shop's; upper and lower case are the same currency."""
        money = kinds.translate(_MONEY)
        currencies = {event.get("currency") for event in compress(events, money)}
        foreign = {code for code in currencies if code is not None and code.upper() != self._currency}
        if not foreign:
            return {}
        positions = zip(compress(range(len(events)), money), compress(events, money), strict=True)
        found = [at for at, event in positions if event.get("currency") in foreign]
        return dict.fromkeys(found, Refusal("currency_mismatch", "currency: not the shop's"))


def _joined(parts: list[NDArray[Any]], dtype: type) -> NDArray[Any]:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype)

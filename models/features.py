"""Read features of customers as they are at a moment: pure functions of rows, carts and now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models import activity, decay
from models.apply import FADING
from models.carts import CartView
from models.catalogue import (
    CART_TO_ORDER_PRIOR,
    FEATURES,
    MODEL_FEATURES,
    NEVER_DAYS,
    PRIOR_WEIGHT,
    VIEW_TO_CART_PRIOR,
)
from models.columns import COL, COLUMNS, POSITION, RING, CustomerTable

BITMAP_BITS = 64


def read(
    table: CustomerTable, slots: NDArray[np.int64], now_ms: int, names: Sequence[str] = MODEL_FEATURES
) -> NDArray[np.float64]:
    """(T, F) features of T sorted slots by catalogue name, each customer at max(now, its latest event)."""
    rows = table.gather(slots)
    return from_rows(rows, carts_of(table, slots, rows), now_ms, names)


def carts_of(table: CustomerTable, slots: NDArray[np.int64], rows: NDArray[np.float64]) -> CartView:
    """Read the carts of T slots, given their rows."""
    return table.carts.read(slots, rows[:, COL.last_seen], rows[:, COL.last_order_at])


def describe(table: CustomerTable, slot: int, now_ms: int) -> dict[str, float]:
    """Every feature of one customer by its catalogue name."""
    values = read(table, np.array([slot]), now_ms, tuple(FEATURES))
    return dict(zip(FEATURES, values[0].tolist(), strict=True))


def from_rows(
    rows: NDArray[np.float64], carts: CartView, now_ms: int, names: Sequence[str] = MODEL_FEATURES
) -> NDArray[np.float64]:
    """(T, F) features of customers given their rows, as `read`."""
    moment = _Moment(rows, carts, now_ms)
    values = np.empty((len(rows), len(names)))
    for place, name in enumerate(names):
        compute = _COMPUTED.get(name)
        values[:, place] = moment.column(name) if compute is None else compute(moment)
    return values


def distinct(bitmaps: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Estimate how many products set the bits: -m ln(share of empty bits); a full map counts as half a bit empty.

    Source: linear counting, Whang, Vander-Zanden, Taylor, "A linear-time probabilistic counting algorithm" (1990).

    >>> distinct(np.array([0, 1, 2**64 - 1], dtype=np.uint64)).round(2).tolist()
    [0.0, 1.01, 310.53]
    """
    empty = BITMAP_BITS - np.bitwise_count(bitmaps).astype(np.float64)
    counted: NDArray[np.float64] = -BITMAP_BITS * np.log(np.maximum(empty, 0.5) / BITMAP_BITS)
    return np.abs(counted)


def shrunk(observed: NDArray[np.float64], trials: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
    """Pull a ratio to a prior by two pseudo-trials, so that silence says "usual", not "never".

    >>> shrunk(np.array([0.0, 8.0]), np.array([0.0, 8.0]), 0.5).tolist()
    [0.5, 0.9]
    """
    ratio: NDArray[np.float64] = (observed + PRIOR_WEIGHT * prior) / (trials + PRIOR_WEIGHT)
    return ratio


class _Moment:
    """Customers at a moment: what features are computed from, each part once."""

    def __init__(self, rows: NDArray[np.float64], carts: CartView, now_ms: int) -> None:
        self.rows = rows
        self.carts = carts
        self.last_seen = rows[:, COL.last_seen]
        self.read_at = np.maximum(self.last_seen, now_ms)
        self._days = decay.days_from_landmark(self.read_at, decay.cell(self.last_seen))
        self._factors: dict[int, NDArray[np.float64]] = {}

    def column(self, name: str) -> NDArray[np.float64]:
        """Read a column as of now, decayed ones faded; never below 0, which only refunds could cause."""
        values = self.rows[:, POSITION[name]]
        half_life = _HALF_LIFE.get(name)
        if half_life is None:
            return values
        if half_life not in self._factors:
            self._factors[half_life] = decay.faded(self._days, half_life)
        return np.maximum(values * self._factors[half_life], 0.0)

    def days_since(self, time_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum((self.read_at - time_ms) / decay.DAY_MS, NEVER_DAYS)

    def average_order_value(self) -> NDArray[np.float64]:
        return self.column("spend_minor") / np.maximum(self.column("orders"), 1.0)

    def sessions(self) -> NDArray[np.float64]:
        half_hour = activity.HALF_HOUR_MS
        aged = (self.read_at // half_hour - self.last_seen // half_hour).astype(np.int64)
        return activity.sessions(self.rows.view(np.uint64)[:, RING], aged)

    def cart_age_s(self) -> NDArray[np.float64]:
        added = self.carts.oldest_add_ms
        return np.where(added > 0, (self.read_at - added) / 1000.0, 0.0)


_HALF_LIFE = {COLUMNS[column]: half_life for half_life, columns in FADING for column in columns}

_COMPUTED: Mapping[str, Callable[[_Moment], NDArray[np.float64]]] = {
    # A customer that never ordered has 0 there, over 365 days before anything from 1991 on.
    "days_since_seen": lambda moment: moment.days_since(moment.last_seen),
    "days_since_order": lambda moment: moment.days_since(moment.column("last_order_at")),
    "average_order_value": _Moment.average_order_value,
    "view_to_cart": lambda moment: shrunk(
        moment.column("cart_adds_hl30d"), moment.column("views_hl30d"), VIEW_TO_CART_PRIOR
    ),
    "cart_to_order": lambda moment: shrunk(
        moment.column("orders_hl30d"), moment.column("cart_adds_hl30d"), CART_TO_ORDER_PRIOR
    ),
    "sessions_7d": _Moment.sessions,
    "distinct_products": lambda moment: distinct(moment.rows.view(np.uint64)[:, COL.products]),
    "cart_value": lambda moment: moment.carts.value_minor,
    "cart_items": lambda moment: moment.carts.items,
    "cart_age_s": _Moment.cart_age_s,
    "cart_truncated": lambda moment: moment.carts.truncated.astype(np.float64),
}
"""How features that are no column are computed."""

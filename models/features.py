"""Read features of customers as they are at a moment: pure functions of rows, carts and now."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models import activity, affinity, day_parts, decay
from models.catalogue import (
    CART_TO_ORDER_PRIOR,
    FEATURES,
    MODEL_FEATURES,
    NEVER_DAYS,
    PRIOR_WEIGHT,
    VIEW_TO_CART_PRIOR,
)
from models.columns import CATEGORIES, COL, COLUMNS, FADING, RING, WIDTH, CustomerTable
from models.compiled import compiled

BITMAP_BITS = 64


def read(
    table: CustomerTable, slots: NDArray[np.int64], now_ms: int, names: Sequence[str] = MODEL_FEATURES
) -> NDArray[np.float64]:
    """(T, F) features of T slots by catalogue name, each customer at max(now, its latest event)."""
    return of_rows(table.gather(slots), now_ms, names)


def describe(table: CustomerTable, slot: int, now_ms: int) -> dict[str, float]:
    """Every feature of one customer by its catalogue name."""
    values = read(table, np.array([slot]), now_ms, tuple(FEATURES))
    return dict(zip(FEATURES, values[0].tolist(), strict=True))


def of_rows(
    rows: NDArray[np.float64], now_ms: float | NDArray[np.float64], names: Sequence[str] = MODEL_FEATURES
) -> NDArray[np.float64]:
    """(T, F) features of customers given their rows (T, WIDTH), as `read`; `now_ms` may be (T,), a time for each.

    Between a customer's events each of `MODEL_FEATURES` only rises or only falls; `models.horizon` relies on it.
    """
    rows = np.ascontiguousarray(rows)
    times = np.empty(len(rows))
    times[:] = now_ms
    return _read(rows, rows.view(np.uint64), times, _codes(tuple(names)))


@compiled
def distinct(bitmap: np.uint64) -> float:
    """Estimate how many products set the bits: -m ln(share of empty bits); a full map counts as half a bit empty.

    Source: linear counting, Whang, Vander-Zanden, Taylor, "A linear-time probabilistic counting algorithm" (1990).

    >>> [round(distinct(np.uint64(bitmap)), 2) for bitmap in (0, 1, 2**64 - 1)]
    [0.0, 1.01, 310.53]
    """
    empty = max(BITMAP_BITS - activity.bits_set(bitmap), 0.5)
    return abs(BITMAP_BITS * math.log(empty / BITMAP_BITS))


@compiled
def shrunk(observed: float, trials: float, prior: float) -> float:
    """Pull a ratio to a prior by two pseudo-trials, so that silence says "usual", not "never".

    >>> shrunk(0.0, 0.0, 0.5), shrunk(8.0, 8.0, 0.5)
    (0.5, 0.9)
    """
    return (observed + PRIOR_WEIGHT * prior) / (trials + PRIOR_WEIGHT)


_COMPUTED = (
    "days_since_seen",
    "days_since_order",
    "average_order_value",
    "view_to_cart",
    "cart_to_order",
    "sessions_7d",
    "distinct_products",
    "cart_value",
    "cart_age_s",
    "cart_truncated",
    "categories_hl30d",
    "discount_share",
    "night_share",
    "weekend_share",
)
"""Features that are no column: their codes follow on those of the columns."""
(
    _DAYS_SINCE_SEEN,
    _DAYS_SINCE_ORDER,
    _AVERAGE_ORDER_VALUE,
    _VIEW_TO_CART,
    _CART_TO_ORDER,
    _SESSIONS,
    _DISTINCT_PRODUCTS,
    _CART_VALUE,
    _CART_AGE_S,
    _CART_TRUNCATED,
    _CATEGORIES,
    _DISCOUNT_SHARE,
    _NIGHT_SHARE,
    _WEEKEND_SHARE,
) = range(WIDTH, WIDTH + len(_COMPUTED))
_CODE = {name: code for code, name in enumerate((*COLUMNS, *_COMPUTED))}

_HALF_LIVES = tuple(FADING)
_FACTOR_OF = np.zeros(WIDTH, dtype=np.int64)
"""Place of each column's factor: 0 for those that do not fade, then in order of `_HALF_LIVES`."""
for _place, _columns in enumerate(FADING.values()):
    _FACTOR_OF[_columns] = _place + 1
_RING_START, _RING_END = RING.start, RING.stop
_CATEGORY_START, _CATEGORY_END = CATEGORIES.start, CATEGORIES.stop


@functools.lru_cache(maxsize=64)
def _codes(names: tuple[str, ...]) -> NDArray[np.int64]:
    return np.array([_CODE[name] for name in names], dtype=np.int64)


@compiled
def _read(
    rows: NDArray[np.float64], bits: NDArray[np.uint64], times_ms: NDArray[np.float64], codes: NDArray[np.int64]
) -> NDArray[np.float64]:
    values = np.empty((len(rows), len(codes)))
    factors = np.ones(len(_HALF_LIVES) + 1)
    for at in range(len(rows)):
        customer = rows[at]
        last_seen = customer[COL.last_seen]
        read_at = max(last_seen, times_ms[at])
        days = decay.days_from_landmark(read_at, decay.cell(last_seen))
        for place in range(len(_HALF_LIVES)):
            factors[place + 1] = decay.faded(days, _HALF_LIVES[place])
        for feature in range(len(codes)):
            code = codes[feature]
            if code < WIDTH:
                values[at, feature] = _column(customer, factors, code)
            elif code in (_SESSIONS, _DISTINCT_PRODUCTS):
                values[at, feature] = _of_bits(code, bits[at], last_seen, read_at)
            elif code >= _CATEGORIES:
                values[at, feature] = _taste(code, customer)
            else:
                values[at, feature] = _computed(code, customer, factors, read_at)
    return values


@compiled
def _column(customer: NDArray[np.float64], factors: NDArray[np.float64], column: int) -> float:
    """Read a column as of now; only refunds bring a sum below 0, and a logarithm follows."""
    return float(max(customer[column] * factors[_FACTOR_OF[column]], 0.0))


@compiled
def _of_bits(code: int, bits: NDArray[np.uint64], last_seen: float, read_at: float) -> float:
    if code == _DISTINCT_PRODUCTS:
        return distinct(bits[COL.products])
    aged = read_at // activity.HALF_HOUR_MS - last_seen // activity.HALF_HOUR_MS
    return float(activity.sessions(bits[_RING_START:_RING_END], int(aged)))


@compiled
def _taste(code: int, customer: NDArray[np.float64]) -> float:
    if code == _CATEGORIES:
        return affinity.effective(customer[_CATEGORY_START:_CATEGORY_END])
    if code == _DISCOUNT_SHARE:
        # Without discounts and without orders nothing was taken off.
        return float(customer[COL.discount_minor] / max(customer[COL.discount_minor] + customer[COL.spend_minor], 1.0))
    counted, events = customer[COL.night_weekend], min(customer[COL.events], float(day_parts.COUNTED_MAX))
    if code == _NIGHT_SHARE:
        return shrunk(day_parts.nights(counted), events, day_parts.NIGHT_PRIOR)
    return shrunk(day_parts.weekends(counted), events, day_parts.WEEKEND_PRIOR)


@compiled
def _computed(code: int, customer: NDArray[np.float64], factors: NDArray[np.float64], read_at: float) -> float:
    value = 0.0
    if code == _DAYS_SINCE_SEEN:
        value = min((read_at - customer[COL.last_seen]) / decay.DAY_MS, NEVER_DAYS)
    elif code == _DAYS_SINCE_ORDER:
        # A customer that never ordered has 0 there, over 365 days before anything from 1991 on.
        value = min((read_at - customer[COL.last_order_at]) / decay.DAY_MS, NEVER_DAYS)
    elif code == _AVERAGE_ORDER_VALUE:
        value = _column(customer, factors, COL.spend_minor) / max(customer[COL.orders], 1.0)
    elif code == _VIEW_TO_CART:
        adds, views = _column(customer, factors, COL.cart_adds_hl30d), _column(customer, factors, COL.views_hl30d)
        value = shrunk(adds, views, VIEW_TO_CART_PRIOR)
    elif code == _CART_TO_ORDER:
        orders, adds = _column(customer, factors, COL.orders_hl30d), _column(customer, factors, COL.cart_adds_hl30d)
        # An order without a cart says nothing of carts: where there are none, this would be another count of orders.
        value = shrunk(min(orders, adds), adds, CART_TO_ORDER_PRIOR)
    elif code == _CART_VALUE:
        value = customer[COL.cart_value_minor]
    elif code == _CART_AGE_S and customer[COL.cart_added_at] > 0:
        value = (read_at - customer[COL.cart_added_at]) / 1000.0
    elif code == _CART_TRUNCATED and customer[COL.cart_watch] < 0:
        value = 1.0
    return value

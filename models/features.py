"""Read features of customers as they are at a moment: pure functions of rows, carts and now."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models import activity, decay
from models.catalogue import (
    CART_TO_ORDER_PRIOR,
    FEATURES,
    MODEL_FEATURES,
    NEVER_DAYS,
    PRIOR_WEIGHT,
    VIEW_TO_CART_PRIOR,
)
from models.columns import COL, COLUMNS, FADING, POSITION, RING, CustomerTable

BITMAP_BITS = 64


def read(
    table: CustomerTable, slots: NDArray[np.int64], now_ms: int, names: Sequence[str] = MODEL_FEATURES
) -> NDArray[np.float64]:
    """(T, F) features of T sorted slots by catalogue name, each customer at max(now, its latest event)."""
    return of_rows(table.gather(slots), now_ms, names)


def describe(table: CustomerTable, slot: int, now_ms: int) -> dict[str, float]:
    """Every feature of one customer by its catalogue name."""
    values = read(table, np.array([slot]), now_ms, tuple(FEATURES))
    return dict(zip(FEATURES, values[0].tolist(), strict=True))


def of_rows(rows: NDArray[np.float64], now_ms: int, names: Sequence[str] = MODEL_FEATURES) -> NDArray[np.float64]:
    """(T, F) features of customers given their rows (T, WIDTH), as `read`."""
    plan = _plan(tuple(names))
    last_seen = rows[:, COL.last_seen]
    read_at = np.maximum(last_seen, now_ms)
    days = decay.days_from_landmark(read_at, decay.cell(last_seen))
    columns = rows[:, plan.columns]
    columns *= decay.faded(days[:, None], _HALF_LIVES)[:, plan.fading]
    # Only refunds bring a sum below 0, and a logarithm follows.
    np.maximum(columns, 0.0, out=columns)
    values = np.empty((len(rows), len(names)))
    values[:, plan.copied_to] = columns[:, plan.copied_from]
    moment = _Moment(rows, read_at, last_seen, columns, plan.place)
    for place, compute in plan.computed:
        values[:, place] = compute(moment)
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


@dataclass(frozen=True, slots=True)
class _Moment:
    """Customers at a moment: what features are computed from."""

    rows: NDArray[np.float64]
    read_at: NDArray[np.float64]
    last_seen: NDArray[np.float64]
    columns: NDArray[np.float64]
    place: Mapping[str, int]

    def column(self, name: str) -> NDArray[np.float64]:
        """Read a column as of now."""
        return self.columns[:, self.place[name]]

    def days_since(self, time_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum((self.read_at - time_ms) / decay.DAY_MS, NEVER_DAYS)

    def average_order_value(self) -> NDArray[np.float64]:
        return self.column("spend_minor") / np.maximum(self.column("orders"), 1.0)

    def sessions(self) -> NDArray[np.float64]:
        half_hour = activity.HALF_HOUR_MS
        aged = (self.read_at // half_hour - self.last_seen // half_hour).astype(np.int64)
        return activity.sessions(self.rows.view(np.uint64)[:, RING], aged)

    def cart_age_s(self) -> NDArray[np.float64]:
        added = self.column("cart_added_at")
        return np.where(added > 0, (self.read_at - added) / 1000.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Computed:
    columns: tuple[str, ...]
    """What it reads through `_Moment.column`."""
    compute: Callable[[_Moment], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to read some features of all customers at once."""

    columns: NDArray[np.int64]
    fading: NDArray[np.int64]
    """Index into `_HALF_LIVES` of each of the columns."""
    place: Mapping[str, int]
    copied_from: NDArray[np.int64]
    copied_to: NDArray[np.int64]
    computed: tuple[tuple[int, Callable[[_Moment], NDArray[np.float64]]], ...]


_HALF_LIVES = np.array([*FADING, np.inf])
"""Infinite for columns that do not fade."""
_FADING_OF = {COLUMNS[column]: place for place, columns in enumerate(FADING.values()) for column in columns.tolist()}


@functools.lru_cache(maxsize=64)
def _plan(names: tuple[str, ...]) -> _Plan:
    needed = [name for name in names if name not in _COMPUTED]
    needed += [column for name in names if name in _COMPUTED for column in _COMPUTED[name].columns]
    needed = list(dict.fromkeys(needed))
    place = {name: at for at, name in enumerate(needed)}
    copied = [(place[name], to) for to, name in enumerate(names) if name not in _COMPUTED]
    return _Plan(
        columns=np.array([POSITION[name] for name in needed], dtype=np.int64),
        fading=np.array([_FADING_OF.get(name, len(FADING)) for name in needed], dtype=np.int64),
        place=place,
        copied_from=np.array([at for at, _ in copied], dtype=np.int64),
        copied_to=np.array([to for _, to in copied], dtype=np.int64),
        computed=tuple((to, _COMPUTED[name].compute) for to, name in enumerate(names) if name in _COMPUTED),
    )


_COMPUTED: Mapping[str, _Computed] = {
    "days_since_seen": _Computed((), lambda moment: moment.days_since(moment.last_seen)),
    # A customer that never ordered has 0 there, over 365 days before anything from 1991 on.
    "days_since_order": _Computed(("last_order_at",), lambda moment: moment.days_since(moment.column("last_order_at"))),
    "average_order_value": _Computed(("spend_minor", "orders"), _Moment.average_order_value),
    "view_to_cart": _Computed(
        ("cart_adds_hl30d", "views_hl30d"),
        lambda moment: shrunk(moment.column("cart_adds_hl30d"), moment.column("views_hl30d"), VIEW_TO_CART_PRIOR),
    ),
    "cart_to_order": _Computed(
        ("orders_hl30d", "cart_adds_hl30d"),
        lambda moment: shrunk(moment.column("orders_hl30d"), moment.column("cart_adds_hl30d"), CART_TO_ORDER_PRIOR),
    ),
    "sessions_7d": _Computed((), _Moment.sessions),
    "distinct_products": _Computed((), lambda moment: distinct(moment.rows.view(np.uint64)[:, COL.products])),
    "cart_value": _Computed(("cart_value_minor",), lambda moment: moment.column("cart_value_minor")),
    "cart_age_s": _Computed(("cart_added_at",), _Moment.cart_age_s),
    "cart_truncated": _Computed((), lambda moment: (moment.rows[:, COL.cart_watch] < 0).astype(np.float64)),
}
"""How features that are no column are computed."""

"""Where a customer stands as a buyer among all buyers: RFM scores and the stage of the lifecycle.

**RFM**: a score is 1 plus the number of the base's quintile edges that lie below the value, for the time of the latest
order, the orders ever and the money ever less refunds. Who never ordered has none.

**Lifecycle** goes by rhythm, not by fixed days. A customer's gap is (latest order - first order + the base's gap) /
orders: their own mean time between orders, with the base's as one more observation, and the base's alone where there is
no second order. Silence is measured from the latest order, or the latest event of who never ordered.

    over LAPSED_GAPS gaps of silence    lapsed
    over AT_RISK_GAPS                   at_risk
    one order or none, and new          new       none: the first event is at most AT_RISK_GAPS old
    LOYAL_ORDERS or more, score F >= 4  loyal
    else                                active

Buyers without memory are silent for over 2 gaps once in 7 times, and for over 4 once in 55.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.columns import COL
from models.compiled import compiled
from schemas.sample import PROFILE
from schemas.standing import LIFECYCLES, CustomerBase

AT_RISK_GAPS = 2.0
LAPSED_GAPS = 4.0
LOYAL_ORDERS = 3.0
_NEW, _ACTIVE, _LOYAL, _AT_RISK, _LAPSED = range(1, len(LIFECYCLES) + 1)
_STAGE = 1_000
"""A standing is one whole number: the stage x 1000 + the three scores as digits; 0 is nothing known."""

CHANCES = 10_000
"""A row's column holds standing + CHANCES x `models.chances`; these change no record by themselves."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Yardsticks:
    """What customers are measured by, as arrays."""

    last_order_at: Floats
    orders: Floats
    money_minor: Floats
    gap_ms: float

    @classmethod
    def of(cls, base: CustomerBase | None) -> Self | None:
        """Compile what a snapshot says; None where it says nothing."""
        if base is None:
            return None
        return cls(np.array(base.last_order_at), np.array(base.orders), np.array(base.money_minor), base.gap_ms)


def standings(rows: Floats, yardsticks: Yardsticks, now_ms: float | Floats) -> Floats:
    """(T,) standings of customers given their rows (T, WIDTH); `now_ms` may be (T,), a time for each."""
    y, times = yardsticks, np.empty(len(rows))
    times[:] = now_ms
    return _standings(np.ascontiguousarray(rows), y.last_order_at, y.orders, y.money_minor, y.gap_ms, times)


def spelled(standing: int) -> tuple[str | None, str | None]:
    """Lifecycle and RFM scores of one standing, None for what is not known.

    >>> spelled(3545), spelled(1000), spelled(0)
    (('loyal', '545'), ('new', None), (None, None))
    """
    stage, rfm = divmod(standing % CHANCES, _STAGE)
    return (LIFECYCLES[stage - 1] if stage else None), (str(rfm) if rfm else None)


def profiles(rows: Floats) -> Floats:
    """(T, PROFILE) what the base is measured on, of customers given their rows (T, WIDTH)."""
    money = np.maximum(rows[:, COL.spend_minor] - rows[:, COL.refunds_minor], 0.0)
    columns = {
        "first_order_at": rows[:, COL.first_order_at],
        "last_order_at": rows[:, COL.last_order_at],
        "orders": rows[:, COL.orders],
        "money_minor": money,
        "last_seen": rows[:, COL.last_seen],
    }
    return np.stack([columns[name] for name in PROFILE], axis=1)


@compiled
def _standings(  # noqa: PLR0917 (compiled code takes arrays one by one)
    rows: Floats, last_order_at: Floats, orders: Floats, money_minor: Floats, gap_ms: float, times_ms: Floats
) -> Floats:
    found = np.zeros(len(rows))
    for at in range(len(rows)):
        customer = rows[at]
        if customer[COL.last_order_at] > 0:
            money = max(customer[COL.spend_minor] - customer[COL.refunds_minor], 0.0)
            found[at] = (
                100 * _score(customer[COL.last_order_at], last_order_at)
                + 10 * _score(customer[COL.orders], orders)
                + _score(money, money_minor)
            )
        if gap_ms > 0:
            found[at] += _STAGE * _stage(customer, gap_ms, orders, times_ms[at])
    return found


@compiled
def _score(value: float, edges: Floats) -> int:
    score = 1
    for edge in edges:
        score += value > edge
    return score


@compiled
def _stage(customer: Floats, gap_ms: float, orders: Floats, now_ms: float) -> int:
    times, first, last = customer[COL.orders], customer[COL.first_order_at], customer[COL.last_order_at]
    since = last if last > 0 else customer[COL.last_seen]
    gap = (last - first + gap_ms) / max(times, 1.0)
    silence = max(now_ms, customer[COL.last_seen]) - since
    if silence > LAPSED_GAPS * gap:
        return _LAPSED
    if silence > AT_RISK_GAPS * gap:
        return _AT_RISK
    if times < 2 and (last > 0 or now_ms - customer[COL.first_seen] <= AT_RISK_GAPS * gap):
        return _NEW
    return _LOYAL if times >= LOYAL_ORDERS and _score(times, orders) >= 4 else _ACTIVE

"""Where to cut a group of events so that time passes between them as it did: for partitions on event time.

A group may span months of event time. Its events are taken in the order in which the clock meets them, and time is let
pass in between: once a step, and before a customer touches or buys a cart whose reminder was due by then.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.batch import SOURCES, EventBatch
from models.timers import Timers
from schemas.kinds import Kind

Places = NDArray[np.int64]


def meetings(batch: EventBatch) -> tuple[Places, NDArray[np.int64]]:
    """(E,) positions in the order in which the clock meets the events, sources merged, and its time at each."""
    met = np.empty(len(batch), np.int64)
    for source in range(len(SOURCES)):
        mine = np.flatnonzero(batch.source == source)
        met[mine] = np.maximum.accumulate(batch.time_ms[mine])
    order = np.argsort(met, kind="stable")
    return order, met[order]


def cuts(  # noqa: PLR0917 (one group, and what is known before it)
    batch: EventBatch,
    order: Places,
    met: NDArray[np.int64],
    due_ms: NDArray[np.int64],
    timers: Timers,
    now_ms: int,
    *,
    step_ms: int,
) -> list[int]:
    """Places in `order`, rising, before which time is to pass.

    `due_ms` (E,): when the cart of each event's customer is due, as far as that is known before the first of them.
    `now_ms`: the clock before them.
    """
    moments = _steps(met, now_ms, step_ms) + _stabs(*_returns(batch, order, met, due_ms, timers))
    return sorted({int(place) for place in np.searchsorted(met, moments) if place < len(met)})


def _steps(met: NDArray[np.int64], now_ms: int, step_ms: int) -> list[int]:
    """List the times of the clock that are the first of a new step."""
    first = np.flatnonzero(np.diff(met // step_ms, prepend=now_ms // step_ms))
    found: list[int] = met[first].tolist()
    return found


def _returns(
    batch: EventBatch, order: Places, met: NDArray[np.int64], due_ms: NDArray[np.int64], timers: Timers
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) times from when, and before which, a reminder falls due that its customer's next event might cancel."""
    buys = np.isin(batch.kind, (Kind.PURCHASE, Kind.ORDER_LINE))
    concerned = buys
    concerned[batch.cart_event] = True
    which = np.flatnonzero(concerned[order])
    if not which.size:
        return which, which
    places, times = order[which], met[which]
    customers = np.unique(np.array(batch.customer, dtype=object)[places].astype(str), return_inverse=True)[1]
    by_customer = np.lexsort((which, customers))
    customers, times, places = customers[by_customer], times[by_customer], places[by_customer]
    again = np.flatnonzero(np.diff(customers) == 0) + 1
    # A cart is silent since what was done last, which a repeat or a late event may not be, whenever it comes.
    newest, until = _newest(customers, batch.time_ms[places])[again - 1], times[again]
    after = times[again - 1] + 1
    starts, ends = [], []
    for delay_ms in timers.delays_ms:
        start = np.maximum(newest + int(delay_ms + timers.grace_ms), after)
        late = start <= until
        starts.append(start[late])
        ends.append(until[late])
    first = np.setdiff1d(np.arange(len(customers)), again)
    known = first[due_ms[places[first]] <= times[first]]
    starts.append(due_ms[places[known]])
    ends.append(times[known])
    # What was known before the group holds until something newer is done.
    before = due_ms[places[again]]
    held = (np.maximum(before, after) <= until) & (newest + int(timers.delays_ms[0] + timers.grace_ms) <= before)
    starts.append(np.maximum(before, after)[held])
    ends.append(until[held])
    return np.concatenate(starts), np.concatenate(ends)


def _newest(customers: NDArray[np.intp], time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) for each place the latest time of its customer so far; customers are numbers that never fall."""
    earliest = time_ms.min()
    lift = customers * (time_ms.max() - earliest + 1)
    newest: NDArray[np.int64] = np.maximum.accumulate(time_ms - earliest + lift) - lift + earliest
    return newest


def _stabs(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[int]:
    """Fewest times such that each interval from start to end holds one."""
    found: list[int] = []
    order = np.argsort(ends, kind="stable")
    for start, end in zip(starts[order].tolist(), ends[order].tolist(), strict=True):
        if not found or found[-1] < start:
            found.append(end)
    return found

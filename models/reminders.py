"""When a cart is abandoned, which of its reminders are due, and which should not have been sent.

A cart that holds something is **abandoned** once nothing was put in or taken out for the first delay. Reminder n is due
when the cart has been silent for delay n, and is sent a grace time later, so that an order that arrives a little late
still cancels it. Each reminder of a cart is due once.

A cart is named by the time at which it was opened, as that was known when its first reminder was due. It ends when an
order, a clear or a removal empties it; what is put in afterwards is another cart. A reminder that was sent is
**withdrawn** where an event that arrives late shows that the cart had ended when it was due, or that it was in use then
and no silence long enough followed (`models.reuse`). A cart that is ordered while a reminder stands is **recovered**.

Who was reminded of what is kept in the published columns `told_...` of one cart a customer: the newest one that a
reminder was due for.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.carts import WINDOW_MS
from models.columns import COL
from models.compiled import compiled
from models.due import NEVER
from models.timers import REMINDERS_MAX, Timers

Floats = NDArray[np.float64]

NONE, OPEN, ABANDONED = range(3)
"""States of a cart; a row says the number."""
ENDED = -1.0
"""`told_passed` of a cart that was ordered or emptied."""
ABANDONED_TOLD, WITHDRAWN, RECOVERED = range(3)
"""What a trigger tells."""
_DUE = slice(COL.told_due1, COL.told_due3 + 1)


class Told(NamedTuple):
    """One thing to tell of a customer's cart."""

    at: int
    """Position of the customer in the group."""
    what: int
    cart: float
    """When the cart was opened: its name."""
    reminder: int
    """From 1."""
    due_ms: float
    value_minor: float
    """Money of the order that recovered the cart, else 0."""


class Ended(NamedTuple):
    """The first end, in one batch, of carts that a reminder was sent for; also of carts that had ended before."""

    slots: NDArray[np.int64]
    """(N,) sorted."""
    at_ms: Floats
    bought: NDArray[np.bool_]
    """Whether an order did it."""
    money_minor: Floats
    """Of that order, as far as the batch has it."""


NOTHING_ENDED = Ended(np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_), np.empty(0))


def states(rows: Floats, now_ms: float, timers: Timers) -> Floats:
    """(T,) states of the carts of rows (T, WIDTH) at `now_ms`."""
    return _states(np.ascontiguousarray(rows), float(now_ms), timers.delays, timers.grace_ms)


def due(rows: Floats, timers: Timers) -> NDArray[np.int64]:
    """(T,) when time alone next changes something about each cart, milliseconds rounded up, NEVER if it does not."""
    return _due(np.ascontiguousarray(rows), timers.delays, timers.grace_ms)


def end(rows: Floats, slots: NDArray[np.int64], ended: Ended, noted: NDArray[np.bool_]) -> list[Told]:
    """Note in `rows`, those of `slots`, which carts ended, and say what is withdrawn or recovered by it.

    `noted` (T,): set where a row changed.
    """
    told: list[Told] = []
    if not len(ended.slots):
        return told
    for slot, at_ms, bought, money in zip(*(column.tolist() for column in ended), strict=True):
        at = int(np.searchsorted(slots, slot))
        row = rows[at]
        cart, standing = row[COL.told_cart], 0
        for number, due_ms in enumerate(row[_DUE].tolist(), start=1):
            if due_ms <= 0:
                continue
            if at_ms <= due_ms:
                told.append(Told(at, WITHDRAWN, cart, number, due_ms, 0.0))
                row[COL.told_due1 + number - 1] = -due_ms
            else:
                standing = number
        if bought and standing and row[COL.told_passed] != ENDED:
            told.append(Told(at, RECOVERED, cart, standing, row[COL.told_due1 + standing - 1], money))
        row[COL.told_passed], noted[at] = ENDED, True
    return told


def settle(rows: Floats, noted: NDArray[np.bool_]) -> None:
    """Note in `rows` whose cart is empty, and whose was taken for empty and is not; after each event of theirs.

    `noted` (T,): set where a row changed.
    """
    _settle(rows, noted)


def remind(rows: Floats, now_ms: float, timers: Timers, noted: NDArray[np.bool_]) -> tuple[list[Told], int]:
    """Note in settled `rows` which reminders are due; say them, and how many were too old to send.

    `noted` (T,): set where a row changed.
    """
    told, passed_over = _remind(rows, float(now_ms), timers.delays, timers.grace_ms, timers.oldest_ms, noted)
    return [Told(int(at), ABANDONED_TOLD, cart, int(n), due_ms, 0.0) for at, cart, n, due_ms in told], passed_over


@compiled
def _passed(row: Floats) -> int:
    """How many reminders of the cart that is open were due so far; -1 where nobody was reminded of it."""
    # Another one, if all that the one reminded of held aged away.
    aged = row[COL.cart_opened_at] > row[COL.told_cart] and row[COL.told_cart] <= row[COL.last_seen] - WINDOW_MS
    if row[COL.told_cart] <= 0 or aged:
        return -1
    if row[COL.told_passed] >= 0:
        return int(row[COL.told_passed])
    if row[COL.cart_opened_at] > row[COL.told_cart]:
        return -1
    # It was taken for emptied until something came late that it had held all the time.
    standing = 0
    for number in range(1, REMINDERS_MAX + 1):
        if row[COL.told_due1 + number - 1] > 0:
            standing = number
    return standing


@compiled
def _states(rows: Floats, now: float, delays: Floats, grace: float) -> Floats:
    found = np.zeros(len(rows))
    for at in range(len(rows)):
        if rows[at, COL.cart_items] > 0:
            found[at] = ABANDONED if now >= rows[at, COL.cart_touched_at] + delays[0] + grace else OPEN
    return found


@compiled
def _due(rows: Floats, delays: Floats, grace: float) -> NDArray[np.int64]:
    found = np.full(len(rows), NEVER)
    for at in range(len(rows)):
        row = rows[at]
        if row[COL.cart_items] <= 0:
            continue
        passed, touched = max(_passed(row), 0), row[COL.cart_touched_at]
        if row[COL.cart_state] != ABANDONED:
            found[at] = np.int64(math.ceil(touched + delays[0] + grace))
        elif passed < len(delays):
            found[at] = np.int64(math.ceil(touched + delays[passed] + grace))
    return found


@compiled
def _settle(rows: Floats, noted: NDArray[np.bool_]) -> None:
    for at in range(len(rows)):
        row = rows[at]
        if row[COL.cart_items] <= 0:
            if row[COL.told_passed] > 0:
                row[COL.told_passed], noted[at] = ENDED, True
            continue
        passed = _passed(row)
        if passed >= 0 and row[COL.told_passed] != passed:
            row[COL.told_passed], noted[at] = passed, True


@compiled
def _remind(  # noqa: PLR0917 (compiled code takes arrays one by one)
    rows: Floats, now: float, delays: Floats, grace: float, oldest: float, noted: NDArray[np.bool_]
) -> tuple[list[tuple[int, float, int, float]], int]:
    told = [(0, 0.0, 0, 0.0) for _ in range(0)]
    passed_over = 0
    for at in range(len(rows)):
        row = rows[at]
        if row[COL.cart_items] <= 0:
            continue
        touched, passed = row[COL.cart_touched_at], _passed(row)
        same = passed >= 0
        passed = max(passed, 0)
        while passed < len(delays) and now >= touched + delays[passed] + grace:
            if not same:
                row[COL.told_cart], same = row[COL.cart_opened_at], True
                row[_DUE] = 0.0
            if row[COL.told_due1 + passed] > 0:
                # It stands: only one before it was withdrawn.
                pass
            elif touched + delays[passed] < now - oldest:
                passed_over += 1
            else:
                # Later than one that was withdrawn, if need be by a millisecond: its id says when it was due.
                due = max(touched + delays[passed], 1.0 - row[COL.told_due1 + passed])
                row[COL.told_due1 + passed] = due
                told.append((at, row[COL.told_cart], passed + 1, due))
            passed += 1
            row[COL.told_passed], noted[at] = passed, True
    return told, passed_over

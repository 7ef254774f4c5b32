"""When each customer is to be looked at next: one time a slot, and a short list of those within reach.

Times far ahead cost nothing. Once a window of time a pass over all of them (8 bytes each) collects who falls due within
the next one; between these passes only those few are looked at. Bounded by construction: a slot has one time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled
from models.slots import grown

NEVER = 2**62
WINDOW_MS = 60_000
MOST = 50_000
"""Slots that are taken at once: so few that it takes milliseconds, however many are due."""

NEAR_MAX = 100_000
"""Slots within reach at once, about; what is taken next is looked for among them."""
SAMPLED = 17
"""Of very many slots each so many-th is looked at to tell which time most of NEAR_MAX fall due by."""

Slots = NDArray[np.int64]


class DueTimes:
    """Due times of slots 0..n-1, milliseconds on the partition's clock.

    >>> due = DueTimes()
    >>> due.set(np.arange(3), np.array([500, 90_000, 400]))
    >>> due.take(450).tolist(), due.take(600).tolist(), due.take(90_000).tolist(), due.take(10**9).tolist()
    ([2], [0], [1], [])
    """

    def __init__(self) -> None:
        self._times: NDArray[np.int64] = np.zeros(0, np.int64)
        self._is_near: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._size = 0
        self._reach_ms = -NEVER
        self._near: list[Slots] = []
        self._too_many = False

    def set(self, slots: Slots, times_ms: NDArray[np.int64]) -> None:
        """Replace the due times of distinct slots; NEVER for none."""
        if not len(slots):
            return
        self._grow(int(slots.max()) + 1)
        near = _put(self._times, self._is_near, slots, times_ms, self._reach_ms)
        if near.size:
            self._near.append(near)

    def advance(self, slots: Slots, time_ms: int) -> None:
        """Bring the due times of distinct slots forward to `time_ms`, where they are later."""
        if len(slots):
            self._grow(int(slots.max()) + 1)
            near = _advance(self._times, self._is_near, slots, time_ms, self._reach_ms)
            if near.size:
                self._near.append(near)

    def take(self, now_ms: int, most: int = MOST) -> Slots:
        """Take out up to `most` slots whose time has come, in order of time, then of slot; of very many maybe fewer."""
        while True:
            if now_ms >= self._reach_ms and not (self._near and self._too_many):
                self._collect(now_ms)
            taken = self._take_near(now_ms, most)
            if taken.size or now_ms < self._reach_ms:
                return taken

    def _collect(self, now_ms: int) -> None:
        """Put into reach who falls due within the next window; of too many, the soonest."""
        self._reach_ms = now_ms + WINDOW_MS
        within = np.flatnonzero(self._times[: self._size] < self._reach_ms)
        self._too_many = len(within) > NEAR_MAX
        if self._too_many:
            within, self._reach_ms = _sooner(within, self._times[within])
        self._is_near[: self._size] = False
        self._is_near[within] = True
        self._near = [within] if within.size else []

    def _take_near(self, now_ms: int, most: int) -> Slots:
        if not self._near:
            return np.empty(0, np.int64)
        near = np.concatenate(self._near)
        times = self._times[near]
        places = _soonest(near, times, np.flatnonzero(times <= now_ms), most)
        places = places[np.lexsort((near[places], times[places]))]
        taken = near[places]
        self._times[taken] = NEVER
        stays = times <= self._reach_ms
        stays[places] = False
        self._is_near[near[~stays]] = False
        rest = near[stays]
        self._near = [rest] if rest.size else []
        return taken

    def times(self, slots: Slots) -> NDArray[np.int64]:
        """Due times of slots; NEVER for those that have none, a slot below 0 included."""
        found = np.full(len(slots), NEVER)
        known = (slots >= 0) & (slots < self._size)
        found[known] = self._times[slots[known]]
        return found

    def move(self, source: int, target: int) -> None:
        """Give slot `target` the due time of `source`, which then has none; the same slot: it has none."""
        time_ms = self.times(np.array([source])) if source != target else np.array([NEVER])
        self.set(np.array([target]), time_ms)
        if source != target:
            self.set(np.array([source]), np.array([NEVER]))

    def any_by(self, time_ms: int) -> bool:
        """Whether anybody is due by then."""
        if time_ms < self._reach_ms:
            return any(bool((self._times[near] <= time_ms).any()) for near in self._near)
        return bool((self._times[: self._size] <= time_ms).any())

    def _grow(self, size: int) -> None:
        if size > len(self._times):
            self._times = grown(self._times, max(1024, 2 * size))
            self._is_near = grown(self._is_near, len(self._times))
        self._times[self._size : size] = NEVER
        self._size = max(self._size, size)


def _sooner(within: Slots, times: NDArray[np.int64]) -> tuple[Slots, int]:
    """Of rising slots about NEAR_MAX: all before some time, the lowest of those at it; and that time.

    The time is estimated from a part of them: to put a million in order held the loop for 40 ms (measured).
    """
    part = times[::SAMPLED]
    place = min(NEAR_MAX // SAMPLED, len(part) - 1)
    bound = int(np.partition(part, place)[place])
    sooner, ties = within[times < bound], within[times == bound]
    return np.concatenate([sooner, ties[: max(0, NEAR_MAX - len(sooner))]]), bound


def _soonest(near: Slots, times: NDArray[np.int64], come: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Of places that have come, up to `most`: the first by time, then by slot. Many at one time are not sorted."""
    if len(come) <= most:
        return come
    last = np.partition(times[come], most - 1)[most - 1]
    before, ties = come[times[come] < last], come[times[come] == last]
    left = most - len(before)
    if len(ties) > left:
        ties = ties[np.argpartition(near[ties], left - 1)[:left]]
    return np.concatenate([before, ties])


@compiled
def _put(
    times: NDArray[np.int64], is_near: NDArray[np.bool_], slots: Slots, new: NDArray[np.int64], reach_ms: int
) -> Slots:
    """Set the times of slots; return those that are within reach by it."""
    near, count = np.empty(len(slots), np.int64), 0
    for at in range(len(slots)):
        slot = slots[at]
        times[slot] = new[at]
        if new[at] < reach_ms and not is_near[slot]:
            near[count], is_near[slot] = slot, True
            count += 1
    return near[:count]


@compiled
def _advance(times: NDArray[np.int64], is_near: NDArray[np.bool_], slots: Slots, time_ms: int, reach_ms: int) -> Slots:
    """Bring the times of slots forward; return those that are within reach by it."""
    near, count = np.empty(len(slots), np.int64), 0
    for at in range(len(slots)):
        slot = slots[at]
        times[slot] = min(times[slot], time_ms)
        if times[slot] < reach_ms and not is_near[slot]:
            near[count], is_near[slot] = slot, True
            count += 1
    return near[:count]

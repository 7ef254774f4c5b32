"""How long a customer's segment and lifecycle surely stay as they are, if nothing but time happens.

Between events each feature only rises or only falls, so from now until t a customer stays within the box that their
present vector and the one of t span. If no point of that box is past the margin of another centroid, nothing moves
until t. The least lead of the held centroid over the box is exact in closed form: it is a sum over features, of one
parabola each. The farthest safe t of a ladder of times is when to look again; near a border the looks come closer
together, down to one a sweep, so that a move is seen within one sweep of its time, and nobody is looked at who cannot
move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models import features
from models.assign import LEAST, Ids, Model
from models.columns import COL
from models.compiled import compiled
from models.judge import Rules
from models.standing import CHANCES, Yardsticks, standings
from models.transform import Floats

STEPS = 13
FACTOR = 4.0
"""The ladder: one sweep period, 4, 16, ...; of one second the last is 194 days."""
FIRST = 6
"""The step that is tried first for somebody just seen: of one second, 68 minutes."""
SURE = 1e-6
"""A lead below this is taken for none: the logarithm is of single precision."""


def looks(
    rows: Floats,
    vectors: Floats,
    now_ms: float,
    *,
    model: Model,
    yardsticks: Yardsticks | None,
    rules: Rules,
    period_ms: float,
    planned_ms: Floats,
) -> Floats:
    """(T,) when to look next at customers who were judged at `now_ms`, given their rows (T, WIDTH); milliseconds.

    `vectors` (T, F): their features at `now_ms`. `planned_ms` (T,): when they were to be looked at by what was known
    before. Where nothing moves until then it stays so: a new model is seldom far from the one before, and one question
    is a fraction of a search. A time that is past, or beyond the ladder, says nothing.
    """
    ladder: Floats = period_ms * np.power(FACTOR, np.arange(STEPS, dtype=np.float64))
    held = model.row_of.take(rows[:, COL.segment].astype(np.int64) + 1, mode="clip")
    outlook = _Outlook(rows, now_ms, model, yardsticks, 1.0 - rules.margin, model.transform.apply(vectors), held)
    asked = np.flatnonzero((planned_ms >= now_ms + period_ms) & (planned_ms <= now_ms + ladder[-1]))
    kept = asked[outlook.calm(asked, planned_ms[asked])]
    looks_at = planned_ms.copy()
    searching = np.delete(np.arange(len(rows)), kept)
    low = _farthest(outlook, searching, ladder)
    # Where only the dwell time holds a customer there is nothing to see before its end.
    dwelt_ms = np.where(low < 0, rows[searching, COL.since] + rules.dwell_ms, now_ms)
    looks_at[searching] = np.maximum(now_ms + ladder[np.maximum(low, 0)], dwelt_ms)
    return looks_at


@dataclass(frozen=True, slots=True)
class _Outlook:
    """Customers who were judged, and what they were judged by: answers whether all stays as it is until some time."""

    rows: Floats
    now_ms: float
    model: Model
    yardsticks: Yardsticks | None
    factor: float
    start: Floats
    """(T, F) scaled vectors at `now_ms`."""
    held: Ids
    """(T,) rows of the segments they are in."""

    def calm(self, which: NDArray[np.intp], until_ms: Floats) -> NDArray[np.bool_]:
        """(n,) whether nothing moves, for the customers at n rising positions, each until a time of its own."""
        # Most often it is everybody, and rows are wide.
        rows = self.rows if len(which) == len(self.rows) else self.rows[which]
        ends = self.model.transform.apply(features.of_rows(rows, until_ms))
        calm = _leads(self.start[which], ends, self.model.centroids, self.held[which], self.factor) > SURE
        if self.yardsticks is not None:
            # A stage of the lifecycle once left never returns.
            calm &= standings(rows, self.yardsticks, until_ms) == rows[:, COL.standing] % CHANCES
        return calm


def _farthest(outlook: _Outlook, which: NDArray[np.intp], ladder: Floats) -> NDArray[np.int64]:
    """(n,) the last step of the ladder until which nothing moves, for the customers at n positions; -1 for none."""
    # Who was just here may be back soon: at first one probe, as far ahead as they were silent, is enough for most.
    silent_ms = outlook.now_ms - outlook.rows[which, COL.last_seen]
    low, high = np.full(len(which), -1), np.clip(np.searchsorted(ladder, silent_ms), FIRST, STEPS - 1)
    probed, searching = high.copy(), np.arange(len(which))
    while searching.size:
        steps = probed[searching]
        calm = outlook.calm(which[searching], outlook.now_ms + ladder[steps])
        low[searching[calm]] = steps[calm]
        high[searching[~calm]] = steps[~calm] - 1
        searching = searching[low[searching] < high[searching]]
        probed[searching] = (low[searching] + high[searching] + 1) // 2
    return low


@compiled
def _leads(start: Floats, ends: Floats, centroids: Floats, held: Ids, factor: float) -> Floats:
    """(T,) least lead of the held centroid over any other, anywhere in the box of each: below 0 it may be left."""
    share = factor * factor
    leads = np.empty(len(start))
    for at in range(len(start)):
        leads[at] = np.inf
        if held[at] >= len(centroids):
            leads[at] = -np.inf
            continue
        own = centroids[held[at]]
        for other in range(len(centroids)):
            if other == held[at]:
                continue
            lead = LEAST * (1.0 - share)
            for feature in range(start.shape[1]):
                lead += _least(start[at, feature], ends[at, feature], own[feature], centroids[other, feature], share)
            leads[at] = min(leads[at], lead)
    return leads


@compiled
def _least(left: float, right: float, own: float, other: float, share: float) -> float:
    """Least of (x - other)^2 - share (x - own)^2 for x from `left` to `right`, in either order; 0 <= share <= 1."""
    low, high = min(left, right), max(left, right)
    bend, slope = 1.0 - share, other - share * own
    at_low = (low - other) ** 2 - share * (low - own) ** 2
    at_high = (high - other) ** 2 - share * (high - own) ** 2
    least = min(at_low, at_high)
    if bend > 0.0:
        vertex = slope / bend
        if low < vertex < high:
            least = (vertex - other) ** 2 - share * (vertex - own) ** 2
    return float(least)

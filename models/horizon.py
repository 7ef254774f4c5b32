"""How long a customer's segment and lifecycle surely stay as they are, if nothing but time happens.

Between events each feature only rises or only falls, so from now until t a customer stays within the box that their
present vector and the one of t span. If no point of that box is past the margin of another centroid, nothing moves
until t. The least lead of the held centroid over the box is exact in closed form: it is a sum over features, of one
parabola each. The farthest safe t of a ladder of times is when to look again; near a border the looks come closer
together, down to one a sweep, so that a move is seen within one sweep of its time, and nobody is looked at who cannot
move.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models import features
from models.assign import LEAST, Ids, Model
from models.columns import COL
from models.compiled import compiled
from models.judge import Rules
from models.standing import Yardsticks, standings
from models.transform import Floats

STEPS = 13
FACTOR = 4.0
"""The ladder: one sweep period, 4, 16, ...; of one second the last is 194 days."""
FIRST = 6
"""The step that is tried first for somebody just seen: of one second, 68 minutes."""
SURE = 1e-6
"""A lead below this is taken for none: the logarithm is of single precision."""


def looks(
    rows: Floats, now_ms: float, model: Model, yardsticks: Yardsticks | None, rules: Rules, *, period_ms: float
) -> Floats:
    """(T,) when to look next at customers who were judged at `now_ms`, given their rows (T, WIDTH); milliseconds."""
    ladder: Floats = period_ms * np.power(FACTOR, np.arange(STEPS, dtype=np.float64))
    start = model.transform.apply(features.of_rows(rows, now_ms))
    held = model.row_of.take(rows[:, COL.segment].astype(np.int64) + 1, mode="clip")
    # Who was just here may be back soon: at first one probe, as far ahead as they were silent, is enough for most.
    silent_ms = now_ms - rows[:, COL.last_seen]
    low, high = np.full(len(rows), -1), np.clip(np.searchsorted(ladder, silent_ms), FIRST, STEPS - 1)
    probed, searching = high.copy(), np.arange(len(rows))
    while searching.size:
        some, steps = rows[searching], probed[searching]
        ends = model.transform.apply(features.of_rows(some, now_ms + ladder[steps]))
        safe = _leads(start[searching], ends, model.centroids, held[searching], 1.0 - rules.margin) > SURE
        if yardsticks is not None:
            safe &= _stays(some, yardsticks, now_ms, ladder, steps)
        low[searching[safe]] = steps[safe]
        high[searching[~safe]] = steps[~safe] - 1
        searching = searching[low[searching] < high[searching]]
        probed[searching] = (low[searching] + high[searching] + 1) // 2
    next_ms: Floats = now_ms + ladder[np.maximum(low, 0)]
    # Where only the dwell time holds a customer there is nothing to see before its end.
    looks_at: Floats = np.where(low < 0, np.maximum(next_ms, rows[:, COL.since] + rules.dwell_ms), next_ms)
    return looks_at


def _stays(
    rows: Floats, yardsticks: Yardsticks, now_ms: float, ladder: Floats, steps: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(T,) whether the standing a step of the ladder from now is the present one; a stage once left never returns."""
    stays = np.empty(len(rows), np.bool_)
    before = standings(rows, yardsticks, now_ms)
    for step in np.unique(steps).tolist():
        which = steps == step
        stays[which] = standings(rows[which], yardsticks, now_ms + ladder[step]) == before[which]
    return stays


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

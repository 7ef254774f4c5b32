"""Until when nothing can change: looked at densely, nothing ever changes before."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models import features, horizon
from models.assign import Model, assign
from models.catalogue import MODEL_FEATURES
from models.columns import COL
from models.judge import Rules
from models.standing import Yardsticks, standings
from tests.oracle.compare import applied
from tests.oracle.histories import START, histories
from tests.oracle.shop import DAY, Event
from tests.simulation.served import model

YARDSTICKS = Yardsticks(np.array([START, START + DAY]), np.array([1.0, 2.0]), np.array([50.0, 9_000.0]), 3.0 * DAY)
PERIOD = 1_000.0


@settings(max_examples=60)
@given(
    histories(span=9 * DAY),
    st.integers(1, 5),
    st.floats(0.0, 0.5),
    st.floats(0.0, 1.0),
    st.sampled_from([-1.0, 0.01, 0.5, 3.0, 20.0, 150.0, 1e9]),
)
def test_nothing_moves_before_the_time_to_look_again(
    history: list[Event], version: int, margin: float, dwell_days: float, planned_days: float
) -> None:
    served, _ = model(version)
    rules = Rules(margin=margin, dwell_ms=dwell_days * DAY)
    table = applied([history]).table
    rows = table.gather(np.arange(len(table)))
    now = float(START + 9 * DAY)

    def at(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors = np.concatenate([features.of_rows(rows[i : i + 1], times[i]) for i in range(len(rows))])
        held, since = rows[:, COL.segment].astype(np.int64), rows[:, COL.since]
        one = [
            assign(
                served, vectors[i : i + 1], held[i : i + 1], since[i : i + 1], times[i],
                margin=rules.margin, dwell_ms=rules.dwell_ms,
            ).segment[0]
            for i in range(len(rows))
        ]  # fmt: skip
        stand = [standings(rows[i : i + 1], YARDSTICKS, times[i])[0] for i in range(len(rows))]
        return np.array(one), np.array(stand)

    rows[:, COL.segment], before = at(np.full(len(rows), now))
    rows[:, COL.since], rows[:, COL.standing] = now, before
    planned = np.full(len(rows), now + planned_days * DAY)
    vectors = features.of_rows(rows, now)
    looks = horizon.looks(
        rows, vectors, now, model=served, yardsticks=YARDSTICKS, rules=rules, period_ms=PERIOD, planned_ms=planned
    )
    assert (looks >= now + PERIOD).all()
    for share in (0.001, 0.2, 0.5, 0.9, 0.999):
        # A look is never later than the sweep after the last moment at which all was sure.
        moments = now + np.maximum(looks - now - PERIOD, 0.0) * share
        segment, standing = at(moments)
        assert segment.tolist() == rows[:, COL.segment].tolist()
        if rules.dwell_ms == 0:
            assert standing.tolist() == before.tolist()


@settings(max_examples=60)
@given(histories(span=9 * DAY))
def test_between_events_each_feature_of_the_model_only_rises_or_only_falls(history: list[Event]) -> None:
    table = applied([history]).table
    rows = table.gather(np.arange(len(table)))
    moments = START + 9 * DAY + np.concatenate([[0.0], np.geomspace(1_000.0, 400.0 * DAY, 60)])
    path = np.stack([features.of_rows(rows, moment) for moment in moments])
    steps = np.diff(path, axis=0)
    slack = 1e-9 * np.abs(path).max(axis=0)
    one_way = (steps >= -slack).all(axis=0) | (steps <= slack).all(axis=0)
    turning = sorted({MODEL_FEATURES[at] for at in np.flatnonzero(~one_way.all(axis=0))})
    assert turning == []


def test_who_is_in_no_segment_of_the_model_is_looked_at_next_time() -> None:
    served, _ = model(1)
    table = applied([[Event("a", START, kind=0, id=1)]]).table  # type: ignore[arg-type]
    rows = table.gather(np.arange(1))
    # What was planned for them does not count.
    assert look(rows, served, None, 7 * PERIOD) == START + PERIOD


def test_a_time_at_which_all_is_still_as_it_was_stays_the_time_to_look() -> None:
    served, _ = model(1)
    rows = applied([[Event("a", START, kind=0, id=1)]]).table.gather(np.arange(1))
    rows[:, COL.segment] = served.ids[served.nearest(features.of_rows(rows, float(START)))]
    rows[:, COL.standing] = standings(rows, YARDSTICKS, float(START))
    searched = look(rows, served, YARDSTICKS, 0.0)
    # Off the ladder, so that no search would find it.
    sooner = 0.7 * (searched - START)
    assert sooner > PERIOD
    assert look(rows, served, YARDSTICKS, sooner) == START + sooner
    # By then they have long lapsed.
    assert look(rows, served, YARDSTICKS, 150.0 * DAY) == searched


def look(rows: np.ndarray, served: Model, yardsticks: Yardsticks | None, planned: float) -> float:
    """Return when one customer is looked at next, who was to be `planned` milliseconds from now."""
    found = horizon.looks(
        rows,
        features.of_rows(rows, float(START)),
        float(START),
        model=served,
        yardsticks=yardsticks,
        rules=Rules(margin=0.0, dwell_ms=0.0),
        period_ms=PERIOD,
        planned_ms=np.array([START + planned]),
    )
    return float(found[0])

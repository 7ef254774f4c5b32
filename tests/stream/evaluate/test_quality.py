"""What `make quality` promises of drift, on one small stream; the figures themselves are docs/quality.md's."""

from __future__ import annotations

import numpy as np
import pytest

from stream.evaluate import lab, quality
from stream.evaluate.beds import FEATURES, bed
from stream.evaluate.vectors import Columns
from stream.settings import load

SINCE = 1_024


@pytest.mark.parametrize("seed", [0, 5])
def test_after_an_abrupt_change_segments_are_soon_as_good_as_batch_again(seed: int) -> None:
    made = lab.drifting(seed, 1, 4_000)
    columns = Columns(FEATURES, made.vectors[:1000])
    given = columns.given(made.vectors)
    school = quality._taught(load(clusters=6), made.vectors[: lab.STATIONARY], seed)
    panel = columns.given(bed(6_000, 1.0, seed + 1000, moved=1.0).vectors)
    assert quality._excess(school, panel, seed) > 1.3
    school.teach(given[lab.STATIONARY :][:SINCE], 1)
    school.publish(1)
    assert school.learner.counts["alarms"] == 1
    assert quality._excess(school, panel, seed) <= quality.RECOVERED


def test_visits_of_many_like_vectors_are_no_drift() -> None:
    rng = np.random.default_rng(1)
    made = bed(1_500, 1.0, 2).vectors
    # Eight rows a visit, nearly the same.
    raw = np.repeat(made, 8, axis=0) * rng.lognormal(0, 0.01, (12_000, len(FEATURES)))
    customers = [f"c{row // 8}" for row in range(12_000)]
    first = quality.vectors.first_of_visit(customers)
    assert first.sum() == 1_500
    assert quality._taught(load(clusters=6), raw[first], 2).learner.counts["alarms"] == 0


def test_an_unknown_stage_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert quality.main(["drfit"]) == 2
    assert "there is no stage drfit" in capsys.readouterr().err

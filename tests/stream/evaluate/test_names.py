"""Claims that names make are measured on the members, and false ones are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.catalogue import MODEL_FEATURES
from schemas.snapshot import Contrast
from stream.evaluate.names import judged, spent
from stream.evaluate.outcome import Outcome
from tests.kit.snapshots import make_snapshot

SPEND, SEEN = "spend_hl180d", "days_since_seen"
MONEY = {"a": 100.0, "b": 80.0, "c": 5.0, "d": 0.0}


def outcome(names: tuple[str, str], words: tuple[str, str], contrasts: tuple[float, float]) -> Outcome:
    """Two customers who spend and were there lately, two who did not and were not, with what is said of either."""
    made = make_snapshot(1, centroids={1: [1.0] * len(MODEL_FEATURES), 2: [0.0] * len(MODEL_FEATURES)})
    said = [
        segment.model_copy(update={"name": name, "words": [word], "contrasts": [Contrast(feature=SPEND, z=z)]})
        for segment, name, word, z in zip(made.centroids, names, words, contrasts, strict=True)
    ]
    scaled = np.zeros((4, len(MODEL_FEATURES)))
    scaled[:2, MODEL_FEATURES.index(SPEND)] = 1.0
    scaled[2:, MODEL_FEATURES.index(SEEN)] = 1.0
    return Outcome(
        ("f",),
        4,
        {},
        0.0,
        made.model_copy(update={"centroids": said}),
        [],
        [],
        [*MONEY],
        np.array([1, 1, 2, 2]),
        scaled,
        None,
        None,
    )


NAMES = ("recent high spenders", "lapsed shoppers")
WORDS = ("days since the latest event: -1.0 sd", "days since the latest event: +1.0 sd")


def test_true_claims_hold() -> None:
    found = judged(outcome(NAMES, WORDS, (1.0, -1.0)), MONEY)
    assert found["held"]
    assert (found["most_spend"], found["claims"], found["weakest"]) == (NAMES[0], 4, 1.0)
    assert found["mean_spend"] == {NAMES[0]: 90.0, NAMES[1]: 2.5}


def test_a_contrast_or_a_word_of_the_wrong_sign_is_found() -> None:
    wrong = judged(outcome(NAMES, WORDS, (1.0, 1.0)), MONEY)
    assert not wrong["held"]
    assert wrong["weak"] == [(-1.0, f"{NAMES[1]}: {SPEND}")]
    wrong = judged(outcome(NAMES, (WORDS[1], WORDS[1]), (1.0, -1.0)), MONEY)
    assert wrong["weak"] == [(-1.0, f"{NAMES[0]}: {SEEN}")]


@pytest.mark.parametrize(
    ("names", "spend", "says", "distinct"),
    [
        (("recent shoppers", NAMES[1]), 1.0, True, True),
        (("recent shoppers", NAMES[1]), -1.0, False, True),
        ((NAMES[1], NAMES[1]), 1.0, True, False),
    ],
)
def test_who_spends_most_must_be_said_to_and_names_be_distinct(
    names: tuple[str, str], spend: float, says: bool, distinct: bool
) -> None:
    found = judged(outcome(names, WORDS, (spend, -1.0)), MONEY)
    assert (found["says_so"], found["distinct"], found["held"]) == (says, distinct, says and distinct)


def test_what_was_spent_is_money_less_refunds_of_those_who_are_known(tmp_path: Path) -> None:
    rows = [("purchase", "a", 9.5), ("refund", "a", -2.0), ("refund", "a", 1.0), ("view", "b", 4.0)]
    rows += [("purchase", None, 8.0)]
    columns = dict(zip(("event_type", "customer_id", "amount"), map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), tmp_path / "f.parquet")
    assert spent(tmp_path / "f.parquet") == {"a": 6.5, "b": 0.0}

"""What the costs are measured on is what the learner would be given."""

from __future__ import annotations

from models.catalogue import MODEL_FEATURES
from models.learner.config import LearnerConfig
from stream.evaluate import costs


def test_each_kind_of_long_work_is_what_its_name_says() -> None:
    ended = {name: work.run() for name, work in costs.works(costs.vectors(1_200, 1)).items()}
    assert {name: found.reason for name, found in ended.items()} == {
        "seed": "seed",
        "challenge": "challenge",
        "drift": "drift",
        "look_around": "challenge",
    }
    assert [name for name, found in ended.items() if found.around] == ["look_around"]


def test_everything_includes_predictions_that_are_learnt_and_judged() -> None:
    school = costs._taught(LearnerConfig(MODEL_FEATURES, 6), costs.vectors(costs.VECTORS, 1))[1]
    assert school.snapshot is not None
    assert len(school.snapshot.features) == len(MODEL_FEATURES)
    assert [head.name for head in school.snapshot.heads] == ["purchase_7d", "churn_30d"]
    assert school.snapshot.base is not None
    assert school.learner.counts["challenge_serving"] + school.learner.counts["challenge_refined"] > 0

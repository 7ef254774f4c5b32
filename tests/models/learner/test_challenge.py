from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models.learner.challenge import Mood, challenge, turns_over
from models.learner.config import LearnerConfig
from models.learner.kmeans import lloyd
from models.learner.learner import Learner
from models.learner.seeding import seed
from models.transform import Transform
from stream.evaluate.beds import FEATURES, bed
from stream.evaluate.vectors import Columns


@pytest.mark.parametrize("number", range(4))
def test_a_model_of_the_same_customers_is_not_replaced(shop: Callable, number: int) -> None:
    vectors = shop(12_000, number).vectors
    serving = seed(vectors[:4_000], 6, np.random.default_rng(number))
    ended = challenge(vectors[4_000:8_000], serving.transform, serving.centroids, np.random.default_rng(1))
    assert (ended.winner, ended.seeding) == ("serving", None)


def test_a_model_in_a_poor_optimum_loses_to_a_fresh_one(shop: Callable) -> None:
    vectors = shop(4_000, 1).vectors
    transform = Transform.fit(vectors)
    scaled = transform.apply(vectors)
    poor = lloyd(scaled, np.repeat(scaled[:1], 6, axis=0) + np.linspace(0, 0.01, 6)[:, None])[0]
    ended = challenge(vectors, transform, poor, np.random.default_rng(1), restarts=20)
    assert ended.winner == "fresh"
    assert ended.gain > 0.02
    assert int(ended.seeding.counts.sum()) == 4_000


def test_a_model_whose_customers_moved_together_is_refined_and_its_rows_stay_who_they_are(shop: Callable) -> None:
    vectors = shop(4_000, 1).vectors
    serving = seed(vectors, 6, np.random.default_rng(1))
    moved = vectors.copy()
    moved[:, :8] = np.expm1(np.log1p(vectors[:, :8]) * 1.25)
    ended = challenge(moved, serving.transform, serving.centroids, np.random.default_rng(1))
    assert ended.winner == "refined"
    before = ((serving.transform.apply(vectors)[:, None] - serving.centroids) ** 2).sum(axis=2).argmin(axis=1)
    after_scaled = ended.seeding.transform.apply(moved)
    after = ((after_scaled[:, None] - ended.seeding.centroids) ** 2).sum(axis=2).argmin(axis=1)
    assert (before == after).mean() > 0.95


def test_the_same_question_has_the_same_answer(shop: Callable) -> None:
    vectors = shop(3_000, 2).vectors
    serving = seed(vectors[:500], 6, np.random.default_rng(1))
    ended = [challenge(vectors, serving.transform, serving.centroids, np.random.default_rng(5)) for _ in range(2)]
    assert ended[0].winner == ended[1].winner
    assert ended[0].gain == ended[1].gain


def test_a_young_model_loses_to_a_tied_one_of_clearly_better_silhouette_and_a_settled_one_does_not() -> None:
    vectors = bed(22_000, 1.6, 35).vectors[:3_072]
    learner = Learner(LearnerConfig(FEATURES, 6, seed=35))
    for start in range(0, len(vectors), 256):
        learner.add(Columns(FEATURES, vectors[:1000]).given(vectors[start : start + 256]), 0)
        work = learner.due()
        if work is not None and work.reason == "seed":
            learner.settle(work.run())
    assert work is not None
    assert work.mood == "young"
    young, settled = (replace(work, mood=mood).run() for mood in ("young", "settled"))
    assert (young.seeding is None, young.refined, settled.seeding) == (False, False, None)


@pytest.mark.parametrize(
    ("share", "errors", "wins"),
    [
        (0.02, 1.5, set()),
        (0.02, 3.0, {"settled", "alarmed"}),
        (0.05, 1.5, {"settled"}),
        (0.05, 0.5, set()),
        (0.004, 3.0, set()),
    ],
)
def test_fresh_centroids_turn_a_model_over_that_holds_only_where_they_are_surely_or_much_better(
    share: float, errors: float, wins: set[Mood]
) -> None:
    """`share` of the squared error is saved, so many standard `errors` from nothing."""
    sign = np.resize([1.0, -1.0], 1_000)
    continued = np.full(1_000, 1.0)
    anew = continued - share - sign * share / errors * np.sqrt(1_000)
    moods: tuple[Mood, ...] = ("settled", "alarmed")
    assert {mood for mood in moods if turns_over(continued, anew, mood)} == wins

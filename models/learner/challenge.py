"""The challenger: looks in the last vectors for a model that is better than the one that serves.

Two candidates, both with the scale measured anew: the serving centroids continued by Lloyd's iteration, and fresh ones.
Either must be better than the serving model on all of the vectors, by more than a fit flatters itself on what it was
made from: to keep a quarter apart for judging left differences of 3 % undecided (measured). Between the two their
squared error decides; a fresh one turns a fifth of all customers over and more, so it must be better surely, or by
much, or segments would hop between solutions that are as good as each other. A model that is young, seeded from a
warm-up and never challenged, or that a change has broken, has less to lose. Against a young one also a fresh one wins
that is tied, and has clearly the better silhouette: those are segments that people recognise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.learner.identity import in_space_of
from models.learner.kmeans import lloyd, squared_distances
from models.learner.seeding import TIE, Seeding, seed
from models.learner.silhouette import sampled
from models.transform import Floats, Transform

FLATTERY = 3.0
"""What k centroids fitted to N vectors gain on them and not on others: at most so many times k/N of the error."""

FRESH_GAIN = 0.006
"""Least share of the squared error that fresh centroids must save over the continued ones."""

YOUNG_GAIN = 0.003
"""The same while the model is young, or broken."""

REFINED_GAIN = 0.005
"""Least share of the squared error that either must save over the serving model, what flatters it left out."""

SURE = 1.0
"""Standard errors by which a gain must differ from nothing. With 3 a model stayed in an optimum 1 % worse than batch's
in 3 of 20 seeds on Online Retail, with 1 in one; over 80,000 vectors at rest a fresh one then won 4 times in 5 seeds,
not once."""

SURE_FRESH = 2.0
"""The same for fresh centroids over the continued ones, unless the model is young or broken, or the gain LARGE. With 1
a quarter of CDNOW's customers changed segment twice or thrice a year, with three seeds of six (measured)."""

LARGE = 0.03
"""Share of the squared error that a settled model is not left with until it is sure: a month of CDNOW was 6 % off
(measured). Not after an alarm."""

BROKEN = 0.1
"""Share of the squared error that the continued centroids save over the serving ones from which on they are other
segments anyway: an abrupt change has .25 and more, the life of CDNOW .03."""

CLEARER = 1.05
"""Silhouette of fresh centroids that are tied with a young model's continued ones, as a multiple of theirs, at which
they win. Of 40 beds of the highest noise the learner stayed under .98 of batch's silhouette in 4 without, in 2 with it.
Against settled models, too, it had segments of CDNOW hop three times as often (measured)."""

RESTARTS = 10


Mood = Literal["settled", "young", "alarmed"]
"""Of the model that serves: `young` where it was seeded or adopted after an alarm and never challenged since, `alarmed`
where an alarm asks for the challenge."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """How it ended."""

    winner: Literal["serving", "refined", "fresh"]
    seeding: Seeding | None
    """The winner, finished on all the vectors; None where the serving model stays."""
    gain: float
    """Share of the serving model's squared error that the better candidate saves; below 0 if it loses."""


def challenge(
    vectors: Floats,
    transform: Transform,
    centroids: Floats,
    rng: np.random.Generator,
    *,
    restarts: int = RESTARTS,
    mood: Mood = "settled",
) -> Challenge:
    """Let two candidates challenge (k, F) centroids that serve under `transform`, on (N, F) raw vectors, N >= 8.

    A refined winner has the serving centroids' rows, in their order. Pure: the generator is all its randomness.
    """
    fresh = seed(vectors, len(centroids), rng, clip=transform.clip, restarts=restarts)
    scale = fresh.transform
    scaled = scale.apply(vectors)
    serving = in_space_of(scale, transform, centroids)
    # The serving model assigns by its own scale: one that is out of date costs it here.
    assigned = squared_distances(transform.apply(vectors), centroids).argmin(axis=1)
    held = squared_distances(scaled, serving)[np.arange(len(assigned)), assigned]
    refined = _finished(scaled, scale, serving)
    continued, anew = (_errors(scaled, some.centroids) for some in (refined, fresh))
    flattery = FLATTERY * len(centroids) / len(vectors)
    saved = [_gain(held, some) for some in (continued, anew)]
    gains = [each - flattery for each in saved]
    between = _gain(continued, anew)
    whole = fresh.k == len(centroids)
    frail = mood == "young" or gains[0] >= BROKEN
    turned = between >= YOUNG_GAIN if frail else turns_over(continued, anew, mood)
    if whole and gains[1] >= REFINED_GAIN and turned:
        return Challenge("fresh", fresh, gains[1])
    tied = mood == "young" and whole and min(between, saved[1]) >= -TIE
    if tied and _clearer(scaled, refined.centroids, fresh.centroids, rng):
        return Challenge("fresh", fresh, gains[1])
    if gains[0] >= REFINED_GAIN:
        return Challenge("refined", refined, gains[0])
    return Challenge("serving", None, max(gains))


def _errors(scaled: Floats, centroids: Floats) -> Floats:
    squared: Floats = squared_distances(scaled, centroids).min(axis=1)
    return squared


def turns_over(continued: Floats, anew: Floats, mood: Mood) -> bool:
    """Say whether fresh centroids are so much better than continued ones that a model which holds may be turned over.

    Both (N,): squared errors of the same vectors.
    """
    if _gain(continued, anew, SURE_FRESH) >= FRESH_GAIN:
        return True
    # The few vectors of a look after an alarm have large gains by chance.
    return mood == "settled" and _gain(continued, anew) >= LARGE


def _gain(before: Floats, after: Floats, sure: float = SURE) -> float:
    """Share of squared errors saved; what could be chance counts as nothing."""
    saved = before - after
    mean = float(saved.mean())
    if mean > 0.0 and mean < sure * float(saved.std()) / np.sqrt(len(saved)):
        return 0.0
    return mean / max(float(before.mean()), 1e-12)


def _clearer(scaled: Floats, continued: Floats, anew: Floats, rng: np.random.Generator) -> bool:
    """Whether fresh centroids have clearly the better silhouette, on a sample."""
    before, after = sampled(scaled, [squared_distances(scaled, some).argmin(axis=1) for some in (continued, anew)], rng)
    return after >= CLEARER * before


def _finished(scaled: Floats, scale: Transform, centroids: Floats) -> Seeding:
    """Run on to the nearest optimum."""
    found, labels, inertia = lloyd(scaled, centroids)
    return Seeding(scale, found, np.bincount(labels, minlength=len(found)), len(found), inertia, 0.0)

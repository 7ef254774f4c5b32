"""Why one customer is in a segment, as numbers that a person can follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.assign import Model
from models.transform import Floats
from models.why import pulls, runner_up


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one feature has to do with it."""

    feature: str
    value: float
    """The customer's."""
    here: float
    """Typical of the segment."""
    there: float
    """Typical of the runner-up."""
    pull: float
    """How much nearer it brings the customer to the segment than to the runner-up: a part of a squared distance."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One customer between two segments; the contributions sum to `there_distance`^2 - `here_distance`^2."""

    segment: int
    runner_up: int
    here_distance: float
    there_distance: float
    contributions: tuple[Contribution, ...]
    """Of every feature, the strongest pull first."""


def explain(model: Model, vector: Sequence[float] | Floats, segment: int) -> Explained:
    """Compare a customer's segment with the nearest other one, by its (F,) raw vector.

    A segment that the model does not have any more: the nearest stands in for it.
    """
    vectors = np.asarray(vector, np.float64)[None, :]
    row = int(model.row_of.take(segment + 1, mode="clip"))
    here = np.array([row]) if row < len(model.ids) else model.nearest(vectors)
    there = runner_up(model, vectors, here)
    pull = pulls(model, vectors, here, there)[0]
    scaled = model.transform.apply(vectors)[0]
    typical = [model.transform.invert(model.centroids[rows[0]]) for rows in (here, there)]
    mine, other = (float(np.linalg.norm(scaled - model.centroids[rows[0]])) for rows in (here, there))
    contributions = [
        Contribution(model.features[at], *(float(values[at]) for values in (vectors[0], *typical, pull)))
        for at in np.argsort(-pull, kind="stable").tolist()
    ]
    return Explained(int(model.ids[here[0]]), int(model.ids[there[0]]), mine, other, tuple(contributions))

"""Evaluating on a table of feature vectors, one a row in the order of their arrival, instead of events."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models import cards
from models.assign import NO_SEGMENT, Model, assign
from models.catalogue import FEATURES
from models.learner.agreement import adjusted_rand
from models.learner.config import LearnerConfig
from models.learner.traits import traits_among
from models.transform import Floats
from stream.errors import WrongUsage
from stream.evaluate.outcome import Check, Outcome, rows_of
from stream.evaluate.school import SLICE, School
from stream.evaluate.scores import batch_labels, compare
from stream.evaluate.tables import table_of
from stream.settings import Settings

VISIT_ROWS = 200
"""Rows within which a customer's next vector is the same visit, and is not learnt from."""
SKEWED = 0.5
"""Skewness past which a column that is never negative is taken as log1p."""
STANDARD_AT = 8.0
"""A column that is not taken as log1p is moved so many deviations above 0, and given as what log1p undoes."""
CHECKS = 10

Progress = Callable[[float, int], None]
"""Is told the share that is done, and how many rows that is."""


@dataclass(frozen=True, slots=True)
class Given:
    """A table as it was asked for."""

    customers: list[str]
    raw: Floats
    """(N, F) in the order of the features; what is missing is not a number."""
    truth: NDArray[Any] | None


def read(paths: list[Path], features: tuple[str, ...], truth: str | None, customer: str = "customer_id") -> Given:
    """Read the columns of some files. Raises WrongUsage for one that is missing or holds no numbers."""
    tables = [table_of(path) for path in paths]
    wanted = [customer, *features, *([truth] if truth else [])]
    for path, table in zip(paths, tables, strict=True):
        missing = [name for name in wanted if name not in table.column_names]
        if missing:
            raise WrongUsage(f"{path}: no column {', '.join(missing)}; there are {', '.join(table.column_names)[:500]}")
    joined = pa.concat_tables([table.select(wanted) for table in tables], promote_options="permissive")
    columns = []
    for name in features:
        try:
            columns.append(joined[name].cast(pa.float64()).to_numpy(zero_copy_only=False))
        except pa.ArrowInvalid:
            raise WrongUsage(f"column {name} holds something that is no number") from None
    labels = joined[truth].to_numpy(zero_copy_only=False) if truth else None
    customers = pc.cast(joined[customer], pa.string()).to_pylist()
    return Given([str(one) for one in customers], np.column_stack(columns).astype(np.float64), labels)


class Columns:
    """Gives the learner every column in a form whose log1p is what a person would take: itself, or its logarithm."""

    def __init__(self, features: tuple[str, ...], warm_up: Floats) -> None:
        """Look at (N, F) vectors of the warm-up."""
        finite = warm_up[np.isfinite(warm_up).all(axis=1)]
        if not len(finite):
            raise WrongUsage("none of the first vectors has a number in every column")
        self.logged = np.array([name in FEATURES or _right_skewed(finite[:, i]) for i, name in enumerate(features)])
        deviation = finite.std(axis=0)
        self._mean, self._deviation = finite.mean(axis=0), np.where(deviation > 0, deviation, 1.0)

    def given(self, raw: Floats) -> Floats:
        """(N, F) as the learner is given them."""
        standard = np.clip((raw - self._mean) / self._deviation + STANDARD_AT, 0.0, 2 * STANDARD_AT)
        return np.where(self.logged, raw, np.expm1(standard))

    def raw(self, given: Floats) -> Floats:
        """(..., F) as the table has them; what was clipped stays clipped."""
        standard = (np.log1p(given) - STANDARD_AT) * self._deviation + self._mean
        return np.where(self.logged, given, standard)


def _right_skewed(column: Floats) -> bool:
    if column.min() < 0:
        return False
    centred = column - column.mean()
    deviation = float(centred.std())
    return deviation > 0 and float((centred**3).mean()) / deviation**3 > SKEWED


class Crowd:
    """The customers of the table as they are so far, and what they are judged to be."""

    def __init__(self, width: int, settings: Settings) -> None:
        self.index: dict[str, int] = {}
        self.vectors = np.zeros((0, width))
        self.segments = np.zeros(0, np.int64)
        self.flips = 0
        self._margin = settings.margin

    def arrive(self, customers: list[str], vectors: Floats) -> NDArray[np.int64]:
        """Take the vectors of N rows; return the positions of their customers."""
        rows = np.array([self.index.setdefault(one, len(self.index)) for one in customers], np.int64)
        missing = len(self.index) - len(self.vectors)
        if missing > 0:
            grown = max(missing, len(self.vectors))
            self.vectors = np.concatenate((self.vectors, np.zeros((grown, vectors.shape[1]))))
            self.segments = np.concatenate((self.segments, np.full(grown, NO_SEGMENT, np.int64)))
        self.vectors[rows] = vectors
        return rows

    def judge(self, model: Model, rows: NDArray[np.int64]) -> None:
        """Judge some customers, as a worker would."""
        held = self.segments[rows]
        now = assign(model, self.vectors[rows], held, np.zeros(len(rows)), 0.0, margin=self._margin, dwell_ms=0.0)
        self.flips += int(((now.segment != held) & (held != NO_SEGMENT)).sum())
        self.segments[rows] = now.segment

    @property
    def everybody(self) -> NDArray[np.int64]:
        """Positions of all customers."""
        return np.arange(len(self.index))


def run(given: Given, features: tuple[str, ...], settings: Settings, asked: Asked, progress: Progress) -> Outcome:
    """Replay a table through the learner and the assignment; raises WrongUsage where it is too short for a model."""
    began = time.monotonic()
    columns = Columns(features, given.raw[: settings.warm_up_vectors])
    school = School(config(features, settings, asked), settings.snapshot_every_vectors)
    crowd = Crowd(len(features), settings)
    total = len(given.raw)
    first = first_of_visit(given.customers)
    checks: list[Check] = []
    due = np.linspace(0, total, asked.checks + 1)[1:]
    for start in range(0, total, SLICE):
        end = min(start + SLICE, total)
        vectors = columns.given(given.raw[start:end])
        usable = np.where(np.isfinite(vectors), vectors, 0.0)
        rows = crowd.arrive(given.customers[start:end], usable)
        fresh = school.teach(vectors[first[start:end]], start)
        if school.model is not None:
            crowd.judge(school.model, crowd.everybody if fresh else np.unique(rows))
        if end == total and school.learner.serving:
            school.finish(end)
            assert school.model is not None
            crowd.judge(school.model, crowd.everybody)
        if len(due) and end >= due[0]:
            due = due[np.searchsorted(due, end, side="right") :]
            if school.model is not None:
                checks.append(_check(f"{end} vectors", school.model, crowd, asked.seed))
        progress(end / total, end)
    if school.snapshot is None or school.model is None:
        raise WrongUsage(
            f"{total} vectors give no model: {school.learner.warm_up_left} more are needed",
            action="give more rows, or set LIVESEGMENT_WARM_UP_VECTORS lower",
        )
    found = _outcome(given, school, crowd, checks=checks, asked=asked, seconds=time.monotonic() - began)
    return replace(found, money="{:,.0f}".format, undo=columns.raw)


def _outcome(
    given: Given, school: School, crowd: Crowd, *, checks: list[Check], asked: Asked, seconds: float
) -> Outcome:
    assert school.snapshot is not None
    everybody = crowd.everybody
    scaled = school.scaled(crowd.vectors[everybody])
    agreement, batch = _truth(given, crowd, scaled, school.learner.k, asked.seed)
    return Outcome(
        files=asked.files,
        rows=len(given.raw),
        refused={"not_finite": school.learner.refused} if school.learner.refused else {},
        seconds=seconds,
        snapshot=school.snapshot,
        checks=checks,
        moments=school.moments,
        customers=list(crowd.index),
        segments=crowd.segments[everybody],
        scaled=scaled,
        truth_agreement=agreement,
        batch_truth_agreement=batch,
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line said."""

    files: tuple[str, ...]
    seed: int
    traits: tuple[str, ...] = ()
    checks: int = CHECKS
    """Comparisons with batch k-means over a table of vectors; the last one at its end."""


def config(features: tuple[str, ...], settings: Settings, asked: Asked) -> LearnerConfig:
    """Return the learner's configuration. Raises WrongUsage for a trait that nobody asked for."""
    unasked = [name for name in traits_among(features) if name not in asked.traits]
    if unasked:
        raise WrongUsage(
            f"{', '.join(unasked)} says who somebody is, not what they do",
            action="leave it out; or, if you must, name it with --traits, and the report will say so",
        )
    return LearnerConfig(
        features=features,
        k=settings.clusters,
        warm_up=settings.warm_up_vectors,
        seed=asked.seed,
        floor=settings.halflife_floor,
        plain_words={name: cards.short(name) if name in FEATURES else name for name in features},
        traits=asked.traits,
        clusterer=settings.clusterer,
        challenge_every=settings.challenge_every_vectors,
    )


def first_of_visit(customers: list[str]) -> NDArray[np.bool_]:
    """(N,) whether each row is its customer's first within VISIT_ROWS rows, or a quarter of the customers if less."""
    apart = min(VISIT_ROWS, len(set(customers)) // 4)
    last: dict[str, int] = {}
    first = np.ones(len(customers), np.bool_)
    for row, customer in enumerate(customers):
        first[row] = row - last.get(customer, -apart - 1) > apart
        last[customer] = row
    return first


def _check(at: str, model: Model, crowd: Crowd, seed: int) -> Check:
    everybody = crowd.everybody
    vectors, held = crowd.vectors[everybody], crowd.segments[everybody]
    labels = rows_of(model.ids, held)
    nearest = model.nearest(vectors)
    found = compare(model.transform.apply(vectors), labels, len(model.ids), np.random.default_rng(seed))
    flips, crowd.flips = crowd.flips, 0
    shares = np.bincount(labels, minlength=len(model.ids)) / max(1, len(labels))
    by_id = dict(zip(model.ids.tolist(), shares.tolist(), strict=True))
    return Check(at, len(everybody), found, float((labels != nearest).mean()), flips, 0.0, by_id)


def _truth(given: Given, crowd: Crowd, scaled: Floats, k: int, seed: int) -> tuple[float | None, float | None]:
    """Agreement with the truth of our segments and of batch k-means; a customer's last row says its truth."""
    if given.truth is None:
        return None, None
    last = {customer: row for row, customer in enumerate(given.customers)}
    truth = np.array([str(given.truth[last[customer]]) for customer in crowd.index])
    batch = batch_labels(scaled, k, np.random.default_rng(seed))
    return adjusted_rand(truth, crowd.segments[crowd.everybody]), adjusted_rand(truth, batch)

"""Evaluating on files of events: decoded, applied and judged by the worker's own code, in one partition, no broker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import cards, features
from models.apply import Watermarks, apply
from models.assign import NO_SEGMENT, Model, assign
from models.batch import SOURCES
from models.catalogue import MODEL_FEATURES
from models.clock import StreamClock
from models.columns import CustomerTable
from models.learner.panel import Sightings
from models.standing import Yardsticks, profiles, standings
from schemas.standing import CustomerBase
from stream.decode import Decoder, Portion
from stream.errors import WrongUsage
from stream.evaluate.outcome import Check, Outcome, rows_of
from stream.evaluate.school import School
from stream.evaluate.scores import compare
from stream.evaluate.vectors import Asked, Progress, config
from stream.extract_sparse import text_hashes
from stream.replay import Outgoing, parts, span
from stream.sampling import Sweep
from stream.settings import Settings

STEPS_MIN = 150
STEPS_MS = tuple(seconds * 1000 for seconds in (1, 10, 60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400))
"""A step is the longest of these of which the file has at least STEPS_MIN."""
SWEEP_SHARE = 0.01
"""Of all customers, whose vectors the learner gets at each step."""
SWEEP_MIN = 2_000
"""A worker sends 200 a second. With 500 a day the model of CDNOW's third month, while buyers were still being won, was
9 % worse than batch; with these all 18 months held for four seeds of four (measured)."""
CHECKS_MAX = 18
MONTH_MS = 30 * 86_400_000
MEET_MS = 3 * 86_400_000
"""Between two looks of the predictions at everybody: short beside their horizons of 7 and 30 days."""
KEY_SHIFT = np.uint64(11)
"""Of a customer's hash: keys have 53 bits."""
CHUNK = 20_000
"""Customers whose features are read at once."""


@dataclass(frozen=True, slots=True)
class Row:
    """A record as the decoder reads it."""

    key: bytes | None
    value: bytes | None
    offset: int


class Shop:
    """One partition's customers and their segments, worked on as a worker does, without Kafka and Redis."""

    def __init__(self, settings: Settings) -> None:
        self.table = CustomerTable()
        self.clock = StreamClock("event")
        self.refused: Counter[str] = Counter()
        self.segments = np.zeros(0, np.int64)
        self.since_ms = np.zeros(0)
        self.flips = 0
        self._settings = settings
        self._decoder = Decoder(
            currency=settings.currency,
            currency_digits=settings.currency_digits,
            unknown_events=settings.unknown_events,
            future_tolerance_s=settings.future_tolerance_s,
            time_zone=settings.time_zone,
        )
        self._watermarks = Watermarks()
        self._offsets = dict.fromkeys(SOURCES, 0)

    @property
    def now_ms(self) -> int:
        """Event time."""
        return self.clock.now(0)

    def apply(self, records: Sequence[Outgoing]) -> NDArray[np.int64]:
        """Apply some records in their order; return the slots of the customers they touched."""
        portions = []
        for source, topic in enumerate(SOURCES):
            mine = [record for record in records if record.topic == topic]
            start = self._offsets[topic]
            self._offsets[topic] += len(mine)
            rows = [Row(record.key, record.value, start + at) for at, record in enumerate(mine)]
            portions += [Portion(0, source, rows)] if rows else []
        touched = np.zeros(0, np.int64)
        if portions:
            decoded = self._decoder.decode(portions, time.time_ns() // 1_000_000)[0]
            self.refused.update(letter.reason for letter in decoded.letters)
            applied = apply(self.table, decoded.batch, self._watermarks, lambda _customer, _key: True)
            self._watermarks = applied.watermarks
            self.clock.observe(decoded.batch.time_ms, decoded.batch.customer)
            touched = applied.touched
        missing = len(self.table) - len(self.segments)
        self.segments = np.concatenate((self.segments, np.full(missing, NO_SEGMENT, np.int64)))
        self.since_ms = np.concatenate((self.since_ms, np.zeros(missing)))
        return touched

    def vectors(self, slots: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N, F) features of some slots, aged to now."""
        return features.read(self.table, slots, self.now_ms)

    def sightings(self, slots: NDArray[np.int64], now_ms: int) -> Sightings:
        """Return customers as a sweep meets them, in the order of their slots, aged to a moment."""
        rows = self.table.gather(slots)
        keys = np.array([*text_hashes(self.table.ids[slot] for slot in slots.tolist())], np.uint64) >> KEY_SHIFT
        return Sightings(keys, features.of_rows(rows, now_ms), profiles(rows))

    def standings(self, base: CustomerBase | None, now_ms: int) -> NDArray[np.int64] | None:
        """(N,) lifecycles and RFM scores of everybody at a moment; None where nothing is known to measure them by."""
        yardsticks = Yardsticks.of(base)
        if yardsticks is None:
            return None
        return standings(self.table.gather(self.everybody), yardsticks, now_ms).astype(np.int64)

    def judge(self, model: Model, slots: NDArray[np.int64]) -> None:
        """Judge the customers at sorted slots, as a worker would."""
        for start in range(0, len(slots), CHUNK):
            some = slots[start : start + CHUNK]
            held = self.segments[some]
            found = assign(
                model,
                self.vectors(some),
                held,
                self.since_ms[some],
                self.now_ms,
                margin=self._settings.margin,
                dwell_ms=self._settings.dwell_s * 1000,
            )
            moved = found.segment != held
            self.flips += int((moved & (held != NO_SEGMENT)).sum())
            self.segments[some] = found.segment
            self.since_ms[some[moved]] = self.now_ms

    @property
    def everybody(self) -> NDArray[np.int64]:
        """All slots."""
        return np.arange(len(self.table))


def run(
    paths: list[Path], overrides: Mapping[str, str], settings: Settings, asked: Asked, progress: Progress
) -> Outcome:
    """Replay files of events; raises WrongUsage where they are too short for a model, and as `replay` does."""
    began = time.monotonic()
    span = span_of(paths, overrides)
    step_ms = step_of(*span)
    check_every = max(1, (span[1] - span[0]) // step_ms // CHECKS_MAX)
    school = School(config(tuple(MODEL_FEATURES), settings, asked), settings.snapshot_every_vectors)
    shop, sweep = Shop(settings), Sweep()
    checks: list[Check] = []
    months, steps, rows, met_ms = 0.0, 0, 0, 0
    for records, done, ended in _in_steps(paths, overrides, step_ms):
        rows += len(records)
        touched = shop.apply(records)
        if school.model is not None:
            shop.judge(school.model, touched)
        progress(done, rows)
        if not ended or not len(shop.table):
            continue
        steps += 1
        count = max(SWEEP_MIN, round(SWEEP_SHARE * len(shop.table)))
        school.teach(shop.vectors(sweep.next(count, len(shop.table))), shop.now_ms, len(shop.table))
        if shop.now_ms >= met_ms + MEET_MS:
            met_ms = shop.now_ms
            _meet(shop, school)
        if school.model is None:
            continue
        # Time passes for everybody, not only for those who do something.
        shop.judge(school.model, shop.everybody)
        months += len(shop.table) * step_ms / MONTH_MS
        if steps % check_every == 0:
            checks.append(_check(shop, school.model, months, asked.seed))
            months = 0.0
    if school.model is None or school.snapshot is None:
        raise WrongUsage(
            f"{rows} rows give no model: {school.learner.warm_up_left} more vectors are needed",
            action="give more rows, or set LIVESEGMENT_WARM_UP_VECTORS lower",
        )
    _meet(shop, school)
    school.finish(shop.now_ms)
    shop.judge(school.model, shop.everybody)
    if steps % check_every > check_every // 2 or not checks:
        checks.append(_check(shop, school.model, months, asked.seed))
    return Outcome(
        files=asked.files,
        rows=rows,
        refused=dict(shop.refused),
        seconds=time.monotonic() - began,
        snapshot=school.snapshot,
        checks=checks,
        moments=school.moments,
        customers=list(shop.table.ids),
        segments=shop.segments,
        scaled=school.scaled(shop.vectors(shop.everybody)),
        truth_agreement=None,
        batch_truth_agreement=None,
        money=cards.money_in(settings.currency, settings.currency_digits),
        standings=shop.standings(school.snapshot.base, shop.now_ms),
    )


def span_of(paths: Sequence[Path], overrides: Mapping[str, str]) -> tuple[int, int]:
    """First and last event time, milliseconds. Raises WrongUsage where no row has one."""
    spans = [found for path in paths if (found := span(path, overrides)) is not None]
    if not spans:
        raise WrongUsage("no row has an event time", action="say which column it is: --map event_time=COLUMN")
    return min(first for first, _ in spans), max(last for _, last in spans)


def step_of(first_ms: int, last_ms: int) -> int:
    """Milliseconds between two looks of the learner at the customers.

    >>> step_of(0, 545 * 86_400_000) // 86_400_000, step_of(0, 3 * 3_600_000) // 1000
    (1, 60)
    """
    span = last_ms - first_ms
    return max([step for step in STEPS_MS if span >= STEPS_MIN * step], default=STEPS_MS[0])


def _in_steps(
    paths: Sequence[Path], overrides: Mapping[str, str], step_ms: int
) -> Iterator[tuple[list[Outgoing], float, bool]]:
    """Yield records in the files' order, how far along they are, and whether a step ends with them."""
    bound: int | None = None
    for number, path in enumerate(paths):
        for part in parts(path, overrides):
            waiting: list[Outgoing] = []
            done = (number + part.done) / len(paths)
            for record in part.records:
                at_ms = record.time_ms
                if at_ms is not None:
                    bound = at_ms // step_ms * step_ms + step_ms if bound is None else bound
                    while at_ms >= bound:
                        yield waiting, done, True
                        waiting = []
                        bound += step_ms
                waiting.append(record)
            yield waiting, done, False


def _meet(shop: Shop, school: School) -> None:
    """Show everybody to the learner as persons: what RFM scores, lifecycles and predictions are learnt from."""
    everybody = Sweep().next(len(shop.table), len(shop.table))
    school.learner.meet(shop.sightings(everybody, shop.now_ms), shop.now_ms, len(shop.table))


def _check(shop: Shop, model: Model, months: float, seed: int) -> Check:
    vectors = shop.vectors(shop.everybody)
    labels = rows_of(model.ids, shop.segments)
    nearest = model.nearest(vectors)
    found = compare(model.transform.apply(vectors), labels, len(model.ids), np.random.default_rng(seed))
    flips, shop.flips = shop.flips, 0
    shares = np.bincount(labels, minlength=len(model.ids)) / max(1, len(labels))
    day = datetime.fromtimestamp(shop.now_ms / 1000, UTC)
    by_id = dict(zip(model.ids.tolist(), shares.tolist(), strict=True))
    held = float((labels != nearest).mean())
    return Check(f"{day:%Y-%m-%d %H:%M}", len(labels), found, held, flips, months, by_id)

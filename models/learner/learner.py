"""The learner as a state machine: vectors in, snapshots out. No I/O, no clock, no threads of its own.

    warming up --due: seed--> serving: fed in blocks, snapshot on demand
                                 |  due: challenge (every so many vectors), drift (after an alarm), seed (another k)
                                 └─> settle: the winner serves, ids follow the members

What is `due` takes some 100 ms, so the owner runs it off its event loop and hands the outcome to `settle`; vectors that
arrive meanwhile are kept and fed as usual.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from models.learner import identity, naming
from models.learner.agenda import Agenda
from models.learner.base import BaseWatch
from models.learner.baseline import Baseline, Shift
from models.learner.clusterer import CLUSTERERS, Clusterer
from models.learner.config import LearnerConfig
from models.learner.drift import DriftWatch
from models.learner.feeding import BLOCK
from models.learner.guard import AROUND_MIN, KReading, look_around
from models.learner.heads import QUESTIONS, LearnedHead
from models.learner.identity import Segments, Succession
from models.learner.kmeans import Labels, squared_distances
from models.learner.lineage import Lineage
from models.learner.panel import Sightings
from models.learner.seeding import Seeding
from models.learner.window import Window
from models.learner.work import Outcome, Reason, Work
from models.transform import Floats, Transform
from schemas.head import Head
from schemas.snapshot import CLUSTERS_MIN, FORMAT_VERSION, Contrast, ModelSnapshot, OtherK, Segment

DECIMALS = 6
"""Of centroids in a snapshot: millionths of a deviation, so that one of 64 segments stays under 64 kB."""

POPULATION_MIN = 200
"""Vectors that make a window a fair picture of the population."""


@dataclass(slots=True)
class _Serving:
    """The model as it is now."""

    transform: Transform
    clusterer: Clusterer
    ids: tuple[int, ...]
    shares: Floats
    """(k,) shares when this began to serve, believed for the part of the window that is not filled yet."""
    watch: DriftWatch
    baseline: Baseline | None
    """None until the window is full again, after a restart."""

    def nearest(self, scaled: Floats) -> tuple[Labels, Floats]:
        """(N,) row of the nearest centroid of each vector, and its distance."""
        squared = squared_distances(scaled, self.clusterer.centroids)
        labels = squared.argmin(axis=1)
        return labels, np.sqrt(squared[np.arange(len(labels)), labels])


class Learner:
    """Seeds, feeds, challenges and names one model. Not thread-safe: one owner calls it."""

    def __init__(self, config: LearnerConfig) -> None:
        self.config = config
        self.version = 0
        self.learnt = 0
        """Vectors accepted in all, also in earlier lives."""
        self.refused = 0
        """Vectors refused because a value was not finite, in this life."""
        self.counts: Counter[str] = Counter()
        """Alarms, and how work ended (`challenge_fresh`, `drift_serving`, ...), in this life."""
        self.around: tuple[OtherK, ...] = ()
        """Numbers of segments near k, when they were last tried."""
        self.lineage = Lineage()
        self.base = BaseWatch()
        """What RFM scores and lifecycles are measured by; `meet` feeds it."""
        self.heads = [LearnedHead(question, config.features, config.seed) for question in QUESTIONS]
        """Predictions; `meet` feeds them too."""
        self._window = Window(config.window, len(config.features))
        self._pending: list[Floats] = []
        self._serving: _Serving | None = None
        self._agenda = Agenda(config)
        self._population: int | None = None
        self._latest_ms = 0
        self._told: list[naming.Named] = []
        """What an earlier life said of the segments, for as long as this one has not seen enough to judge."""

    @classmethod
    def restore(cls, config: LearnerConfig, snapshot: ModelSnapshot) -> Self:
        """Go on from a snapshot that passed `checks.check`: its ids, centroids, weights, names and history.

        Vectors that were waiting for a full block (under BLOCK) are lost with the old process. A snapshot of other
        features cannot be fed: its ids are retired, never to be used again, and a new warm-up begins. One with another
        k serves until enough vectors for a new seeding have come.
        """
        learner = cls(config)
        learner.version, learner.learnt = snapshot.version, snapshot.learnt
        learner.lineage = Lineage.of(snapshot)
        learner.base = BaseWatch.of(snapshot.base)
        known: dict[str, Head] = {head.name: head for head in snapshot.heads}
        if list(snapshot.features) == list(config.features):
            learner.heads = [
                LearnedHead.restore(question, config.features, config.seed, known.get(question.name))
                for question in QUESTIONS
            ]
        learner.around = tuple(snapshot.around)
        learner._latest_ms = snapshot.created_at
        if list(snapshot.features) == list(config.features):
            segments = snapshot.centroids
            learner._told = [
                naming.Named(one.name, tuple(one.words), tuple((said.feature, said.z) for said in one.contrasts))
                for one in segments
            ]
            learner._serving = learner._begin(
                Transform.of(snapshot.mean, snapshot.scale, snapshot.clip),
                np.array([segment.centroid for segment in segments], np.float64),
                np.array([segment.weight for segment in segments], np.float64),
                tuple(segment.id for segment in segments),
                np.array([segment.share for segment in segments], np.float64),
            )
        return learner

    @property
    def k(self) -> int:
        """Clusters asked for."""
        return self.config.k

    @property
    def serving(self) -> bool:
        """Whether there is a model to publish."""
        return self._serving is not None

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the segments as they are now; none while warming up."""
        return self._serving.ids if self._serving else ()

    @property
    def warm_up_left(self) -> int:
        """Vectors still needed before the first model."""
        return 0 if self._serving else max(0, self._agenda.seed_at - self._window.seen)

    @property
    def watch(self) -> DriftWatch | None:
        """The detectors of the model that serves."""
        return self._serving.watch if self._serving else None

    def add(self, vectors: Floats, now_ms: int, population: int | None = None) -> int:
        """Take (N, F) raw vectors as of `now_ms`; return how many were refused for a value that is not finite.

        Each is a customer's once, as in a sweep, or the first of a visit: several of one visit would look like many
        customers who agree. `population` says how many customers there are, where that is known: of a few, the last
        vectors hold each many times, and nothing can be judged on what was also learnt from. Raises ValueError when
        the width is wrong: that is a mistake of the caller, not of the data.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.config.features):
            raise ValueError(f"vectors of shape {vectors.shape} for {len(self.config.features)} features")
        accepted = vectors[np.isfinite(vectors).all(axis=1)]
        refused = len(vectors) - len(accepted)
        self.refused += refused
        self.learnt += len(accepted)
        self._latest_ms = max(self._latest_ms, now_ms)
        self._population = population
        self._window.put(accepted)
        if self._serving is not None and len(accepted):
            self._feed(self._serving, accepted)
        return refused

    def meet(self, seen: Sightings, now_ms: int, population: int) -> None:
        """Take customers of a sweep as persons, not as points: for the base, and for predictions and their outcomes."""
        self.base.add(seen.profiles, population)
        for head in self.heads:
            head.see(seen, now_ms, population)

    def recent(self) -> Floats:
        """(N, F) raw copies of the last vectors, N at most `config.window`, oldest first."""
        return self._window.last(self._window.size)

    def due(self) -> Work | None:
        """Return the work that should be done now, if any; the same until `settle` is given its outcome."""
        seen, serving = self._window.seen, self._serving
        if serving is None or len(serving.ids) != self.k:
            return self._work("seed", self.config.window) if seen >= self._agenda.seed_at else None
        planned = self._agenda.next(seen, self._population)
        return None if planned is None else self._work(*planned)

    def settle(self, outcome: Outcome) -> Succession | None:
        """Take the outcome of the work that was due; say which segments live on, began and ended if the model changed.

        None when it does not: the challenger lost, or a seeding found one cluster only, which is no segmentation, or as
        many as there are and still not the number asked for. After such a seeding a later warm-up tries again.
        """
        seen, found, old = self._window.seen, outcome.seeding, self._serving
        if outcome.around:
            self._agenda.looked_around(seen)
            self._remember(outcome.around)
        if outcome.reason == "seed" and found is not None:
            same = old is not None and len(old.ids) == found.k != self.k
            found = None if found.k < CLUSTERS_MIN or same else found
        self._agenda.done(outcome.reason, seen, adopted=found is not None)
        won = "serving" if found is None else "refined" if outcome.refined else "fresh"
        self.counts[f"{outcome.reason}_{won}"] += 1
        return None if found is None else self._adopt(found, refined=outcome.refined)

    def look_around(self) -> None:
        """Try other numbers of segments now, a second's work: for whoever has all vectors and asks at their end."""
        vectors = self.recent()
        if len(vectors) >= AROUND_MIN:
            self._remember(look_around(vectors, self.k, np.random.default_rng(self._rng_key)))

    def snapshot(self, now_ms: int) -> ModelSnapshot:
        """Publish the model as it is, as the next version, created at `now_ms` (or the latest vectors' time, if later).

        Raises ValueError while warming up.
        """
        serving = self._serving
        if serving is None:
            raise ValueError(f"no model yet: {self.warm_up_left} more vectors to warm up")
        self.version += 1
        window = serving.transform.apply(self.recent())
        sampled = np.bincount(serving.nearest(window)[0], minlength=len(serving.ids))
        unfilled = self._window.size - len(window)
        shares = (sampled + unfilled * serving.shares) / self._window.size
        named = self._names(serving, window)
        created_at = max(now_ms, self._latest_ms)
        self.lineage.publish(self.version, created_at, dict(zip(serving.ids, (n.name for n in named), strict=True)))
        segments = [
            Segment(
                id=segment_id,
                name=name.name,
                words=list(name.words),
                contrasts=[Contrast(feature=feature, z=round(z, DECIMALS)) for feature, z in name.contrasts],
                share=float(shares[row]),
                size_sampled=int(sampled[row]),
                centroid=serving.clusterer.centroids[row].round(DECIMALS).tolist(),
                weight=float(serving.clusterer.weights[row]),
            )
            for row, (segment_id, name) in enumerate(zip(serving.ids, named, strict=True))
        ]
        return self._as_snapshot(serving.transform, segments, created_at)

    def shift(self) -> Shift | None:
        """How far the recent vectors are from those the model was adopted on; None where that is not known."""
        serving = self._serving
        if serving is None or not len(self._window):
            return None
        scaled = serving.transform.apply(self.recent())
        if serving.baseline is None:
            if len(self._window) < self._window.size:
                return None
            serving.baseline = Baseline.of(scaled, serving.clusterer.centroids)
        return serving.baseline.compare(scaled, serving.clusterer.centroids)

    @property
    def _rng_key(self) -> tuple[int, ...]:
        return self.config.seed, self._agenda.works, self.lineage.next_id

    def _remember(self, around: Sequence[KReading]) -> None:
        self.around = tuple(
            OtherK(k=one.k, silhouette=one.silhouette, smallest_share=one.smallest_share, stability=one.stability)
            for one in around
        )

    def _work(self, reason: Reason, count: int) -> Work:
        vectors = self._window.last(count)
        serving = None if reason == "seed" else self._serving
        return Work(
            reason,
            vectors,
            self.k,
            self._rng_key,
            (serving.transform, serving.clusterer.centroids) if serving else None,
            mood="alarmed" if reason == "drift" else "young" if self._agenda.young else "settled",
            look_around=self._agenda.looks_around(reason, self._window.seen),
        )

    def _begin(
        self, transform: Transform, centroids: Floats, weights: Floats, ids: tuple[int, ...], shares: Floats
    ) -> _Serving:
        clusterer = CLUSTERERS[self.config.clusterer](centroids, weights, self.config.floor)
        return _Serving(transform, clusterer, ids, shares, DriftWatch(self.config.features, ids), None)

    def _adopt(self, found: Seeding, *, refined: bool) -> Succession:
        recent = self.recent()
        scaled = found.transform.apply(recent)
        old = self._serving
        if old is None:
            succession = identity.first(found.k, self.lineage.next_id)
        else:
            labels = squared_distances(scaled, found.centroids).argmin(axis=1)
            moved = identity.in_space_of(found.transform, old.transform, old.clusterer.centroids)
            before = Segments(moved, old.nearest(old.transform.apply(recent))[0])
            succeed = identity.go_on if refined else identity.succeed
            succession = succeed(before, old.ids, Segments(found.centroids, labels), self.lineage.next_id)
        self.lineage.note(succession)
        weights = found.counts.astype(np.float64)
        self._serving = self._begin(
            found.transform, found.centroids, weights, succession.ids, weights / max(weights.sum(), 1.0)
        )
        self._serving.baseline = Baseline.of(scaled, found.centroids)
        self._pending = []
        return succession

    def _feed(self, serving: _Serving, vectors: Floats) -> None:
        """Feed whole blocks; the rest waits for the next vectors."""
        self._pending.append(vectors)
        if sum(map(len, self._pending)) < BLOCK:
            return
        waiting = np.concatenate(self._pending)
        whole = len(waiting) - len(waiting) % BLOCK
        scaled = serving.transform.apply(waiting[:whole])
        for start in range(0, whole, BLOCK):
            block = scaled[start : start + BLOCK]
            noticed = serving.watch.observe(block, *serving.nearest(block))
            if noticed is not None:
                self.counts["alarms"] += 1
                self._agenda.notice(self._window.seen - (len(waiting) - start - noticed))
            serving.clusterer.feed(block)
        self._pending = [waiting[whole:].copy()] if whole < len(waiting) else []

    def _names(self, serving: _Serving, window: Floats) -> list[naming.Named]:
        if len(window) < min(POPULATION_MIN, self.config.warm_up):
            return self._told
        centroids = serving.clusterer.centroids
        return naming.name_all(
            self.config.features,
            naming.contrasts(centroids, window.mean(axis=0), window.std(axis=0)),
            serving.transform.invert(centroids),
            [self.lineage.names.get(segment) for segment in serving.ids],
            self.config.plain_words,
        )

    def _as_snapshot(self, transform: Transform, segments: list[Segment], created_at: int) -> ModelSnapshot:
        return ModelSnapshot(
            format_version=FORMAT_VERSION,
            version=self.version,
            created_at=created_at,
            k=len(segments),
            features=list(self.config.features),
            mean=transform.mean.tolist(),
            scale=transform.scale.tolist(),
            clip=transform.clip,
            centroids=segments,
            next_id=self.lineage.next_id,
            lineage={str(segment_id): name for segment_id, name in self.lineage.names.items()},
            learnt=self.learnt,
            seed=self.config.seed,
            halflife=self.config.floor,
            clusterer=self.config.clusterer,
            traits=list(self.config.traits),
            history=list(self.lineage.history),
            around=list(self.around),
            base=self.base.read(),
            heads=[head for head in (learnt.export() for learnt in self.heads) if head is not None],
        )

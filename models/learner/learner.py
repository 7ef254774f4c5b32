"""The learner as a state machine: vectors in, snapshots out. No I/O, no clock, no threads of its own.

    warming up --ready_to_seed--> (seed elsewhere) --adopt--> serving: fed in blocks, snapshot on demand
                                        ^______________________________|  when the model has not the k asked for

Seeding takes some 100 ms, so the owner runs `seeding.seed(learner.recent(), learner.k, learner.rng())` off its event
loop and hands the result to `adopt`; vectors that arrive meanwhile are kept in the window as usual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from models.learner import identity, naming
from models.learner.feeding import BLOCK, Feeder
from models.learner.identity import Succession
from models.learner.seeding import Seeding
from models.transform import Floats, Transform
from schemas.snapshot import CLUSTERS_MAX, CLUSTERS_MIN, LINEAGE_MAX, ModelSnapshot, Segment

POPULATION_MIN = 200
"""Vectors that make a window a fair picture of the population."""

RETRY_GROWTH = 2
RETRY_WARM_UPS_MAX = 64
"""A seeding that finds too few distinct vectors is tried again after 1, 2, 4, ... and at most this many warm-ups."""


@dataclass(frozen=True, slots=True)
class LearnerConfig:
    """What a learner is asked for. Lengths in vectors."""

    features: tuple[str, ...]
    k: int
    warm_up: int = 1000
    """Vectors before the first seeding, and the length of the window of recent ones."""
    seed: int = 7
    floor: float = 0.005
    """The smallest step of one vector, 0..1: about 1/floor vectors of a segment move its centroid."""
    plain_words: Mapping[str, str] = field(default_factory=dict)
    """Feature -> how people call it."""

    def __post_init__(self) -> None:
        if not self.features or len(set(self.features)) != len(self.features):
            raise ValueError("a learner needs distinct features")
        if not CLUSTERS_MIN <= self.k <= CLUSTERS_MAX or self.warm_up < 1 or not 0.0 < self.floor < 1.0:
            raise ValueError(f"no learner has k {self.k}, warm_up {self.warm_up}, floor {self.floor}")


@dataclass(slots=True)
class _Serving:
    """The model as it is now."""

    transform: Transform
    feeder: Feeder
    ids: tuple[int, ...]
    shares: Floats
    """(k,) shares when this began to serve, believed for the part of the window that is not filled yet."""


class Learner:
    """Seeds, feeds and names one model. Not thread-safe: one owner calls it."""

    def __init__(self, config: LearnerConfig) -> None:
        self.config = config
        self.version = 0
        self.learnt = 0
        """Vectors accepted in all, also in earlier lives."""
        self.refused = 0
        """Vectors refused because a value was not finite, in this life."""
        self._window = np.zeros((config.warm_up, len(config.features)))
        self._seen = 0
        self._pending: list[Floats] = []
        self._serving: _Serving | None = None
        self._next_id = 0
        self._lineage: dict[int, str] = {}
        self._seed_at = config.warm_up
        self._retry_after = config.warm_up
        self._seedings = 0
        self._latest_ms = 0

    @classmethod
    def restore(cls, config: LearnerConfig, snapshot: ModelSnapshot) -> Self:
        """Go on from a snapshot that passed `checks.check`: same ids, centroids, weights and names.

        Vectors that were waiting for a full block (under BLOCK) are lost with the old process. A snapshot of other
        features cannot be fed: its ids are retired, never to be used again, and a new warm-up begins. One with another
        k serves until enough vectors for a new seeding have come.
        """
        learner = cls(config)
        learner.version, learner.learnt, learner._next_id = snapshot.version, snapshot.learnt, snapshot.next_id
        learner._lineage = {int(segment): name for segment, name in snapshot.lineage.items()}
        learner._latest_ms = snapshot.created_at
        if list(snapshot.features) == list(config.features):
            segments = snapshot.centroids
            learner._serving = _Serving(
                Transform.of(snapshot.mean, snapshot.scale, snapshot.clip),
                Feeder(
                    np.array([segment.centroid for segment in segments], np.float64),
                    np.array([segment.weight for segment in segments], np.float64),
                    config.floor,
                ),
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
    def warm_up_left(self) -> int:
        """Vectors still needed before the first model."""
        return 0 if self._serving else max(0, self._seed_at - self._seen)

    def add(self, vectors: Floats, now_ms: int) -> int:
        """Take (N, F) raw vectors as of `now_ms`; return how many were refused for a value that is not finite.

        Raises ValueError when the width is wrong: that is a mistake of the caller, not of the data.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.config.features):
            raise ValueError(f"vectors of shape {vectors.shape} for {len(self.config.features)} features")
        accepted = vectors[np.isfinite(vectors).all(axis=1)]
        refused = len(vectors) - len(accepted)
        self.refused += refused
        self.learnt += len(accepted)
        self._latest_ms = max(self._latest_ms, now_ms)
        self._remember(accepted)
        if self._serving is not None and len(accepted):
            self._feed(self._serving, accepted)
        return refused

    def ready_to_seed(self) -> bool:
        """Whether a seeding is due: enough vectors, and no model or not the k asked for."""
        lacking = self._serving is None or len(self._serving.ids) != self.k
        return lacking and self._seen >= self._seed_at

    def recent(self) -> Floats:
        """(N, F) raw copies of the last vectors, N at most the warm-up, oldest first."""
        size = len(self._window)
        if self._seen < size:
            return self._window[: self._seen].copy()
        return np.roll(self._window, -(self._seen % size), axis=0)

    def rng(self) -> np.random.Generator:
        """Make the generator of the next seeding; a fresh one every seeding, the same for the same history."""
        return np.random.default_rng((self.config.seed, self._seedings, self._next_id))

    def adopt(self, seeding: Seeding) -> Succession | None:
        """Serve a seeding; say which segments live on, were born and died.

        None when it changes nothing: it found one cluster only, which is no segmentation, or as many as there are and
        still not the number asked for. In both cases, and after fewer than asked for, a later warm-up tries again.
        """
        self._seedings += 1
        self._seed_at = self._seen + self._retry_after
        self._retry_after = min(self._retry_after * RETRY_GROWTH, self.config.warm_up * RETRY_WARM_UPS_MAX)
        old = self._serving
        if seeding.k < CLUSTERS_MIN or (old is not None and len(old.ids) == seeding.k != self.k):
            return None
        if old is None:
            succession = identity.first(seeding.k, self._next_id)
        else:
            moved = identity.in_space_of(seeding.transform, old.transform, old.feeder.centroids)
            succession = identity.succeed(moved, old.ids, seeding.centroids, self._next_id)
        weights = seeding.counts.astype(np.float64)
        feeder = Feeder(seeding.centroids, weights, self.config.floor)
        self._serving = _Serving(seeding.transform, feeder, succession.ids, weights / weights.sum())
        self._pending = []
        self._next_id = succession.next_id
        return succession

    def snapshot(self, now_ms: int) -> ModelSnapshot:
        """Publish the model as it is, as the next version, created at `now_ms` (or the latest vectors' time, if later).

        Raises ValueError while warming up.
        """
        serving = self._serving
        if serving is None:
            raise ValueError(f"no model yet: {self.warm_up_left} more vectors to warm up")
        self.version += 1
        window = serving.transform.apply(self.recent())
        sampled = np.bincount(serving.feeder.assign(window), minlength=len(serving.ids))
        unfilled = len(self._window) - len(window)
        shares = (sampled + unfilled * serving.shares) / len(self._window)
        named = self._names(serving, window, shares)
        for segment_id, name in zip(serving.ids, named, strict=True):
            self._lineage[segment_id] = name.name
        # The oldest are forgotten first; next_id sees to it that they are never used again all the same.
        self._lineage = dict(sorted(self._lineage.items())[-LINEAGE_MAX:])
        return self._as_snapshot(serving, named, shares.tolist(), sampled.tolist(), max(now_ms, self._latest_ms))

    def _remember(self, vectors: Floats) -> None:
        size = len(self._window)
        kept = vectors[-size:]
        positions = (self._seen + len(vectors) - len(kept) + np.arange(len(kept))) % size
        self._window[positions] = kept
        self._seen += len(vectors)

    def _feed(self, serving: _Serving, vectors: Floats) -> None:
        """Feed whole blocks; the rest waits for the next vectors."""
        self._pending.append(vectors)
        if sum(map(len, self._pending)) < BLOCK:
            return
        waiting = np.concatenate(self._pending)
        whole = len(waiting) - len(waiting) % BLOCK
        scaled = serving.transform.apply(waiting[:whole])
        for start in range(0, whole, BLOCK):
            serving.feeder.feed(scaled[start : start + BLOCK])
        self._pending = [waiting[whole:].copy()] if whole < len(waiting) else []

    def _names(self, serving: _Serving, window: Floats, shares: Floats) -> list[naming.Named]:
        centroids = serving.feeder.centroids
        if len(window) >= min(POPULATION_MIN, self.config.warm_up):
            mean, deviation = window.mean(axis=0), window.std(axis=0)
        else:
            # Too few to judge by, as after a restart: the segments' own mean, and the scaler's deviation.
            mean, deviation = shares @ centroids, np.ones(centroids.shape[1])
        return naming.name_all(
            self.config.features,
            naming.contrasts(centroids, mean, deviation),
            serving.transform.invert(centroids),
            [self._lineage.get(segment) for segment in serving.ids],
            self.config.plain_words,
        )

    def _as_snapshot(
        self,
        serving: _Serving,
        named: Sequence[naming.Named],
        shares: Sequence[float],
        sampled: Sequence[int],
        created_at: int,
    ) -> ModelSnapshot:
        segments = [
            Segment(
                id=segment_id,
                name=name.name,
                words=list(name.words),
                share=share,
                size_sampled=size,
                centroid=centroid,
                weight=weight,
            )
            for segment_id, name, share, size, centroid, weight in zip(
                serving.ids,
                named,
                shares,
                sampled,
                serving.feeder.centroids.tolist(),
                serving.feeder.weights.tolist(),
                strict=True,
            )
        ]
        return ModelSnapshot(
            format_version=1,
            version=self.version,
            created_at=created_at,
            k=len(segments),
            features=list(self.config.features),
            mean=serving.transform.mean.tolist(),
            scale=serving.transform.scale.tolist(),
            clip=serving.transform.clip,
            centroids=segments,
            next_id=self._next_id,
            lineage={str(segment_id): name for segment_id, name in self._lineage.items()},
            learnt=self.learnt,
            seed=self.config.seed,
            halflife=self.config.floor,
        )

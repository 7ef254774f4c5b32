"""The learner at work without a broker: what is due is done at once, and a model is published when one would be."""

from __future__ import annotations

from dataclasses import dataclass

from models.assign import Model
from models.learner.config import LearnerConfig
from models.learner.learner import Learner
from models.transform import Floats
from schemas.snapshot import ModelSnapshot

SLICE = 256
"""Vectors given to the learner at once: one block."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that the learner did."""

    learnt: int
    """Vectors learnt by then."""
    at_ms: int
    what: str
    """`alarm`, or how some work ended: `challenge_fresh`, `drift_serving`, ..."""


class School:
    """A learner, its newest model, and what happened to it."""

    def __init__(self, config: LearnerConfig, snapshot_every: int) -> None:
        self.learner = Learner(config)
        self.snapshot: ModelSnapshot | None = None
        self.model: Model | None = None
        self.moments: list[Moment] = []
        self._every = snapshot_every
        self._published_at = 0

    def teach(self, vectors: Floats, now_ms: int, population: int | None = None) -> bool:
        """Give the learner (N, F) raw vectors; return whether there is a new model."""
        published = False
        for start in range(0, len(vectors), SLICE):
            learner, alarms = self.learner, self.learner.counts["alarms"]
            learner.add(vectors[start : start + SLICE], now_ms, population)
            if learner.counts["alarms"] > alarms:
                self.moments.append(Moment(learner.learnt, now_ms, "alarm"))
            work = learner.due()
            changed = False
            if work is not None:
                before = learner.counts.copy()
                changed = learner.settle(work.run()) is not None
                ended = next(iter(learner.counts - before))
                self.moments.append(Moment(learner.learnt, now_ms, ended))
            if changed or (learner.serving and learner.learnt - self._published_at >= self._every):
                self.publish(now_ms)
                published = True
        return published

    def publish(self, now_ms: int) -> None:
        """Make a snapshot and compile it, as a worker would."""
        self._published_at = self.learner.learnt
        # Through JSON, as over the topic.
        said = self.learner.snapshot(now_ms).model_dump_json()
        self.snapshot = ModelSnapshot.model_validate_json(said)
        self.model = Model.from_snapshot(self.snapshot, self.learner.config.features)

    def finish(self, now_ms: int) -> None:
        """Publish for the last time, with what other numbers of segments would look like."""
        self.learner.look_around()
        self.publish(now_ms)

    def scaled(self, vectors: Floats) -> Floats:
        """(N, F) in the space of the newest model. Call it once there is one."""
        assert self.model is not None
        return self.model.transform.apply(vectors)

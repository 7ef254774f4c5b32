"""What a learner is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.learner.clusterer import CLUSTERERS, ClustererName
from models.learner.traits import traits_among
from schemas.snapshot import CLUSTERS_MAX, CLUSTERS_MIN


@dataclass(frozen=True, slots=True)
class LearnerConfig:
    """Lengths are in vectors. Raises ValueError for what no learner can do."""

    features: tuple[str, ...]
    k: int
    warm_up: int = 1000
    """Vectors before the first seeding, and after an alarm."""
    seed: int = 7
    floor: float = 0.005
    """The smallest step of one vector, 0..1: about 1/floor vectors of a segment move its centroid."""
    plain_words: Mapping[str, str] = field(default_factory=dict)
    """Feature -> how people call it."""
    clusterer: ClustererName = "kmeans"
    traits: tuple[str, ...] = ()
    """Features that are no behaviour, asked for by name; any other that sounds like one is refused."""
    challenge_every: int = 2000
    window_min: int = 4000
    look_every: int = 100_000
    """Between two looks at other numbers of segments."""

    def __post_init__(self) -> None:
        if not self.features or len(set(self.features)) != len(self.features):
            raise ValueError("a learner needs distinct features")
        if not CLUSTERS_MIN <= self.k <= CLUSTERS_MAX or self.warm_up < 1 or not 0.0 < self.floor < 1.0:
            raise ValueError(f"no learner has k {self.k}, warm_up {self.warm_up}, floor {self.floor}")
        if self.clusterer not in CLUSTERERS:
            raise ValueError(f"there is no clusterer {self.clusterer!r}: choose from {', '.join(CLUSTERERS)}")
        unasked = [name for name in traits_among(self.features) if name not in self.traits]
        if unasked:
            raise ValueError(f"only behaviour feeds a model unless asked for: {', '.join(unasked)}")

    @property
    def window(self) -> int:
        """Recent vectors that are kept: for shares and challengers."""
        return max(self.warm_up, self.window_min)

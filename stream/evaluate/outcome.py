"""What an evaluation found; the report in text, JSON and HTML says nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import cards
from models.learner.kmeans import Labels
from models.standing import spelled
from models.transform import Floats
from schemas.snapshot import ModelSnapshot
from stream.evaluate.school import Moment
from stream.evaluate.scores import Comparison


@dataclass(frozen=True, slots=True)
class Check:
    """The segments beside batch k-means at one moment."""

    at: str
    """A date, or how many vectors had come."""
    customers: int
    comparison: Comparison
    held_elsewhere: float
    """Share of customers whom margin or dwell time holds in a segment that is not the nearest."""
    flips: int
    """Moves from one segment to another since the check before."""
    customer_months: float
    """Over which those were made; 0 where there is no time."""
    shares: dict[int, float] = field(default_factory=dict)
    """Share of the customers by segment id."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything about one run."""

    files: tuple[str, ...]
    rows: int
    refused: dict[str, int]
    """Rows that could not be used, by reason."""
    seconds: float
    snapshot: ModelSnapshot
    checks: list[Check]
    moments: list[Moment]
    customers: list[str]
    segments: NDArray[np.int64]
    """(N,) id of each customer's segment at the end, in the order of `customers`."""
    scaled: Floats
    """(N, F) their vectors at the end, transformed as the model sees them."""
    truth_agreement: float | None
    """Adjusted Rand index with the column of truth, where one was given."""
    batch_truth_agreement: float | None
    money: cards.Money = str
    """Minor units as people write them."""
    undo: cards.Undo | None = None
    """Features as the learner was given them -> as the file has them."""
    standings: NDArray[np.int64] | None = None
    """(N,) lifecycle and RFM scores of each customer at the end, as in a row; None where no orders are known."""

    @property
    def flips_per_customer_month(self) -> float | None:
        """Moves a customer makes in a month; None where there is no time."""
        return flips_per_customer_month(self.checks)

    def spelled(self) -> list[tuple[str | None, str | None]]:
        """Lifecycle and RFM scores of each customer; none where no orders are known."""
        return [spelled(one) for one in self.standings.tolist()] if self.standings is not None else []

    def cards(self) -> list[dict[str, Any]]:
        """One card a segment, largest first: what a person reads."""
        sizes = {segment.id: int((self.segments == segment.id).sum()) for segment in self.snapshot.centroids}
        total = max(1, len(self.segments))
        found = [
            {
                "id": segment.id,
                "name": segment.name,
                "size": sizes[segment.id],
                "share": sizes[segment.id] / total,
            }
            | cards.card(self.snapshot, segment, self.money, self.undo)
            for segment in self.snapshot.centroids
        ]
        return sorted(found, key=lambda card: (-card["size"], card["id"]))


def flips_per_customer_month(checks: Sequence[Check]) -> float | None:
    """Count the moves a customer makes in a month of the time of some checks; None where that is none."""
    months = sum(check.customer_months for check in checks)
    return sum(check.flips for check in checks) / months if months else None


def rows_of(ids: NDArray[np.int64], segments: NDArray[np.int64]) -> Labels:
    """(N,) position in the rising (k,) `ids` of each of (N,) segment ids."""
    return np.searchsorted(ids, segments).astype(np.int64)

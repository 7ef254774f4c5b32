"""Whether the segments' names are true of their members: real shops replayed, and measured without the namer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from models import cards
from schemas.snapshot import ModelSnapshot, Segment
from stream.evaluate import events
from stream.evaluate.lab import CDNOW, DATA, RETAIL
from stream.evaluate.outcome import Outcome
from stream.evaluate.vectors import Asked
from stream.settings import load

SPEND = "spend_hl180d"
SAYING = "high spenders"
CLAIMED = 0.5
"""Standard deviations by which members must differ in what is claimed of them."""


def names() -> Iterator[dict[str, Any]]:
    """Replay each shop, and hold what its segments are called against its customers after the last event."""
    settings = load(clock="event")
    for name in (RETAIL, CDNOW):
        path = DATA / name
        if not path.is_file():
            yield {"stage": "names", "file": name, "skipped": "no such file: set LIVESEGMENT_DATA"}
            continue
        outcome = events.run([path], {}, settings, Asked((name,), 7), lambda _done, _rows: None)
        yield {"stage": "names", "file": name} | judged(outcome, spent(path))


def judged(outcome: Outcome, money: Mapping[str, float]) -> dict[str, Any]:
    """Measure every claim on the members of its segment, and find the one of highest mean `money` by customer."""
    mean, deviation = outcome.scaled.mean(axis=0), outcome.scaled.std(axis=0)
    amounts = np.array([money.get(customer, 0.0) for customer in outcome.customers])
    column = {feature: at for at, feature in enumerate(outcome.snapshot.features)}
    claims, spends = [], {}
    for segment in outcome.snapshot.centroids:
        members = outcome.segments == segment.id
        if not members.any():
            continue
        spends[segment.id] = float(amounts[members].mean())
        z = (outcome.scaled[members].mean(axis=0) - mean) / np.where(deviation > 0.0, deviation, 1.0)
        claims += [
            (float(z[column[feature]] * sign), f"{segment.name}: {feature}")
            for feature, sign in claimed(outcome.snapshot, segment).items()
        ]
    called = [segment.name for segment in outcome.snapshot.centroids]
    most = max(outcome.snapshot.centroids, key=lambda segment: spends.get(segment.id, -np.inf))
    says = SAYING in most.name or claimed(outcome.snapshot, most).get(SPEND) == 1
    weak = [(round(z, 2), claim) for z, claim in sorted(claims) if z < CLAIMED]
    distinct = len(set(called)) == len(called)
    return {
        "mean_spend": {segment.name: round(spends.get(segment.id, 0.0), 2) for segment in outcome.snapshot.centroids},
        "most_spend": most.name,
        "says_so": says,
        "claims": len(claims),
        "weakest": round(min(claims)[0], 3) if claims else None,
        "weak": weak,
        "distinct": distinct,
        "held": says and distinct and not weak,
    }


def claimed(snapshot: ModelSnapshot, segment: Segment) -> dict[str, int]:
    """Return the features in which a segment is said to differ, by its name's words or its card, with the sign.

    Those that its name stands on come first in its words.
    """
    called = {cards.short(name): name for name in snapshot.features}
    said = {called[text]: z for text, z in (word.rsplit(": ", 1) for word in segment.words)}
    signs = {name: -1 if z.startswith("-") else 1 for name, z in said.items()}
    return signs | {contrast.feature: -1 if contrast.z < 0 else 1 for contrast in segment.contrasts}


def spent(path: Path) -> dict[str, float]:
    """Money less refunds by customer from the file: no code of ours."""
    table = pq.read_table(path, columns=["event_type", "customer_id", "amount"])
    table = table.filter(table["customer_id"].is_valid())
    customers, row = np.unique(np.array(table["customer_id"].to_pylist()), return_inverse=True)
    kind, amount = np.array(table["event_type"].to_pylist()), np.array(table["amount"].to_pylist(), np.float64)
    paid = np.where(kind == "purchase", amount, 0.0) - np.where(kind == "refund", np.abs(amount), 0.0)
    return dict(zip(customers.tolist(), np.bincount(row, paid, len(customers)).tolist(), strict=True))


STAGES = {"names": names}

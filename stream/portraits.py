"""Segments and customers explained from durable state: what `segments` and `explain` print."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import affinity, cards, features
from models.assign import Model
from models.catalogue import FEATURES, MODEL_FEATURES
from models.categories import CategoryNames
from models.clock import StreamClock
from models.columns import CATEGORIES, COL
from models.explain import Contribution, explain
from models.judge import NO_SEGMENT
from models.standing import spelled
from models.why import unpack
from schemas.snapshot import ModelSnapshot
from schemas.standing import rfm_group
from stream.changelog_reader import PartitionState, read_state
from stream.errors import NotFound, NotNow
from stream.peek import peek
from stream.settings import Settings
from stream.status import newest_snapshot, segment_sizes


def segments(settings: Settings) -> list[dict[str, Any]]:
    """Return id, name, size, share, sentence and contrasts of each segment with customers, largest first.

    Raises NotNow before the first model, KafkaUnreachable, BrokenChangelog.
    """
    snapshot = _snapshot(settings)
    by_id = {segment.id: segment for segment in snapshot.centroids}
    found = []
    for size in segment_sizes(read_state(settings).partitions, snapshot):
        segment = by_id.get(size["id"])
        said = {"sentence": "", "contrasts": []}
        found.append(size | (said if segment is None else cards.card(snapshot, segment, _money(settings))))
    return found


def customer(settings: Settings, name: str) -> dict[str, Any]:
    """Return why a customer is where they are. Raises NotFound for one never seen, and as `segments`."""
    snapshot = _snapshot(settings)
    for partition in read_state(settings).partitions:
        slot = partition.table.index.get(name)
        if slot is not None:
            return {"customer_id": name} | _explained(settings, snapshot, partition, slot)
    raise NotFound(f"No event of customer {name!r} has been seen")


def _explained(settings: Settings, snapshot: ModelSnapshot, state: PartitionState, slot: int) -> dict[str, Any]:
    clock = StreamClock.from_dict(state.meta.clock, state.meta.clock.get("mode", settings.clock))
    row = state.table.gather(np.array([slot]))
    said, names = row[0], state.meta.names
    held = int(said[COL.segment])
    if held == NO_SEGMENT:
        raise NotNow("This customer has no segment yet: the first model is still being learnt")
    model = Model.from_snapshot(snapshot, MODEL_FEATURES)
    now_ms = clock.now(time.time_ns() // 1_000_000)
    found = explain(model, features.of_rows(row, now_ms)[0], held)
    lifecycle, rfm = spelled(int(said[COL.standing]))
    against = sum(max(0.0, each.pull) for each in found.contributions) or 1.0
    return {
        "segment": held,
        "name": snapshot.lineage.get(str(held), f"segment {held}"),
        "compared": found.segment,
        "since": int(said[COL.since]),
        "confidence": round(float(said[COL.confidence]), 2),
        "lifecycle": lifecycle,
        "rfm": rfm,
        "rfm_group": rfm_group(rfm) if rfm else None,
        "interests": _interests(row, state.table.categories)[0],
        "moved_by": [names[feature] for feature in unpack(int(said[COL.change_why]))],
        "runner_up": {"id": found.runner_up, "name": model.name_of(found.runner_up)},
        "distance": round(found.here_distance, 4),
        "runner_up_distance": round(found.there_distance, 4),
        "contributions": [_contribution(each, against, settings) for each in found.contributions],
    }


def _interests(rows: NDArray[np.float64], names: CategoryNames) -> list[list[dict[str, Any]]]:
    """Categories of each of some customers that have a name, the strongest first, with their shares."""
    known = names.by_code()
    labels = rows.view(np.uint64)[:, COL.category_labels].tolist()
    return [
        [
            {"category": known[code], "share": round(share, 4)}
            for code, share in affinity.shares(row[CATEGORIES], label).items()
            if code in known
        ]
        for row, label in zip(rows, labels, strict=True)
    ]


def _contribution(each: Contribution, against: float, settings: Settings) -> dict[str, Any]:
    """Say one feature's part; shares are of all that pulls to the segment."""
    value, here, there = (
        cards.amount(each.feature, number, _money(settings)) for number in (each.value, each.here, each.there)
    )
    return {
        "feature": each.feature,
        "value": each.value,
        "typical": each.here,
        "typical_of_runner_up": each.there,
        "pull": each.pull,
        "share": round(each.pull / against, 4),
        "words": f"{cards.short(each.feature)}: {value} (here {here}, there {there})",
    }


def _money(settings: Settings) -> cards.Money:
    return cards.money_in(settings.currency, settings.currency_digits)


def _snapshot(settings: Settings) -> ModelSnapshot:
    with peek(settings) as kafka:
        snapshot = newest_snapshot(kafka)
    if snapshot is None or not set(snapshot.features) <= set(FEATURES):
        raise NotNow("There is no model yet", action="wait for the warm-up: `livesegment status` says how it stands")
    return snapshot

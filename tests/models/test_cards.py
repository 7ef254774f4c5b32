"""Segments in sentences."""

from __future__ import annotations

import numpy as np

from models.cards import card, typical, usual
from schemas.snapshot import Contrast
from tests.kit.snapshots import make_snapshot

FEATURES = ("orders_hl180d", "spend_hl180d")


def test_a_card_says_what_is_typical_beside_what_is_usual() -> None:
    snapshot = make_snapshot(1, FEATURES)
    segment = snapshot.centroids[1].model_copy(
        update={"contrasts": [Contrast(feature="orders_hl180d", z=1.234), Contrast(feature="spend_hl180d", z=-0.5)]}
    )
    found = card(snapshot, segment, lambda minor: f"{minor / 100:.2f} EUR")
    assert found["sentence"] == (
        "Typically 6.4 orders in the last months (usual: 3.5) and 0.06 EUR of money less refunds in the last months "
        "(usual: 0.03 EUR)."
    )
    assert [contrast["z"] for contrast in found["contrasts"]] == [1.23, -0.5]


def test_a_segment_without_contrasts_says_so() -> None:
    snapshot = make_snapshot(1, FEATURES)
    found = card(snapshot, snapshot.centroids[0], str)
    assert found["contrasts"] == []
    assert "nothing that stands out" in found["sentence"]


def test_usual_is_the_middle_of_all_by_their_shares() -> None:
    snapshot = make_snapshot(1, FEATURES)
    assert typical(snapshot, np.array([1.0, 0.0]))["orders_hl180d"] == np.expm1(1.0)
    assert usual(snapshot)["orders_hl180d"] == np.expm1(1.5)

"""Segments and customers in sentences: what is typical of them, beside what is usual."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from models.catalogue import FEATURES
from models.transform import Floats, Transform
from schemas.snapshot import ModelSnapshot, Segment

Money = Callable[[float], str]
"""Minor units as a person writes them."""


Undo = Callable[[Floats], Floats]
"""(F,) features as the learner was given them -> as people know them, where that is not the same."""


def typical(snapshot: ModelSnapshot, scaled: Floats, undo: Undo | None = None) -> dict[str, float]:
    """Raw feature values of one point (F,) of the space of a model."""
    raw = Transform.of(snapshot.mean, snapshot.scale, snapshot.clip).invert(scaled)
    return dict(zip(snapshot.features, (undo(raw) if undo else raw).tolist(), strict=True))


def usual(snapshot: ModelSnapshot, undo: Undo | None = None) -> dict[str, float]:
    """Feature values in the middle of all customers: of the centroids, by their shares."""
    centroids = np.array([segment.centroid for segment in snapshot.centroids])
    shares = np.array([segment.share for segment in snapshot.centroids])
    return typical(snapshot, shares @ centroids / max(shares.sum(), 1e-9), undo)


def card(snapshot: ModelSnapshot, segment: Segment, money: Money, undo: Undo | None = None) -> dict[str, Any]:
    """Say who a segment is: one sentence, and up to three contrasts with their numbers."""
    mine, all_ = typical(snapshot, np.array(segment.centroid), undo), usual(snapshot, undo)
    contrasts = [
        {
            "feature": contrast.feature,
            "z": round(contrast.z, 2),
            "typical": round(mine[contrast.feature], 4),
            "usual": round(all_[contrast.feature], 4),
            "words": _beside(contrast.feature, mine, all_, money),
        }
        for contrast in segment.contrasts
    ]
    return {"sentence": _sentence([str(contrast["words"]) for contrast in contrasts]), "contrasts": contrasts}


def money_in(currency: str, digits: int) -> Money:
    """Spell minor units in a currency.

    >>> money_in("EUR", 2)(123456.0)
    '1,234.56 EUR'
    """
    return lambda minor: f"{minor / 10**digits:,.{digits}f} {currency}"


_SINCE = {1: "in the last day or two", 7: "lately", 30: "in the last weeks", 180: "in the last months"}
"""Half-lives as people say them."""


def short(feature: str) -> str:
    """Say what a feature is, in a few words.

    >>> short("orders_hl30d"), short("view_to_cart")
    ('orders in the last weeks', 'cart adds per product view')
    """
    words = FEATURES[feature].words if feature in FEATURES else feature.replace("_", " ")
    first = words.split(",")[0].split(" (")[0]
    half_life = re.search(r"_hl(\d+)d$", feature)
    since = _SINCE.get(int(half_life[1])) if half_life else None
    return f"{first} {since}" if since else first


def amount(feature: str, value: float, money: Money) -> str:
    """Spell a feature's value for people.

    >>> amount("orders", 1234.0, str), amount("view_to_cart", 0.123456, str), amount("spend_minor", 5.0, "{}c".format)
    ('1,234', '0.12', '5.0c')
    """
    if feature in FEATURES and FEATURES[feature].unit == "minor units":
        return money(value)
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2g}"


def _beside(feature: str, mine: Mapping[str, float], all_: Mapping[str, float], money: Money) -> str:
    here, usual_ = (amount(feature, values[feature], money) for values in (mine, all_))
    of = " of" if feature in FEATURES and FEATURES[feature].unit == "minor units" else ""
    return f"{here}{of} {short(feature)} (usual: {usual_})"


def _sentence(said: Sequence[str]) -> str:
    if not said:
        return "Customers who differ from the others in nothing that stands out."
    *before, last = said
    return f"Typically {', '.join(before)}{' and ' if before else ''}{last}."

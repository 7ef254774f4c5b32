"""Where a customer stands as a buyer: the lifecycle, and RFM scores with the names that people give their groups."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Lifecycle = Literal["new", "active", "loyal", "at_risk", "lapsed"]
LIFECYCLES: tuple[Lifecycle, ...] = get_args(Lifecycle)
"""In the order of their codes, which begin at 1; 0 is none."""

Rfm = Annotated[str, Field(pattern="^[1-5]{3}$")]

EDGES = 4
"""Between the five scores."""
Edges = Annotated[list[float], Field(min_length=EDGES, max_length=EDGES)]

_GRID = (
    # Frequency 1 to 5, from left to right; recency 1 (long ago) to 5 (just now), from the top down.
    ("Lost", "Lost", "At Risk", "At Risk", "Can't Lose Them"),
    ("Hibernating", "Hibernating", "At Risk", "At Risk", "Can't Lose Them"),
    ("About To Sleep", "About To Sleep", "Need Attention", "Loyal", "Loyal"),
    ("Promising", "Potential Loyalist", "Potential Loyalist", "Loyal", "Loyal"),
    ("New Customers", "Potential Loyalist", "Potential Loyalist", "Champions", "Champions"),
)
RFM_GROUPS = MappingProxyType({(r + 1, f + 1): _GRID[r][f] for r in range(5) for f in range(5)})
"""Name of a group by its scores of recency and frequency: the usual grid of the trade."""


def rfm_group(rfm: str) -> str:
    """Name of the group that three scores belong to.

    >>> rfm_group("555"), rfm_group("151"), rfm_group("511")
    ('Champions', "Can't Lose Them", 'New Customers')
    """
    return RFM_GROUPS[int(rfm[0]), int(rfm[1])]


class CustomerBase(BaseModel):
    """What a customer is measured by: the buyers among the customers that the learner saw last."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    buyers: Annotated[int, Field(ge=0)] = Field(description="Customers with an order that this was measured on.")
    last_order_at: Edges = Field(description="Quintile edges of the latest order's time, milliseconds since 1970.")
    orders: Edges = Field(description="Quintile edges of the orders ever.")
    money_minor: Edges = Field(description="Quintile edges of the money ever, refunds subtracted, in minor units.")
    gap_ms: Annotated[float, Field(ge=0)] = Field(
        description="Mean time from one order to the next, over all who ordered again; 0 where nobody did."
    )

"""Simulated events as columns, before they become JSON."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Events:
    """(E,) columns. `-1` in product, session and order means none."""

    time_ms: NDArray[np.int64]
    """When it happens, in behaviour's own time."""
    arrival_ms: NDArray[np.int64]
    """When it is sent: `time_ms`, later with disorder."""
    customer: NDArray[np.int64]
    type: NDArray[np.int64]
    """Code: position in `archetypes.TYPES`."""
    product: NDArray[np.int64]
    quantity: NDArray[np.int64]
    session: NDArray[np.int64]
    order: NDArray[np.int64]
    amount_minor: NDArray[np.int64]
    """Money of a purchase or refund, never negative; else 0."""

    def __len__(self) -> int:
        return len(self.time_ms)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Events:
        """Pick the events at these positions, in that order."""
        return Events(*(getattr(self, column.name)[index] for column in fields(self)))


def make(
    time_ms: NDArray[np.int64],
    customer: NDArray[np.int64],
    kind: NDArray[np.int64] | int,
    **columns: NDArray[np.int64],
) -> Events:
    """Events whose unnamed columns are none, arriving when they happen; `kind` is a type code for each or for all."""
    size = len(time_ms)
    none = np.full(size, -1, dtype=np.int64)
    return Events(
        time_ms=time_ms,
        arrival_ms=time_ms,
        customer=customer,
        type=np.full(size, kind, dtype=np.int64) if isinstance(kind, int) else kind,
        product=columns.get("product", none),
        quantity=columns.get("quantity", np.ones(size, dtype=np.int64)),
        session=columns.get("session", none),
        order=columns.get("order", none),
        amount_minor=columns.get("amount_minor", np.zeros(size, dtype=np.int64)),
    )


def concat(parts: list[Events]) -> Events:
    """All parts after one another."""
    return Events(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Events)))


def empty() -> Events:
    """No events."""
    none = np.empty(0, dtype=np.int64)
    return make(none, none, none)

"""What goes wrong on the way: records sent twice, and poison among them."""

from __future__ import annotations

import numpy as np

from stream.shoppers.config import Record

DUPLICATE_REACH = 12
"""A duplicate follows within so many records of its topic: a customer's newest 16 event ids still hold the first."""


def again(records: list[Record], probability: float, rng: np.random.Generator) -> tuple[list[Record], int]:
    """Repeat some of the records, byte for byte and a little later; also returns how many."""
    if not probability or not records:
        return records, 0
    twice = np.flatnonzero(rng.random(len(records)) < probability)
    # Each original stays where it is, on a whole position; a copy goes just behind one of the next records.
    position = np.concatenate([np.arange(len(records)), twice + rng.integers(0, DUPLICATE_REACH, len(twice)) + 0.5])
    source = np.concatenate([np.arange(len(records)), twice])
    order = source[np.argsort(position, kind="stable")].tolist()
    return [records[i] for i in order], len(twice)


def among(records: list[Record], others: list[Record], rng: np.random.Generator) -> list[Record]:
    """Strew the others over the records, whose own order stays."""
    if not others:
        return records
    position = np.concatenate([np.arange(len(records)), rng.uniform(-0.5, len(records) + 0.5, len(others))])
    both = records + others
    return [both[i] for i in np.argsort(position, kind="stable").tolist()]

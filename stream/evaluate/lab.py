"""What the quality figures are measured on: synthetic beds, real customers as vectors, and streams with drift."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.transform import Floats
from stream.evaluate.beds import bed
from stream.evaluate.events import Shop
from stream.replay import parts
from stream.settings import Settings

DATA = Path(os.environ.get("LIVESEGMENT_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
"""Real event data; stages that need it are skipped, and say so, where it is not."""
CDNOW, RETAIL = "cdnow_purchases.parquet", "uci_online_retail_purchases.parquet"

STATIONARY = 10_000
"""Vectors before a drift."""


def final_vectors(path: Path, settings: Settings) -> tuple[list[str], Floats]:
    """Return all customers of a file and their features after its last event."""
    shop = Shop(settings)
    for part in parts(path, {}):
        shop.apply(part.records)
    return list(shop.table.ids), shop.vectors(shop.everybody)


def arrivals(customers: list[str], vectors: Floats, count: int, seed: int) -> tuple[list[str], Floats]:
    """Let the same customers come in random order, round after round, until `count` vectors have come."""
    rng = np.random.default_rng(seed)
    rounds = -(-count // len(customers))
    order = np.concatenate([rng.permutation(len(customers)) for _ in range(rounds)])[:count]
    return [customers[row] for row in order.tolist()], vectors[order]


@dataclass(frozen=True, slots=True)
class Drifting:
    """A stream whose customers change after STATIONARY vectors."""

    vectors: Floats
    moved_kinds: tuple[int, ...]
    kind: NDArray[np.int64]


def drifting(seed: int, ramp: int, after: int = 8_000, moved: float = 1.0) -> Drifting:
    """Draw STATIONARY customers, then `after` in whom three of six kinds move: at once, or over `ramp` vectors.

    `moved` is how far, as `bed` has it.
    """
    rng = np.random.default_rng((seed, 99))
    old, new = bed(STATIONARY + after, 1.0, seed), bed(STATIONARY + after, 1.0, seed, moved=moved)
    since = np.arange(STATIONARY + after) - STATIONARY
    changed = rng.random(len(since)) < np.clip((since + 1) / max(1, ramp), 0.0, 1.0) * (since >= 0)
    vectors = np.where(changed[:, None], new.vectors, old.vectors)
    return Drifting(vectors, (0, 2, 5), old.kind)


def in_bursts(count: int, seed: int) -> tuple[list[str], Floats]:
    """Draw a stationary stream of visits: about eight nearly equal vectors of one customer in a row."""
    rng = np.random.default_rng((seed, 7))
    lengths = rng.geometric(1 / 8, count)
    visits = int(np.searchsorted(np.cumsum(lengths), count)) + 1
    made = bed(visits, 1.0, seed)
    row = np.repeat(np.arange(visits), lengths[:visits])[:count]
    vectors = made.vectors[row] * rng.lognormal(0.0, 0.02, (count, made.vectors.shape[1]))
    return [f"c{one}" for one in row.tolist()], vectors


def in_cycles(count: int, seed: int, period: int = 5_000) -> tuple[list[str], Floats]:
    """Draw a stationary stream with a daily rhythm: every kind's share goes up and down by 30 %."""
    rng = np.random.default_rng((seed, 8))
    made = bed(2 * count, 1.0, seed)
    phase = 2 * np.pi * made.kind / 6
    chance = 0.6 * (1 + 0.3 * np.sin(2 * np.pi * np.arange(2 * count) * 0.6 / period + phase))
    kept = np.flatnonzero(rng.random(2 * count) < chance)[:count]
    return [f"c{one}" for one in range(len(kept))], made.vectors[kept]

"""How much two labellings of the same customers agree: the adjusted Rand index (Hubert & Arabie 1985)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def adjusted_rand(one: ArrayLike, other: ArrayLike) -> float:
    """1 for the same partition under any names, about 0 for unrelated ones.

    >>> adjusted_rand([0, 0, 1, 1], [7, 7, 3, 3]), round(adjusted_rand([0, 0, 1, 1], [0, 1, 0, 1]), 9)
    (1.0, -0.5)
    """
    rows = np.unique(np.asarray(one), return_inverse=True)[1]
    columns = np.unique(np.asarray(other), return_inverse=True)[1]
    width = int(columns.max(initial=0)) + 1
    table = np.bincount(rows * width + columns, minlength=(int(rows.max(initial=0)) + 1) * width).reshape(-1, width)
    together = _pairs(table)
    by_row, by_column = _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0))
    expected = by_row * by_column / max(_pairs(np.array([len(rows)])), 1.0)
    most = (by_row + by_column) / 2.0
    return 1.0 if most == expected else (together - expected) / (most - expected)


def _pairs(counts: NDArray[np.int64]) -> float:
    return float((counts.astype(np.float64) * (counts - 1) / 2.0).sum())

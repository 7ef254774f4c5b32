"""Which categories a customer is drawn to, in a few numbers that mean the same in any order of events.

A category's hash says one of six buckets and a signature of ten bits. A bucket sums what its categories got, each
counting half after 30 days. Of several categories of one bucket the highest signature names it: a maximum, so that
profiles merge; the others' weight counts as that one's. Two categories of a shop share a bucket once in six times, and
bucket and signature once in six thousand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled

BUCKETS = 6
SIGNATURE_BITS = 10
HALF_LIFE_DAYS = 30
_SIGNATURES = np.uint64((1 << SIGNATURE_BITS) - 1)
_LOW = np.uint64(2**32 - 1)
_HALF = np.uint64(32)
_ONE = np.uint64(1)
_MANY = np.uint64(BUCKETS)
_WIDTH = np.uint64(SIGNATURE_BITS)


@compiled
def bucket(category: np.uint64) -> int:
    """Find the bucket of a category by its hash."""
    return int(np.int64(((category >> _HALF) * _MANY) >> _HALF))


@compiled
def signature(category: np.uint64) -> np.uint64:
    """Find what tells a category from others of its bucket: 1 to 1023."""
    return np.uint64(_ONE + (category & _LOW) % _SIGNATURES)


def code(category: int) -> int:
    """Bucket and signature as one number.

    >>> code(0), code(2**64 - 1) >> SIGNATURE_BITS
    (1, 5)
    """
    hashed = np.uint64(category)
    return bucket(hashed) << SIGNATURE_BITS | int(signature(hashed))


@compiled
def labelled(labels: np.uint64, place: int, sign: np.uint64) -> np.uint64:
    """Set the signature that names a bucket, where it is higher than the present one."""
    shift = np.uint64(place) * _WIDTH
    if sign > (labels >> shift) & _SIGNATURES:
        labels = (labels & ~(_SIGNATURES << shift)) | (sign << shift)
    return labels


@compiled
def united(mine: np.uint64, theirs: np.uint64) -> np.uint64:
    """Labels of two profiles of one person."""
    for place in range(BUCKETS):
        mine = labelled(mine, place, (theirs >> (np.uint64(place) * _WIDTH)) & _SIGNATURES)
    return mine


@compiled
def effective(weights: NDArray[np.float64]) -> float:
    """Effective number of categories: 1 over the sum of squared shares; 0 where none is known.

    Source: the Hill number of order 2 (Hill, "Diversity and evenness", 1973). Buckets bound it by 6.

    >>> effective(np.array([3.0, 3.0, 0.0])), effective(np.zeros(3))
    (2.0, 0.0)
    """
    total = weights.sum()
    # Divided first: sums that are all but forgotten would vanish squared.
    return float(1.0 / np.square(weights / total).sum()) if total > 0.0 else 0.0


def shares(weights: NDArray[np.float64], labels: int) -> dict[int, float]:
    """Share of each category in a customer's interest by its `code`, the largest first.

    >>> shares(np.array([1.0, 0.0, 3.0, 0.0, 0.0, 0.0]), 7 | 9 << 20)
    {2057: 0.75, 7: 0.25}
    """
    total = float(weights.sum())
    if total <= 0.0:
        return {}
    said = [labels >> SIGNATURE_BITS * place & int(_SIGNATURES) for place in range(BUCKETS)]
    held = {place << SIGNATURE_BITS | said[place]: float(weights[place]) / total for place in range(BUCKETS)}
    return {known: held[known] for known in sorted(held, key=lambda one: (-held[one], one)) if held[known] > 0.0}

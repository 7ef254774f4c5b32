"""How good predictions of a probability were: ranking, sharpness and calibration, exactly and in numpy.

River's `metrics.ROCAUC` counts at ten thresholds: with 2.3 % positives it says .59 where the exact area is .80.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.transform import Floats
from schemas.head import Bin, Trust

BINS = 10
_LEAST = 1e-6


def measure(predicted: Floats, came: NDArray[np.bool_]) -> Trust | None:
    """Compare (N,) probabilities with what came; None unless both outcomes came."""
    if came.all() or not came.any():
        return None
    rate = np.full(len(came), came.mean())
    bins = reliability(predicted, came)
    error = sum(abs(one.predicted - one.observed) * one.count for one in bins) / len(came)
    return Trust(
        outcomes=len(came),
        auc=auc(predicted, came),
        log_loss=log_loss(predicted, came),
        log_loss_of_rate=log_loss(rate, came),
        calibration_error=float(error),
        bins=bins,
    )


def auc(predicted: Floats, came: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often one who did was ranked above one who did not, ties counting half.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    _, group, sizes = np.unique(predicted, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    rank = ((last - sizes + 1 + last) / 2)[group]
    positives = int(came.sum())
    above = float(rank[came].sum()) - positives * (positives + 1) / 2
    return above / (positives * (len(came) - positives))


def log_loss(predicted: Floats, came: NDArray[np.bool_]) -> float:
    """Mean negative log likelihood, in nats."""
    sure = np.clip(np.where(came, predicted, 1.0 - predicted), _LEAST, 1.0)
    return float(-np.log(sure).mean())


def reliability(predicted: Floats, came: NDArray[np.bool_]) -> list[Bin]:
    """Cut the predictions into BINS of about equal counts; equal predictions are never parted."""
    edges = np.unique(np.quantile(predicted, np.arange(1, BINS) / BINS))
    place = np.searchsorted(edges, predicted, side="right")
    counts = np.bincount(place)
    sums, hits = np.bincount(place, predicted), np.bincount(place, came)
    return [
        Bin(predicted=float(total / count), observed=float(hit / count), count=int(count))
        for total, hit, count in zip(sums, hits, counts, strict=True)
        if count
    ]

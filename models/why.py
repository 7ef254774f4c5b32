"""Why a customer is in a segment: what each feature adds to the difference between two distances.

In the space of the model a squared distance is a sum over features, so the difference between the distances to two
centroids is one too: (x - there)^2 - (x - here)^2 of a feature says how much it pulls the customer here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.assign import Ids, Model
from models.transform import Floats

MOST = 3
"""Features that a change names."""
_BITS = 16
_MASK = (1 << _BITS) - 1


def pulls(model: Model, vectors: Floats, here: Ids, there: Ids) -> Floats:
    """(T, F) how much each feature brings T customers nearer to one segment than to another.

    `here` and `there` are (T,) rows of the model. A row sums to the squared distance there less the one here.
    """
    scaled = model.transform.apply(vectors)
    pull: Floats = np.square(scaled - model.centroids[there]) - np.square(scaled - model.centroids[here])
    return pull


def runner_up(model: Model, vectors: Floats, here: Ids) -> Ids:
    """(T,) rows of the nearest segment but `here`."""
    apart = model.transform.apply(vectors)[:, None, :] - model.centroids[None, :, :]
    squared = np.square(apart).sum(axis=2)
    squared[np.arange(len(here)), here] = np.inf
    second: Ids = squared.argmin(axis=1)
    return second


def moved_by(model: Model, vectors: Floats, previous: Ids, current: Ids) -> Ids:
    """(T, MOST) positions of the features that pulled T customers most, strongest first; -1 where fewer did.

    From segment id `previous` to `current`; a first segment, or one that the model does not know any more, is compared
    with the runner-up.
    """
    here, there = model.ids.searchsorted(current), model.row_of.take(previous + 1, mode="clip")
    unknown = np.flatnonzero(there == len(model.ids))
    there[unknown] = runner_up(model, vectors[unknown], here[unknown])
    pull = pulls(model, vectors, here, there)
    order = np.argsort(-pull, axis=1, kind="stable")[:, :MOST]
    strongest = np.where(np.take_along_axis(pull, order, axis=1) > 0, order, -1)
    missing = MOST - strongest.shape[1]
    return np.pad(strongest, ((0, 0), (0, max(0, missing))), constant_values=-1)


def pack(numbers: NDArray[np.int64]) -> Floats:
    """(T,) exact floats of (T, MOST) numbers of 16 bits; 0 is none.

    >>> unpack(int(pack(np.array([[7, 65535, 0]]))[0]))
    [7, 65535]
    """
    shifts = np.arange(MOST - 1, -1, -1) * _BITS
    packed: Floats = (numbers.astype(np.int64) << shifts).sum(axis=1).astype(np.float64)
    return packed


def unpack(packed: int) -> list[int]:
    """Read the numbers of one float, without those that are none."""
    return [number for at in range(MOST - 1, -1, -1) if (number := packed >> (at * _BITS) & _MASK)]

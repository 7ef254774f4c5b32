"""The slow uniform sweep: which customers' vectors the learner gets to see.

Learning from vectors at event time would show it the busy ones only, and put most customers into one segment (measured:
77 %). So every partition walks over its customers in a scattered order, at a rate that does not grow with traffic. The
learner gets them in that order, for by slot it would find drift (docs/decisions/0024).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GOLDEN = 0.6180339887498949


class Sweep:
    """Walks over slots 0..n-1, each once a round, in an order that is spread evenly at any moment.

    >>> sweep = Sweep()
    >>> sorted(sweep.next(10, 10).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    >>> len(sweep.next(3, 10)), len(sweep.next(3, 0))
    (3, 0)
    """

    def __init__(self) -> None:
        self._customers = 0
        self._stride = 1
        self._position = 0

    def next(self, count: int, customers: int) -> NDArray[np.intp]:
        """Return up to `count` distinct slots of `customers`; growth of the table starts a new round."""
        if customers == 0:
            return np.zeros(0, dtype=np.intp)
        if customers != self._customers:
            self._customers, self._stride = customers, _coprime_stride(customers)
        count = min(count, customers)
        slots = (self._position + np.arange(1, count + 1) * self._stride) % customers
        self._position = int(slots[-1])
        return slots.astype(np.intp)


def _coprime_stride(n: int) -> int:
    stride = max(1, int(n * GOLDEN))
    while np.gcd(stride, n) != 1:
        stride += 1
    return stride

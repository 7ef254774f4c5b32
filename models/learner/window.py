"""The last vectors that the learner saw: what shares are counted on, and challengers made from."""

from __future__ import annotations

import numpy as np

from models.transform import Floats


class Window:
    """A ring of at most `size` vectors; copies go in and copies come out."""

    def __init__(self, size: int, width: int) -> None:
        self.seen = 0
        """Vectors ever put in."""
        self._ring = np.zeros((size, width))

    def __len__(self) -> int:
        return min(self.seen, self.size)

    @property
    def size(self) -> int:
        """The most it holds."""
        return len(self._ring)

    def put(self, vectors: Floats) -> None:
        """Take (N, F) vectors; the oldest give way."""
        kept = vectors[-self.size :]
        positions = (self.seen + len(vectors) - len(kept) + np.arange(len(kept))) % self.size
        self._ring[positions] = kept
        self.seen += len(vectors)

    def last(self, count: int) -> Floats:
        """(N, F) the last `count` vectors, as many as there are, oldest first."""
        count = min(count, len(self))
        return self._ring[(self.seen - count + np.arange(count)) % self.size]

"""What to simulate, and what comes out: the values at the edges of the generator."""

from __future__ import annotations

from dataclasses import dataclass

from stream.shoppers.totals import Totals

Record = tuple[bytes | None, bytes | None, int, int]
"""(key, value, event time in ms, kind): the kind is `schemas.kinds.Kind`, or POISON for a record that is none."""

POISON = -1

DAY_MS = 86_400_000

DEFAULT_START_MS = 1_704_067_200_000
"""2024-01-01 00:00 UTC. Fixed, so that the same seed sends the same bytes whenever it runs."""

DEFAULT_SPAN_MS = 700 * DAY_MS
"""How far behaviour may carry the simulated clock; from there on it moves evenly (see `Config.horizon_ms`)."""


@dataclass(frozen=True, slots=True)
class Config:
    """A reproducible simulation: the same config and generator state give the same bytes.

    Without `acceleration` the simulated clock follows behaviour: so many customers of these kinds make so many events
    a day, and the clock moves as fast as the events need (2,000 customers at 1,000 events/s: a day in about 7 s).
    With it the order of events stays, but they are stamped evenly: event `i` has the time
    `start_ms + i * acceleration / rate_per_s` seconds, so 1 from now on is real time.
    """

    customers: int = 2_000
    seed: int = 7
    """Part of every id, so that two seeds never send the same event id; the randomness itself is the generator's."""
    events: int | None = None
    """Well-formed events in all; duplicates and poison come on top. None: endless."""
    rate_per_s: float | None = None
    """What the sender means to send a second; used for even stamps only. None: as fast as it goes."""
    acceleration: float | None = None
    start_ms: int = DEFAULT_START_MS
    horizon_ms: int = DEFAULT_START_MS + DEFAULT_SPAN_MS
    """A clock that follows behaviour stops here and goes on evenly, at 1 s a second (1 ms an event without a rate):
    an endless simulation never reaches the future."""
    duplicates: float = 0.0
    """P(an event is sent again, exactly, within the next DUPLICATE_REACH records of its topic)."""
    disorder_s: float = 0.0
    """Events arrive up to so many seconds of event time late."""
    poison: float = 0.0
    """Poison records per well-formed event."""
    drift: bool = False
    chunk_events: int = 5_000
    """About so many well-formed events a chunk."""
    customer_prefix: str = "c"

    def __post_init__(self) -> None:
        if not 1 <= self.customers <= 10_000_000:
            raise ValueError("customers: 1 to 10,000,000")
        if self.events is not None and self.events < 0:
            raise ValueError("events: 0 or more")
        if not (0 <= self.duplicates <= 1 and 0 <= self.poison <= 1):
            raise ValueError("duplicates and poison: probabilities from 0 to 1")
        if not 0 <= self.disorder_s <= 7 * 86_400:
            raise ValueError("disorder: 0 to 604,800 seconds (a week)")
        if self.acceleration is not None and (self.rate_per_s is None or self.acceleration <= 0):
            raise ValueError("acceleration: above 0, and with a rate only")
        if self.rate_per_s is not None and self.rate_per_s <= 0:
            raise ValueError("rate: above 0")
        if self.chunk_events < 1:
            raise ValueError("chunk_events: 1 or more")


@dataclass(frozen=True, slots=True)
class Move:
    """A customer changed from one archetype to another: kept aside, never sent."""

    customer_id: str
    time_ms: int
    previous: str
    current: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of the two input topics in arrival order, and exactly what they hold."""

    clickstream: list[Record]
    purchases: list[Record]
    totals: Totals
    moves: list[Move]

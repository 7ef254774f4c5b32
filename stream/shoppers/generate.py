"""The generator: simulated time moves on window by window, and each window's events come out as one chunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from schemas.kinds import Kind
from stream.shoppers import archetypes as kinds
from stream.shoppers import events
from stream.shoppers.archetypes import KIND_OF_TYPE, NAMES, RHYTHM, TYPES
from stream.shoppers.catalogue import stock
from stream.shoppers.config import DAY_MS, Chunk, Config, Move, Record
from stream.shoppers.disturb import again, among
from stream.shoppers.events import Events
from stream.shoppers.poison import brew
from stream.shoppers.population import Population
from stream.shoppers.sessions import Visits, visit
from stream.shoppers.text import Writer
from stream.shoppers.totals import Totals

# (25,) share of a day's visits that has come by each full hour.
_BY_HOUR = np.concatenate([[0.0], np.cumsum(RHYTHM) / RHYTHM.sum()])

_STEPS_PER_BROWSE = 1.06
"""Events of a visit per browsing event: checkouts and orders come on top."""

_LONGEST_WINDOW_DAYS = 0.5
"""However few visits a chunk needs, labels and fading rates are looked at this often."""


def clock_ms(start_ms: int, visiting_days: NDArray[np.float64]) -> NDArray[np.int64]:
    """Say when so many days' worth of visits have come: whole days are whole days, within one RHYTHM counts.

    >>> clock_ms(0, np.array([0.0, 1.0, 2.5])).tolist()[:2]
    [0, 86400000]
    """
    day = np.floor(visiting_days)
    hours = np.interp(visiting_days - day, _BY_HOUR, np.arange(25))
    within: NDArray[np.int64] = np.rint((day + hours / 24) * DAY_MS).astype(np.int64)
    return start_ms + within


class Shoppers(Iterator[Chunk]):
    """An iterator of chunks in arrival order; `truth` says who is what, now. Ends after `config.events` events.

    Randomness comes from `rng` alone: the same config and generator state give the same bytes, and duplicates, poison
    and disorder (drawn from a child of `rng`) leave the events themselves as they are without. Windows of simulated
    time are as long as `chunk_events` events need; what a visit causes later waits in `_pending`.
    """

    def __init__(self, config: Config, rng: np.random.Generator) -> None:
        self._config = config
        self._rng = rng
        self._faults = rng.spawn(1)[0]
        self._goods = stock(rng)
        self._people = Population(config, rng)
        self._writer = Writer(config.seed, self._goods)
        self._pending = events.empty()
        self._days = 0.0
        self._now_ms = config.start_ms
        self._even_from: int | None = 0 if config.acceleration is not None else None
        self._even_start_ms = config.start_ms
        self._sessions = self._orders = self._brewed = self._sent = 0

    @property
    def keys(self) -> list[bytes]:
        """Customer ids as Kafka keys, by customer number."""
        return self._people.keys

    def truth(self) -> dict[str, str]:
        """Each customer's true archetype after the chunks so far. Never part of a record."""
        return {i: NAMES[label] for i, label in zip(self._people.ids, self._people.labels.tolist(), strict=True)}

    def __next__(self) -> Chunk:
        """Make the next window's records, with exact totals of this chunk alone."""
        left = None if self._config.events is None else self._config.events - self._sent
        if left is not None and left <= 0:
            raise StopIteration
        batch, moves = self._window()
        while not len(batch):
            batch, more = self._window()
            moves += more
        if left is not None and len(batch) > left:
            batch = batch.take(np.arange(left))
        batch = self._stamp(batch)
        records = self._records(batch)
        self._sent += len(batch)
        bought = KIND_OF_TYPE[batch.type] >= Kind.PURCHASE
        clickstream = [records[i] for i in np.flatnonzero(~bought).tolist()]
        purchases = [records[i] for i in np.flatnonzero(bought).tolist()]
        totals = _count(batch)
        clickstream, purchases = self._disturb(clickstream, purchases, totals)
        totals.topics = Counter(clickstream=len(clickstream), purchases=len(purchases))
        return Chunk(clickstream=clickstream, purchases=purchases, totals=totals, moves=moves)

    def _window(self) -> tuple[Events, list[Move]]:
        """Let simulated time pass for one chunk's worth of visits; what arrives in it, in arrival order."""
        config, rng, people = self._config, self._rng, self._people
        per_day, mean_events = people.visits(self._now_ms)
        days = min(config.chunk_events / (per_day * mean_events * _STEPS_PER_BROWSE), _LONGEST_WINDOW_DAYS)
        count = int(rng.poisson(per_day * days))
        customer = people.draw(count, rng)
        visits = Visits(
            number=self._sessions + np.arange(count),
            customer=customer,
            label=people.labels[customer],
            start_ms=clock_ms(config.start_ms, np.sort(self._days + rng.random(count) * days)),
        )
        fresh, orders = visit(visits, self._goods, self._orders, rng)
        self._writer.expect(orders)
        self._sessions += count
        self._orders += len(orders.number)
        self._days += days
        self._now_ms = int(clock_ms(config.start_ms, np.array([self._days]))[0])
        if config.disorder_s and self._even_from is None:
            fresh = replace(fresh, arrival_ms=fresh.time_ms + self._delays_ms(len(fresh)))
        waiting = events.concat([self._pending, fresh])
        due = waiting.arrival_ms < self._now_ms
        self._pending = waiting.take(~due)
        arrived = waiting.take(due)
        return arrived.take(np.argsort(arrived.arrival_ms, kind="stable")), people.change(days, self._now_ms, rng)

    def _delays_ms(self, size: int) -> NDArray[np.int64]:
        return self._faults.integers(0, int(self._config.disorder_s * 1_000) + 1, size)

    def _stamp(self, batch: Events) -> Events:
        """Give evenly paced times where the config or the horizon asks for them; else leave behaviour's own."""
        config = self._config
        if self._even_from is None:
            if self._now_ms < config.horizon_ms:
                return batch
            self._even_from, self._even_start_ms = self._sent, config.horizon_ms
        step_ms = 1.0 if config.rate_per_s is None else 1_000 / config.rate_per_s * (config.acceleration or 1.0)
        number = self._sent - self._even_from + np.arange(len(batch))
        time_ms = self._even_start_ms + (number * step_ms).astype(np.int64)
        return replace(batch, time_ms=time_ms - self._delays_ms(len(batch)) if config.disorder_s else time_ms)

    def _records(self, batch: Events) -> list[Record]:
        keys = self._people.keys
        values = self._writer.values(batch, self._sent, keys)
        kind = KIND_OF_TYPE[batch.type].tolist()
        return list(zip([keys[c] for c in batch.customer.tolist()], values, batch.time_ms.tolist(), kind, strict=True))

    def _disturb(
        self, clickstream: list[Record], purchases: list[Record], totals: Totals
    ) -> tuple[list[Record], list[Record]]:
        """Repeat some records and strew poison over both topics, counting both."""
        config, rng = self._config, self._faults
        clickstream, first = again(clickstream, config.duplicates, rng)
        purchases, second = again(purchases, config.duplicates, rng)
        totals.duplicates = first + second
        if config.poison:
            count = int(rng.binomial(totals.events.total(), config.poison))
            time_ms = max((r[2] for r in clickstream or purchases), default=self._now_ms)
            bad, sorts = brew(count, self._brewed, self._people.keys, time_ms, rng)
            self._brewed += count
            totals.poison = Counter(sorts)
            # Purchases are few: a fifth of the poison is enough for them.
            clickstream = among(clickstream, [r for i, r in enumerate(bad) if i % 5], rng)
            purchases = among(purchases, bad[::5], rng)
        return clickstream, purchases


def _count(batch: Events) -> Totals:
    by_type = np.bincount(batch.type, minlength=len(TYPES)).tolist()
    purchase, refund = batch.type == kinds.PURCHASE, batch.type == kinds.REFUND
    return Totals(
        events=Counter({name: count for (name, _), count in zip(TYPES, by_type, strict=True) if count}),
        orders=by_type[kinds.PURCHASE],
        revenue_minor=int(batch.amount_minor[purchase].sum()),
        refunds_minor=int(batch.amount_minor[refund].sum()),
    )


def generate(config: Config, rng: np.random.Generator) -> Shoppers:
    """Simulate shoppers: an iterator of chunks (`Shoppers`), about 5 us an event.

    >>> chunk = next(generate(Config(customers=50, chunk_events=200), np.random.default_rng(7)))
    >>> len(chunk.clickstream) + len(chunk.purchases) == chunk.totals.records
    True
    """
    return Shoppers(config, rng)

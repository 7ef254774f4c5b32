"""Seeded, simulated shoppers: pure generation of events whose exact totals and true archetypes are known.

`generate(config, rng)` yields chunks of Kafka records; who sends them, and when, is somebody else's business
(`stream.commands.simulate`, tests, benchmarks).
"""

from __future__ import annotations

from stream.shoppers.archetypes import ARCHETYPES, Archetype
from stream.shoppers.config import POISON, Chunk, Config, Move, Record
from stream.shoppers.generate import Shoppers, generate
from stream.shoppers.poison import SORTS as POISON_SORTS
from stream.shoppers.totals import Totals

__all__ = [
    "ARCHETYPES",
    "POISON",
    "POISON_SORTS",
    "Archetype",
    "Chunk",
    "Config",
    "Move",
    "Record",
    "Shoppers",
    "Totals",
    "generate",
]

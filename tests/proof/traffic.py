"""Shoppers who go on while things break: a thread that sends, waits out a broker that is away, and sends again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Self

import numpy as np

from schemas.topics import CLICKSTREAM, PURCHASES
from stream import shoppers
from stream.errors import LivesegmentError
from stream.sender import Sender
from stream.settings import Settings

PORTION_EVENTS = 200
RETRY_S = 0.5


class Traffic:
    """Simulated shoppers at a steady rate. A context manager: sends from entry to exit.

    A portion whose sending failed half-way is sent again as a whole, as any careful sender does: its records may then
    be in the topics twice, and be counted once.
    """

    def __init__(self, settings: Settings, config: shoppers.Config, *, rate_per_s: float, seed: int) -> None:
        self.records = 0
        """Records acknowledged so far."""
        self.failures = 0
        """Portions that had to be sent again."""
        self._settings = settings
        self._portions = portions(config, seed)
        self._every_s = PORTION_EVENTS / rate_per_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        portion = next(self._portions)
        while not self._ending.is_set():
            try:
                with Sender(self._settings, (CLICKSTREAM, PURCHASES)) as sender:
                    while not self._ending.wait(self._every_s):
                        for topic, records in portion.items():
                            sender.send(topic, records)
                        sender.flush()
                        self.records += sum(len(records) for records in portion.values())
                        portion = next(self._portions)
            except (LivesegmentError, TimeoutError, OSError):
                self.failures += 1
                self._ending.wait(RETRY_S)


def portions(config: shoppers.Config, seed: int) -> Iterator[dict[str, list[tuple[bytes | None, bytes | None]]]]:
    """Return the shoppers' records by topic, in portions of about PORTION_EVENTS."""
    for chunk in shoppers.generate(config, np.random.default_rng(seed)):
        records = {CLICKSTREAM: chunk.clickstream, PURCHASES: chunk.purchases}
        count = max(1, len(chunk.clickstream) // PORTION_EVENTS)
        for at in range(count):
            yield {
                topic: [
                    (key, value) for key, value, _, _ in said[at * len(said) // count : (at + 1) * len(said) // count]
                ]
                for topic, said in records.items()
            }

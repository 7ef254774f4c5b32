"""Names of the categories that a partition met, each kept with the customer who first brought it.

A name is durable as a part of that customer's changelog row (`models.row_tail`): rows are kept for good, and a name in
one of them is as good as a name in all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from models import affinity

NAMES_MAX = 2_000
"""Categories of one partition that have names; the weight of further ones counts, unnamed."""
HELD_MAX = 255
"""Names that one row holds."""
NAME_CHARS_MAX = 100


class CategoryNames:
    """Hash -> name of the categories of one partition."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.held: dict[int, list[int]] = {}
        """Slot -> hashes of the names that its row holds."""

    def unknown(self, names: Iterable[int]) -> set[int]:
        """Of some categories those without a name here; none once there is no room."""
        return set(names).difference(self.names) if len(self.names) < NAMES_MAX else set()

    def bring(self, slot: int, category: int, name: str) -> None:
        """Name a category by the customer who brought it."""
        held = self.held.get(slot, [])
        if category not in self.names and len(self.names) < NAMES_MAX and len(held) < HELD_MAX:
            self.names[category] = name
            self.held[slot] = [*held, category]

    def load(self, slot: int, names: Mapping[int, str]) -> None:
        """Set what a customer's row held."""
        self.names.update(names)
        if names:
            self.held[slot] = list(names)
        elif self.held:
            self.held.pop(slot, None)

    def move(self, gone: int, last: int, heir: int) -> bool:
        """Follow `CustomerTable.forget`: slot `last` becomes `gone`, whose names go to `heir`; whether it had any."""
        names = self.held.pop(gone, [])
        moved = self.held.pop(last, [])
        if moved:
            self.held[gone] = moved
        if names and heir != last:
            self.held[heir] = [*self.held.get(heir, []), *names][:HELD_MAX]
        return bool(names)

    def by_code(self) -> dict[int, str]:
        """Names by `models.affinity.code`; of two categories with one code the one that was met first."""
        return {affinity.code(category): name for category, name in reversed(self.names.items())}

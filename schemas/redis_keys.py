"""Every key in Redis, its type, its owner and how long it lives."""

from __future__ import annotations

from typing import NamedTuple


class KeyInfo(NamedTuple):
    """One family of keys."""

    pattern: str
    type: str
    owner: str
    about: str


KEYS: tuple[KeyInfo, ...] = (
    KeyInfo(
        "segment:{customer_id}",
        "hash",
        "the worker that owns the customer's partition",
        "The customer's current segment, fields as in schemas.record. Never expires; rebuilt from state after a wipe.",
    ),
    KeyInfo(
        "livesegment:partition:{number}",
        "hash",
        "the worker that owns the partition",
        "boot: random id of this filling of Redis. epoch: of the owner that may write. complete: 1 once every customer "
        "of the partition has a record; until then an absent customer is not known to be unknown.",
    ),
)
"""The documented list."""


def segment_key(customer: str) -> str:
    """Return the key of a customer's record.

    >>> segment_key("c7")
    'segment:c7'
    """
    return f"segment:{customer}"


def partition_key(partition: int) -> str:
    """Return the key of a partition's claim.

    >>> partition_key(3)
    'livesegment:partition:3'
    """
    return f"livesegment:partition:{partition}"

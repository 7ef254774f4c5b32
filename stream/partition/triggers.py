"""Cart triggers of customers: part of the row before they are sent, and sent as the row has them, however often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from models.columns import COL, CustomerTable
from models.judge import NAME_BITS, NO_SEGMENT
from models.reminders import ABANDONED_TOLD, RECOVERED, Told
from schemas.cart_trigger import ITEMS_MAX
from schemas.record import WARMING_UP

KINDS = ("abandoned", "withdrawn", "recovered")
"""Words for what is told, by its number."""
_NAME_MASK = (1 << NAME_BITS) - 1


def note(
    table: CustomerTable,
    told: Iterable[Told],
    slots: NDArray[np.int64],
    rows: NDArray[np.float64],
    *,
    names: Sequence[str],
    currency: str,
) -> None:
    """Put what is told of customers, whose published rows (T, WIDTH) these are, into the table, to go with their rows.

    The value is the JSON of `schemas.cart_trigger.CartTrigger`; a test holds the two together.
    """
    said: dict[int, list[bytes]] = {}
    for each in told:
        row = rows[each.at]
        row[COL.trigger_seq] = row[COL.record_seq]
        slot = int(slots[each.at])
        said.setdefault(slot, []).append(orjson.dumps(_value(table, slot, row, each, names) | {"currency": currency}))
    table.triggers.update({slot: b"\n".join(values) for slot, values in said.items()})


def of(table: CustomerTable, slots: Iterable[int]) -> list[tuple[bytes, bytes]]:
    """Return `(key, value)` of topic cart-triggers that these customers' rows hold, in order of their due times."""
    held = table.triggers
    if not held:
        return []
    found = [(table.ids.key(slot), value) for slot in slots if slot in held for value in held[slot].split(b"\n")]
    # What follows from a reminder never comes before it: both have its due time, and the sort is stable.
    return sorted(found, key=lambda each: int(orjson.loads(each[1])["due"]))


def forget(table: CustomerTable, slots: Iterable[int]) -> None:
    """Let go of what was sent: the rows written from now on are without it."""
    if table.triggers:
        for slot in slots:
            table.triggers.pop(slot, None)


def _value(
    table: CustomerTable, slot: int, row: NDArray[np.float64], told: Told, names: Sequence[str]
) -> dict[str, object]:
    customer, kind = table.ids[slot], KINDS[told.what]
    cart, due, segment = f"{customer}:{int(told.cart)}", int(told.due_ms), int(row[COL.segment])
    here = told.what == ABANDONED_TOLD
    return {
        "id": f"{cart}:{told.reminder}:{due}:{kind}",
        "kind": kind,
        "cart_id": cart,
        "customer_id": customer,
        "reminder": told.reminder,
        "due": due,
        "opened": int(told.cart),
        "touched": int(row[COL.cart_touched_at]) if here else 0,
        "items": _items(table, slot) if here else [],
        "units": int(row[COL.cart_items]) if here else 0,
        "value_minor": int(told.value_minor if told.what == RECOVERED else row[COL.cart_value_minor] if here else 0),
        "segment": None if segment == NO_SEGMENT else segment,
        "segment_name": _name(segment, int(row[COL.names]) & _NAME_MASK, names),
        "epoch": int(row[COL.epoch]),
        "event_time": int(row[COL.as_of]),
    }


def _items(table: CustomerTable, slot: int) -> list[dict[str, object]]:
    """List the most valuable products in the cart."""
    lines = sorted(table.carts.lines(slot).items(), key=lambda line: (-line[1][1], line[0]))
    return [
        {"product_id": table.products.get(product), "quantity": units, "value_minor": money}
        for product, (units, money) in lines[:ITEMS_MAX]
    ]


def _name(segment: int, place: int, names: Sequence[str]) -> str:
    if segment == NO_SEGMENT:
        return WARMING_UP
    return names[place] or f"segment {segment}"

"""A customer's changelog row: version, flags, the matrix row byte for byte, then the sparse parts that exist.

    version u8 | flags u8 | columns f64.. | [n u8, n event ids u64] | [n u8, n order ids u64] | tail

All little-endian; ids newest first, carts as `models.carts` orders them, so equal customers have equal rows. The key is
the customer id in UTF-8. A reader knows its own version and the one before, and refuses every other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models import day_parts, row_tail
from models.columns import CATEGORIES, COL, COLUMNS, EMPTY_ROW, POSITION, CustomerTable
from models.recent import KEPT, RecentIds
from models.row_tail import MalformedRow, Tail

ROW_VERSION = 2
_TOLD = ("told_cart", "told_passed", "told_due1", "told_due2", "told_due3", "trigger_seq")
_TASTES = ("night_weekend", "discount_minor", *COLUMNS[CATEGORIES], "category_labels")
_NEW_IN_2 = frozenset(
    {"first_order_at", "standing", "change_why", "cart_touched_at", "cart_opened_at", *_TOLD, *_TASTES}
)
LAYOUTS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {1: tuple(name for name in COLUMNS if name not in _NEW_IN_2), 2: COLUMNS}
)
"""Columns, in order, of each version that is read. A new version adds an entry; the one two before goes."""

_EVENTS, _ORDERS = 1, 2
_HEAD = 2


class UnknownRowVersion(ValueError):  # noqa: N818 (says what was met)
    """A row of a version that is not read here. Operator action: run the release that wrote it."""


def encode(table: CustomerTable, slots: NDArray[np.int64]) -> list[tuple[bytes, bytes]]:
    """Make (key, row) of T distinct slots, by rising slot."""
    slots = np.sort(slots)
    matrix = table.gather(slots)
    dense, width = matrix.astype("<f8", copy=False).tobytes(), matrix.shape[1] * 8
    events, orders = _packed(table.recent_events, slots), _packed(table.recent_orders, slots)
    encoded, at = [], 0
    for slot, event_ids, order_ids in zip(slots.tolist(), events, orders, strict=True):
        flags, tail = row_tail.encode(table, slot)
        flags |= (_EVENTS if event_ids else 0) | (_ORDERS if order_ids else 0)
        row = b"%c%c%b%b%b%b" % (ROW_VERSION, flags, dense[at : at + width], event_ids, order_ids, tail)
        encoded.append((table.ids.key(slot), row))
        at += width
    return encoded


class RowReader:
    """Reads rows of its version and of the one before into a table."""

    def __init__(self, version: int = ROW_VERSION, layouts: Mapping[int, tuple[str, ...]] = LAYOUTS) -> None:
        self._layouts = {known: layouts[known] for known in (version, version - 1) if known in layouts}

    def load(
        self, table: CustomerTable, keys: Sequence[bytes], values: Sequence[bytes | None], oldest_watermark_ms: int = 0
    ) -> None:
        """Set the customers of these rows; of several rows of one key the last counts, and None forgets the customer.

        Keys that start with NUL are not customers and are passed over. Recent ids that `CustomerTable.prune` would
        forget at `oldest_watermark_ms` are not loaded. UnknownRowVersion, MalformedRow: nothing was loaded.
        """
        latest = {key: value for key, value in zip(keys, values, strict=True) if not key.startswith(b"\0")}
        groups: dict[int, tuple[list[str], list[bytes]]] = {}
        for key, value in latest.items():
            if value is None:
                continue
            names, rows = groups.setdefault(value[0] if value else -1, ([], []))
            names.append(key.decode())
            rows.append(value)
        parsed = [(names, *self._parse(version, rows)) for version, (names, rows) in groups.items()]
        for names, matrix, events, orders, tails in parsed:
            slots = table.add_all(names)
            order = np.argsort(slots, kind="stable")
            table.scatter(slots[order], matrix[order])
            last_seen = matrix[:, COL.last_seen]
            table.recent_events.load(slots, events, last_seen, oldest_watermark_ms)
            table.recent_orders.load(slots, orders, last_seen, oldest_watermark_ms)
            row_tail.load_all(table, slots.tolist(), tails)
            _describe_carts(table, slots)
        for key, value in latest.items():
            slot = table.index.get(key.decode()) if value is None else None
            if slot is not None:
                table.forget(slot)

    def _parse(
        self, version: int, rows: list[bytes]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint64], NDArray[np.uint64], list[Tail]]:
        layout = self._layouts.get(version)
        if layout is None:
            known = ", ".join(map(str, sorted(self._layouts)))
            raise UnknownRowVersion(f"row version {version} is not read here (known: {known})")
        width = len(layout) * 8
        end = _HEAD + width
        raw = b"".join([row[_HEAD:end] for row in rows])
        if len(raw) != len(rows) * width:
            raise MalformedRow("a row is shorter than its columns")
        dense = np.frombuffer(raw, dtype="<f8")
        matrix = np.tile(EMPTY_ROW, (len(rows), 1))
        shared = [name for name in layout if name in COLUMNS]
        matrix[:, [POSITION[name] for name in shared]] = dense.reshape(len(rows), -1)[
            :, [layout.index(n) for n in shared]
        ]
        if "first_order_at" not in layout:
            # Not known any more: not before the first event, and a rhythm that is too slow alarms nobody.
            matrix[:, COL.first_order_at] = np.where(matrix[:, COL.last_order_at] > 0, matrix[:, COL.first_seen], 0.0)
        if "night_weekend" not in layout:
            matrix[:, COL.night_weekend] = day_parts.usual(matrix[:, COL.events])
        flags = [row[1] for row in rows]
        ends = [end] * len(rows)
        events = _unpacked(rows, ends, flags, _EVENTS)
        orders = _unpacked(rows, ends, flags, _ORDERS)
        return matrix, events, orders, row_tail.parse_all(rows, ends, flags)


def peek(values: Sequence[bytes], names: Sequence[str]) -> NDArray[np.float64]:
    """(T, names) columns of T rows, without loading them; 0 where a row's version has no such column.

    UnknownRowVersion, MalformedRow.
    """
    found = np.zeros((len(values), len(names)))
    versions = np.array([value[0] if value else -1 for value in values])
    for version in np.unique(versions).tolist():
        layout = LAYOUTS.get(version)
        if layout is None:
            raise UnknownRowVersion(f"row version {version} is not read here")
        mine = np.flatnonzero(versions == version).tolist()
        end = _HEAD + len(layout) * 8
        dense = np.frombuffer(b"".join([values[at][_HEAD:end] for at in mine]), dtype=np.uint8)
        if len(dense) != len(mine) * len(layout) * 8:
            raise MalformedRow("a row is shorter than its columns")
        matrix = dense.view("<f8").reshape(len(mine), -1)
        for position, name in enumerate(names):
            if name in layout:
                found[mine, position] = matrix[:, layout.index(name)]
    return found


def _packed(recent: RecentIds, slots: NDArray[np.int64]) -> list[bytes]:
    """For each slot its ids with their number in front, empty where there are none."""
    ids = recent.gather(slots)
    raw = ids.astype("<u8", copy=False).tobytes()
    counts = np.count_nonzero(ids, axis=1).tolist()
    size = KEPT * 8
    return [
        b"%c%b" % (count, raw[at : at + 8 * count]) if count else b""
        for at, count in zip(range(0, len(raw), size), counts, strict=True)
    ]


def _unpacked(rows: list[bytes], ends: list[int], flags: list[int], flag: int) -> NDArray[np.uint64]:
    """(n, 16) ids of the section that `flag` announces; `ends` moves behind it, in place."""
    counts, sections = [0] * len(rows), []
    for number, row in enumerate(rows):
        if flags[number] & flag:
            at = ends[number]
            count = row[at] if at < len(row) else KEPT + 1
            section = row[at + 1 : at + 1 + 8 * count]
            if count > KEPT or len(section) != 8 * count:
                raise MalformedRow("a row's recent ids are cut short or too many")
            counts[number] = count
            sections.append(section)
            ends[number] = at + 1 + 8 * count
    ids = np.zeros((len(rows), KEPT), dtype=np.uint64)
    ids[np.arange(KEPT) < np.array(counts)[:, None]] = np.frombuffer(b"".join(sections), dtype="<u8")
    return ids


def _describe_carts(table: CustomerTable, slots: NDArray[np.int64]) -> None:
    """Settle the carts that rows of version 1 hold: they do not say since when."""
    slots = np.sort(slots[table.carts.has(slots)])
    rows = table.gather(slots)
    unsaid = rows[:, COL.cart_touched_at] == 0
    if unsaid.any():
        slots, rows = slots[unsaid], rows[unsaid]
        table.settle_carts(slots, rows)
        table.scatter(slots, rows)

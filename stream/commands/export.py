"""`livesegment export`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer
from numpy.typing import NDArray

from models import features
from models.catalogue import FEATURES
from models.clock import StreamClock
from models.columns import COL, POSITION
from models.judge import NAME_BITS, NO_SEGMENT
from schemas.record import WARMING_UP
from stream.changelog_reader import PartitionState, read_state
from stream.commands.common import AsJson, DataDir, Kafka, answer, prepare
from stream.errors import NotFound
from stream.writers import check_suffix, writer

SLOTS = 65_536
"""Customers written at a time: some 30 MB of columns."""

FIRST = (
    *("segment", "ver", "epoch", "events", "orders", "spend_minor", "refunds_minor"),
    *("first_seen", "last_seen", "last_order_at"),
)
ROW_COLUMNS = frozenset({"segment", "ver", "epoch"})
"""Not features: read from the row."""
WHOLE = frozenset({*FIRST, "duplicates", "late", "custom", "cart_items", "cart_value", "cart_truncated"})
"""Columns of whole numbers."""
_NAME_MASK = (1 << NAME_BITS) - 1
NAMES = (*FIRST, *(name for name in FEATURES if name not in FIRST))
SCHEMA = pa.schema(
    [("customer_id", pa.string()), ("name", pa.string())]
    + [(name, pa.int64() if name in WHOLE else pa.float64()) for name in NAMES]
)


def command(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new file: .parquet, .csv or .jsonl.")],
    *,
    kafka: Kafka = None,
    data_dir: DataDir = None,
    segment: Annotated[
        str | None, typer.Option("--segment", metavar="S", help="Only the customers in it; an id or a name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write one row a customer, from the changelog: segment, counts, money and every feature as of the stream's time.

    Times are milliseconds, money is in minor units; docs and `lookup --features` say what each feature is.
    Needs no worker; while one runs, the file lags behind it by up to a second or two.

    Example: livesegment export loyal.parquet --segment "frequent high spenders"
    """
    check_suffix(out)
    settings = prepare(kafka, data_dir=data_dir)
    started = time.monotonic()
    partitions = read_state(settings).partitions
    if segment is not None:
        check_segment(segment, partitions)
    rows = 0
    now_ms = int(time.time() * 1_000)
    with writer(out, SCHEMA) as write:
        for partition in partitions:
            for table in tables(partition, now_ms, segment):
                write(table)
                rows += table.num_rows
    seconds = round(time.monotonic() - started, 3)
    value = {"file": str(out), "rows": rows, "columns": len(SCHEMA), "seconds": seconds}
    answer(value, f"wrote {rows:,} customers to {out}", as_json=as_json)


def check_segment(segment: str, partitions: list[PartitionState]) -> None:
    """Raise NotFound for a segment that no customer could ever have been in."""
    names = {name.casefold() for partition in partitions for name in partition.meta.names if name not in FEATURES}
    names.add(WARMING_UP)
    if not segment.isdecimal() and segment.casefold() not in names:
        known = ", ".join(sorted(names - {""}))
        raise NotFound(f"No segment is called {segment!r}", action=f"the names are: {known}"[:500])


def tables(partition: PartitionState, system_ms: int, segment: str | None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one partition's customers as Arrow columns, as of its own clock."""
    clock = partition.meta.clock
    now_ms = StreamClock.from_dict(clock, clock.get("mode", "wall")).now(system_ms)
    names = np.array([*partition.meta.names, WARMING_UP], dtype=object)
    for start in range(0, len(partition.table), SLOTS):
        slots = np.arange(start, min(start + SLOTS, len(partition.table)))
        rows = partition.table.gather(slots)
        said = names[np.where(rows[:, COL.segment] == NO_SEGMENT, -1, rows[:, COL.names].astype(np.int64) & _NAME_MASK)]
        chosen = _in_segment(segment, rows[:, COL.segment], said)
        slots, rows, said = slots[chosen], rows[chosen], said[chosen]
        if not len(slots):
            continue
        ids = [partition.table.ids[slot] for slot in slots.tolist()]
        wanted = [name for name in NAMES if name not in ROW_COLUMNS]
        values = dict(zip(wanted, features.of_rows(rows, now_ms, wanted).T, strict=True))
        values |= {name: rows[:, POSITION[name]] for name in ROW_COLUMNS}
        text = [pa.array(ids, pa.string()), pa.array(said, pa.string())]
        numbers = [_column(name, values[name]) for name in NAMES]
        yield pa.RecordBatch.from_arrays([*text, *numbers], schema=SCHEMA)


def _in_segment(segment: str | None, ids: NDArray[np.float64], names: NDArray[np.object_]) -> NDArray[np.bool_]:
    if segment is None:
        return np.ones(len(ids), dtype=np.bool_)
    by_name = np.array([name.casefold() == segment.casefold() for name in names.tolist()], dtype=np.bool_)
    return by_name | (ids == int(segment)) if segment.isdecimal() else by_name


def _column(name: str, values: NDArray[np.float64]) -> pa.Array[Any]:
    """Make an Arrow column; whole numbers become integers, no segment becomes null."""
    if name not in WHOLE:
        return pa.array(values, pa.float64())
    whole = values.astype(np.int64)
    return pa.array(whole, pa.int64(), mask=whole < 0 if name == "segment" else None)

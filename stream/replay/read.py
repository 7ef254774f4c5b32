"""Reading files of events in parts of some thousand rows, with how far along each part is."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stream.errors import LivesegmentError, NotFound, WrongUsage
from stream.replay.mapping import Columns, Outgoing, outgoing, verbatim

PART_ROWS = 10_000
SPAN_ROWS = 100_000
CELL_CHARS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a file as records, in its order."""

    records: list[Outgoing]
    done: float
    """Share of the file that has been read after this part, 0 to 1."""


def check(path: Path) -> None:
    """Raise WrongUsage for a suffix that no reader knows, NotFound for a file that is not there."""
    if path.suffix.lower() not in READERS:
        raise WrongUsage(f"{path}: the suffix must be one of {', '.join(READERS)}")
    if not path.is_file():
        raise NotFound(f"{path} does not exist", action="check the path")


def parts(path: Path, overrides: Mapping[str, str]) -> Iterator[Part]:
    """Read one file by its suffix. Raises as `check`, WrongUsage for columns, LivesegmentError for a broken file."""
    check(path)
    try:
        yield from READERS[path.suffix.lower()](path, overrides)
    except (OSError, pa.ArrowException, csv.Error) as problem:
        words = " ".join(str(problem).split())[:300]
        raise LivesegmentError(f"{path} cannot be read: {words}", action="check that the file is whole") from None


def span(path: Path, overrides: Mapping[str, str]) -> tuple[int, int] | None:
    """First and last event time of a file, milliseconds; None where no row has one. Raises as `parts`.

    Of a Parquet file whose times are numbers or points in time only that column is read.
    """
    if path.suffix.lower() in PARQUET and (found := _parquet_span(path, overrides)) is not None:
        return found
    first, last = 2**62, -1
    for part in parts(path, overrides):
        times = [record.time_ms for record in part.records if record.time_ms is not None]
        first, last = min([first, *times]), max([last, *times])
    return (first, last) if last >= 0 else None


def _parquet_span(path: Path, overrides: Mapping[str, str]) -> tuple[int, int] | None:
    """Look at the column of times alone; None where it must be read row by row, or the file is refused anyway."""
    check(path)
    try:
        with pq.ParquetFile(path) as file:
            mapped = Columns.resolve(file.schema_arrow.names, overrides).require(path.name)
            times = pa.chunked_array(
                [
                    _in_milliseconds(batch).column(0)
                    for batch in file.iter_batches(SPAN_ROWS, columns=[mapped.of["event_time"]])
                ]
            )
    except (OSError, pa.ArrowException):
        return None
    if not pa.types.is_integer(times.type) or times.null_count == len(times):
        return None
    return int(pc.min(times).as_py()), int(pc.max(times).as_py())


def _parquet(path: Path, overrides: Mapping[str, str]) -> Iterator[Part]:
    with pq.ParquetFile(path) as file:
        mapped = Columns.resolve(file.schema_arrow.names, overrides).require(path.name)
        total, seen = file.metadata.num_rows, 0
        for batch in file.iter_batches(PART_ROWS, columns=sorted(set(mapped.of.values()))):
            seen += batch.num_rows
            rows = _in_milliseconds(batch).to_pylist()
            yield Part([outgoing(row, mapped) for row in rows], seen / max(1, total))


def _in_milliseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Turn points in time (with a zone) into integer milliseconds; those without a zone stay, to be refused."""
    columns = []
    for column in batch.columns:
        is_time = pa.types.is_timestamp(column.type) and column.type.tz is not None
        columns.append(
            column.cast(pa.timestamp("ms", column.type.tz), safe=False).cast(pa.int64()) if is_time else column
        )
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _csv(path: Path, overrides: Mapping[str, str]) -> Iterator[Part]:
    csv.field_size_limit(CELL_CHARS_MAX)
    size = max(1, path.stat().st_size)
    with path.open("rb") as file:
        # Bytes that are no UTF-8 survive as surrogates, so that a worker sees and refuses them.
        lines = (line.decode("utf-8-sig" if first else "utf-8", "surrogateescape") for first, line in _flagged(file))
        rows = csv.DictReader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        mapped = Columns.resolve(rows.fieldnames or (), overrides).require(path.name)
        while some := [outgoing(row, mapped) for row in itertools.islice(rows, PART_ROWS)]:
            yield Part(some, min(1.0, file.tell() / size))


def _flagged(file: BinaryIO) -> Iterator[tuple[bool, bytes]]:
    first = True
    while line := file.readline():
        yield first, line
        first = False


def _json_lines(path: Path, overrides: Mapping[str, str]) -> Iterator[Part]:
    size = max(1, path.stat().st_size)
    with path.open("rb") as file:
        lines = (stripped for _, line in _flagged(file) if (stripped := line.strip()))
        while some := [_json_line(line, overrides) for line in itertools.islice(lines, PART_ROWS)]:
            yield Part(some, min(1.0, file.tell() / size))


def _json_line(line: bytes, overrides: Mapping[str, str]) -> Outgoing:
    """Map a flat object as a row; send nested shapes, canonical orders with items and broken lines as they are."""
    try:
        row = orjson.loads(line)
    except ValueError:
        return verbatim(line)
    if not isinstance(row, dict) or any(isinstance(value, dict | list) for value in row.values()):
        return verbatim(line)
    wanted = {name: column for name, column in overrides.items() if column in row}
    if not wanted and "event_type" not in row:
        return verbatim(line)
    return outgoing(row, Columns.resolve(row, wanted))


Reader = Callable[[Path, Mapping[str, str]], Iterator[Part]]
PARQUET = (".parquet", ".pq")
READERS: dict[str, Reader] = {
    **dict.fromkeys(PARQUET, _parquet),
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_lines,
}

"""Writing tables as Parquet, CSV or JSON Lines: whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from stream.errors import LivesegmentError, WrongUsage

Write = Callable[[pa.RecordBatch], None]


def check_suffix(out: Path) -> None:
    """Raise WrongUsage for a file name whose format is not known."""
    if out.suffix.lower() not in WRITERS:
        raise WrongUsage(f"{out}: the suffix must be one of {', '.join(WRITERS)}")


@contextlib.contextmanager
def writer(out: Path, schema: pa.Schema) -> Iterator[Write]:
    """Yield a function that appends a batch of rows to `out`, which appears, or is replaced, when all are written.

    Raises LivesegmentError where the file cannot be written.
    """
    check_suffix(out)
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        with WRITERS[out.suffix.lower()](unfinished, schema) as write:
            yield write
        unfinished.replace(out)
    except OSError as problem:
        raise LivesegmentError(
            f"{out} cannot be written: {problem.strerror or problem}",
            action="check that the folder exists and has room",
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        yield file.write_batch


@contextlib.contextmanager
def _csv(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with pa.csv.CSVWriter(path, schema, write_options=pa.csv.WriteOptions(quoting_style="needed")) as file:
        yield file.write_batch


@contextlib.contextmanager
def _json_lines(path: Path, _: pa.Schema) -> Iterator[Write]:
    with path.open("wb") as file:

        def write(batch: pa.RecordBatch) -> None:
            file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in batch.to_pylist())

        yield write


WRITERS: dict[str, Callable[[Path, pa.Schema], contextlib.AbstractContextManager[Write]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}

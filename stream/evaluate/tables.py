"""Reading a whole table: Parquet, CSV, TSV or JSON Lines."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from stream.errors import LivesegmentError
from stream.replay import check


def table_of(path: Path) -> pa.Table:
    """Read a file by its suffix. Raises WrongUsage or NotFound as `replay`, LivesegmentError for a broken file."""
    check(path)
    suffix = path.suffix.lower()
    try:
        if suffix in (".parquet", ".pq"):
            return pa.parquet.read_table(path)
        if suffix in (".csv", ".tsv"):
            options = pa.csv.ParseOptions(delimiter="\t" if suffix == ".tsv" else ",")
            return pa.csv.read_csv(path, parse_options=options)
        return pa.json.read_json(path)
    except (OSError, pa.ArrowException) as problem:
        words = " ".join(str(problem).split())[:300]
        raise LivesegmentError(f"{path} cannot be read: {words}", action="check that the file is whole") from None

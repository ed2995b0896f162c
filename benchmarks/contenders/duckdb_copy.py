"""DuckDB's own copy of one file, Parquet or CSV, to Parquet: what ingestion is held against."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from benchmarks.contenders.statement import text


def main(source: Path, output: Path) -> None:
    """Copy a file as it is; a CSV's types are found by DuckDB."""
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM {text(source)}) TO {text(output)} (FORMAT parquet)")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Bare DuckDB as most would write it: one full outer join, one CASE, one Parquet file. All ratios refer to it."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from benchmarks.contenders.statement import comparison, text


def main(world: Path, output: Path) -> None:
    """Compare the two files of a world."""
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({comparison(world)}) TO {text(output)} (FORMAT parquet)")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

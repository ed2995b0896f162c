"""Bare DuckDB with the settings that help it here: rows in any order, Parquet v2 with small dictionaries.

The writing options are those of Tieout's own engine; without compression it would be faster still, and the file larger.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from benchmarks.contenders.statement import comparison, text

OPTIONS = "FORMAT parquet, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1000"


def main(world: Path, output: Path) -> None:
    """Compare the two files of a world."""
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"COPY ({comparison(world)}) TO {text(output)} ({OPTIONS})")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

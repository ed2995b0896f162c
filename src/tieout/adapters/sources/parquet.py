"""Parquet files of any layout: mapped, or recognised by their column names.

Numbers and dates become the texts that the drafts need without loss; floating point is refused for money. DuckDB
reads the file itself; `line` is the row's number in the file, counted from 1.

Settings: date_order, decimal, thousands (for amounts and dates kept as text).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tieout.adapters.sources.csv.encoding import OwnedParameters, linked_without_glob
from tieout.adapters.sources.tabular.expressions import quote_identifier
from tieout.adapters.sources.tabular.mapping import TableColumn
from tieout.adapters.sources.tabular.plan import Table, check_settings, plan_drafts
from tieout.model.errors import InputError, Place
from tieout.model.reading import DraftQuery, Reading, SourceOptions

MAGIC = b"PAR1"
SAMPLE_ROWS = 2_000
_EXACT = ("DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER")
_EXACT_WIDE = ("UBIGINT", "UHUGEINT", "BIGNUM", "BOOLEAN", "UUID", "DATE", "TIME", "ENUM")
_NESTED = ("STRUCT", "MAP", "JSON")
_INSTANT = "%Y-%m-%dT%H:%M:%S.%fZ"
_LOCAL = "%Y-%m-%d %H:%M:%S.%f"


class ParquetSource:
    """The `parquet` format."""

    name = "parquet"

    def sniff(self, head: bytes, filename: str) -> int:
        """100 for a file that begins as Parquet does, else 0."""
        return 100 if head.startswith(MAGIC) else 0

    def read(self, path: Path, options: SourceOptions) -> Reading:
        """Read a file. Raises InputError when it is no Parquet file or the mapping does not fit its columns."""
        file = str(path)
        check_settings(options.settings, (), file)
        safe, temporary = linked_without_glob(path)
        described = _describe(str(safe), file)
        relation = (
            f"SELECT CAST(file_row_number AS BIGINT) + 1 AS file_line, {', '.join(_selected(described))} "
            "FROM read_parquet($file, file_row_number = true, hive_partitioning = false)"
        )
        columns = _sampled(described, relation, str(safe), file)
        plan = plan_drafts(Table(file, relation, columns, line="file_line"), options)
        return Reading(
            format=self.name,
            drafts=DraftQuery(plan.sql, OwnedParameters({**plan.parameters, "file": str(safe)}, temporary)),
            inferred=plan.inferred,
            derived_ids=plan.derived_ids,
        )


def _describe(name: str, file: str) -> list[tuple[str, str]]:
    """Columns and DuckDB types of a file."""
    query = "DESCRIBE SELECT * FROM read_parquet($file, hive_partitioning = false)"
    rows = _run(query, name, file)
    return [(str(row[0]), str(row[1]).upper()) for row in rows]


def _run(query: str, name: str, file: str) -> list[tuple[Any, ...]]:
    import duckdb

    connection = duckdb.connect()
    try:
        rows: list[tuple[Any, ...]] = connection.execute(query, {"file": name}).fetchall()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        hint = "the file is cut short or damaged; export it again"
        raise InputError(f"not a readable Parquet file: {reason}", hint=hint, place=Place(file)) from None
    finally:
        connection.close()
    return rows


def _selected(described: list[tuple[str, str]]) -> list[str]:
    return [f"{_text(name, type_name)} AS c{number}" for number, (name, type_name) in enumerate(described)]


def _text(name: str, type_name: str) -> str:
    """A column as text. A timestamp keeps its microseconds, one with a zone becomes UTC."""
    column = quote_identifier(name)
    if type_name == "TIMESTAMP WITH TIME ZONE":
        return f"strftime(timezone('UTC', {column}), '{_INSTANT}')"
    if type_name.startswith("TIMESTAMP"):
        return f"strftime(CAST({column} AS TIMESTAMP), '{_LOCAL}')"
    if type_name == "VARCHAR":
        return f"nullif({column}, '')"
    if type_name.startswith(_NESTED) or type_name.endswith("]"):
        return f"CAST(to_json({column}) AS VARCHAR)"
    return f"CAST({column} AS VARCHAR)"


def _kind(type_name: str) -> str:
    if type_name in ("FLOAT", "DOUBLE"):
        return "float"
    is_text = type_name.startswith(("VARCHAR", "TIMESTAMP", *_EXACT, *_EXACT_WIDE, *_NESTED))
    return "text" if is_text or type_name.endswith("]") else "opaque"


def _sampled(described: list[tuple[str, str]], relation: str, name: str, file: str) -> tuple[TableColumn, ...]:
    """The columns with cells of the first rows."""
    rows = _run(f"SELECT * EXCLUDE (file_line) FROM ({relation}) LIMIT {SAMPLE_ROWS}", name, file)
    cells = list(zip(*rows, strict=True)) or [()] * len(described)
    return tuple(
        TableColumn(name, f"c{number}", _kind(type_name), tuple(cell or "" for cell in cells[number]))
        for number, (name, type_name) in enumerate(described)
    )


SOURCE = ParquetSource()

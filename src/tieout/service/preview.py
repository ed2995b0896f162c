"""A file read without a workspace: what a reader makes of it, staged in a temporary directory and shown.

The same staging as ingestion, so that what is shown is what would be kept. Nothing here is committed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tieout.adapters.engine.duckdb import DuckEngine
from tieout.core.normalise import STAGED_COLUMNS
from tieout.model.configuration import EngineConfig, SourceConfig
from tieout.model.errors import InputError, UsageError
from tieout.model.money import decimal_text
from tieout.model.plan import Row, identifier
from tieout.model.reading import DraftQuery
from tieout.model.record import LINK_COLUMNS, Rejection, Statement
from tieout.service.staging import (
    ReadingOptions,
    Staged,
    Total,
    engine_for,
    quarantine_rows,
    stage_file,
    write_quarantine,
)

CHUNK_LINES = 50_000
"""Records are fetched by ranges of so many lines, so that memory does not follow the file's size."""

RECORD_KEYS = (
    "line", "kind", "native_id", "date", "time", "amount", "fee", "net", "currency", "description", "reference",
    "counterparty", "status", "category", *(name for name in LINK_COLUMNS if name != "reference"), "attributes",
)  # fmt: skip
"""Keys of a record as shown, in order. Amounts are decimal text in major units, money towards the company positive."""

_SOURCE_COLUMNS = {
    "date": "effective_date",
    "time": "strftime(occurred_at, '%Y-%m-%dT%H:%M:%S.%fZ')",
    "amount": "amount_minor",
    "fee": "fee_minor",
    "net": "net_minor",
}


@dataclass(frozen=True, slots=True)
class Preview:
    """What one file holds. `rows_read` = records + quarantined rows; `totals` leave out rows without a currency."""

    file: str
    format: str
    rows_read: int
    records_count: int
    totals: tuple[Total, ...]
    statements: tuple[Statement, ...]
    quarantined: tuple[Rejection, ...]
    quarantined_count: int
    inferred: Mapping[str, str]
    _engine: DuckEngine
    _path: Path

    def records(self, limit: int | None = None) -> Iterator[dict[str, object]]:
        """The records in line order, by RECORD_KEYS; usable while the preview is open.

        Records of one line (an XML document without line breaks is one) stand in the order of date, kind and id.
        """
        left = limit
        (bounds,) = self._fetch("SELECT min(line), max(line) FROM staged WHERE fault IS NULL")
        if bounds[0] is None:
            return
        first, last = int(str(bounds[0])), int(str(bounds[1]))
        for start in range(first, last + 1, CHUNK_LINES):
            for row in self._chunk(start, left):
                yield _record(row)
                left = None if left is None else left - 1
            if left is not None and left <= 0:
                return

    def _chunk(self, start: int, limit: int | None) -> list[Row]:
        columns = ", ".join(f"{_SOURCE_COLUMNS.get(key, identifier(key))} AS {identifier(key)}" for key in RECORD_KEYS)
        bounded = "" if limit is None else " LIMIT $limit"
        sql = f"""
            SELECT {columns} FROM staged WHERE fault IS NULL AND line >= $start AND line < $stop
            ORDER BY line, effective_date, kind, native_id, digest_a{bounded}"""
        values: dict[str, object] = {"start": start, "stop": start + CHUNK_LINES}
        return self._fetch(sql, values if limit is None else {**values, "limit": limit})

    def _fetch(self, sql: str, values: Mapping[str, object] | None = None) -> list[Row]:
        return _fetch(self._engine, self._path, sql, values)


@contextmanager
def preview(
    path: Path, source: SourceConfig, *, declared_format: str | None = None, engine: EngineConfig | None = None
) -> Iterator[Preview]:
    """Read one file as a source would. Raises UsageError for a missing file, InputError when it is refused."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}", hint="check the path")
    with tempfile.TemporaryDirectory(prefix="tieout-") as scratch:
        directory = Path(scratch)
        with engine_for(engine or EngineConfig(), directory / "spill") as running:
            try:
                options = ReadingOptions(source, declared_format)
                staged = stage_file(running, options, path, shown_name=path.name, batch=0, directory=directory)
            except OSError as error:
                raise InputError(
                    f"cannot read {path}: {error.strerror}", hint="check the file's permissions"
                ) from error
            yield _preview(running, path, staged, directory)


def _preview(engine: DuckEngine, path: Path, staged: Staged, directory: Path) -> Preview:
    rejected: tuple[Rejection, ...] = ()
    if staged.quarantined:
        quarantine, rows = write_quarantine(engine, staged, 0, directory)
        rejected = tuple(quarantine_rows(engine, [quarantine], rows))
    return Preview(
        file=path.name,
        format=staged.format,
        rows_read=staged.read,
        records_count=staged.rows - staged.faulty,
        totals=tuple(total for total in staged.totals if total.currency),
        statements=staged.statements,
        quarantined=rejected,
        quarantined_count=staged.quarantined,
        inferred=staged.inferred,
        _engine=engine,
        _path=staged.path,
    )


def _fetch(engine: DuckEngine, path: Path, sql: str, values: Mapping[str, object] | None = None) -> list[Row]:
    """Rows of a query over the relation `staged`: the staged file, absent columns NULL."""
    nothing = ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in STAGED_COLUMNS)
    rows = "SELECT * FROM read_parquet($path, hive_partitioning = false)"
    staged = f"WITH staged AS (SELECT {nothing} WHERE false UNION ALL BY NAME {rows})"
    return engine.fetch(DraftQuery(f"{staged} {sql}", {"path": str(path), **(values or {})}))


def _record(row: Row) -> dict[str, object]:
    """A staged row as people and programs read it."""
    record = dict(zip(RECORD_KEYS, row, strict=True))
    currency = record["currency"]
    for key in ("amount", "fee", "net"):
        minor = record[key]
        record[key] = None if minor is None or currency is None else decimal_text(int(str(minor)), str(currency))
    record["date"] = None if record["date"] is None else str(record["date"])
    record["time"] = None if record["time"] is None else _short_instant(str(record["time"]))
    record["attributes"] = None if record["attributes"] is None else json.loads(str(record["attributes"]))
    return record


def _short_instant(text: str) -> str:
    """An instant without a fraction that says nothing."""
    return f"{text[:19]}Z" if text.endswith(".000000Z") else text

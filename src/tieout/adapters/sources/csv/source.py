"""Delimited text (CSV, TSV …): bank statements, exports of payment processors, spreadsheets.

The file is proven or mended first (framing), so that rows read = drafts + rejections holds exactly and every
draft knows its line; DuckDB then reads it in one SELECT (tabular).

Settings: delimiter, quote, header (true, false), skip_lines, encoding, date_order (dmy, mdy, ymd), decimal ("," or
"."), thousands (the marks that group digits).
"""

from __future__ import annotations

from pathlib import Path

from tieout.adapters.sources.csv.dialect import Dialect, delimiter_of, read_dialect
from tieout.adapters.sources.csv.encoding import (
    Encoding,
    OwnedParameters,
    detect_encoding,
    linked_without_glob,
    temporary_file,
    transcode,
)
from tieout.adapters.sources.csv.framing import PLACEHOLDER, Framed, Framing, mend, survey
from tieout.adapters.sources.tabular.mapping import TableColumn
from tieout.adapters.sources.tabular.plan import Table, check_settings, plan_drafts
from tieout.model.reading import DraftQuery, Reading, SourceOptions

SETTINGS = ("delimiter", "quote", "header", "skip_lines", "encoding")
_DUCKDB_LINE_BYTES = 2_000_000
"""DuckDB's own limit of a line; it is raised only for files that need it, as buffers grow with it."""


class CsvSource:
    """The `csv` format."""

    name = "csv"

    def sniff(self, head: bytes, filename: str) -> int:
        """50 for a table in a file named .csv or .tsv, 20 for one under another name, 0 for other formats."""
        suffix = Path(filename).suffix.lower()
        is_named = suffix in (".csv", ".tsv", ".tab")
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            return 50 if is_named else 15
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not is_named and (b"\0" in head or start[:1] in (b"<", b"{", b"[", b":") or not start):
            return 0
        if b"\0" in head[:4] or start.startswith(b"<"):
            return 0
        if is_named:
            return 50
        return 20 if delimiter_of(head) is not None else 0

    def read(self, path: Path, options: SourceOptions) -> Reading:
        """Read a table. Raises InputError when there is no row, or the mapping does not fit the columns.

        `line` is the exact physical line of a row's beginning, header and blank lines counted.
        """
        file = str(path)
        check_settings(options.settings, SETTINGS, file)
        declared = options.settings.get("encoding")
        encoding = detect_encoding(path, None if declared is None else str(declared), file)
        temporary: list[Path] = []
        try:
            return _read(path, encoding, options, temporary)
        except BaseException:
            for name in temporary:
                name.unlink(missing_ok=True)
            raise


def _read(path: Path, encoding: Encoding, options: SourceOptions, temporary: list[Path]) -> Reading:
    file, source = str(path), path
    if not encoding.is_utf8:
        source = temporary_file()
        temporary.append(source)
        transcode(path, encoding, source)
    dialect = read_dialect(source, options.settings, file)
    framing = Framing(dialect.delimiter, dialect.quote, len(dialect.names), dialect.skip, not encoding.is_utf8, file)
    framed = survey(source, framing)
    if not framed.is_plain:
        copy = temporary_file()
        temporary.append(copy)
        framed = mend(source, framing, copy)
    columns = _columns(dialect)
    relation = _relation(framing, framed)
    table = Table(
        file,
        relation,
        columns,
        skipped=framing.skip if framed.is_plain else 0,
        row_condition=None if framed.is_plain else f"c0 IS DISTINCT FROM {_literal(PLACEHOLDER)}",
        delimiter=dialect.delimiter,
    )
    plan = plan_drafts(table, options)
    kept, link = linked_without_glob(framed.copy or source)
    if link is not None:
        temporary.append(link)
    for name in temporary:
        if name != kept:
            name.unlink(missing_ok=True)
    parameters = OwnedParameters({**plan.parameters, "file": str(kept)}, kept if kept in temporary else None)
    said = {"encoding": f"{encoding.name}: {encoding.evidence}", **dialect.inferred, **plan.inferred}
    if options.settings.get("encoding") is not None:
        del said["encoding"]
    return Reading(
        format="csv",
        drafts=DraftQuery(plan.sql, parameters),
        inferred=said,
        rejections=framed.rejections,
        derived_ids=plan.derived_ids,
    )


def _columns(dialect: Dialect) -> tuple[TableColumn, ...]:
    cells = list(zip(*dialect.rows, strict=True)) or [()] * len(dialect.names)
    return tuple(
        TableColumn(name, f"c{number}", "text", tuple(cells[number])) for number, name in enumerate(dialect.names)
    )


def _relation(framing: Framing, framed: Framed) -> str:
    """The SELECT over the file: columns c0, c1 … as text, blanks NULL.

    A plain file has one row a line after `skip`; a mended copy has one row a line throughout, placeholders included,
    and is read by one thread, as a field may hold line ends.
    """
    columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(framing.columns))
    arguments = [
        "$file",
        "auto_detect = false",
        "header = false",
        f"columns = {{{columns}}}",
        f"delim = {_literal(framing.delimiter)}",
        f"quote = {_literal(framing.quote)}",
        f"escape = {_literal(framing.quote)}",
        # DuckDB would guess it, and takes a carriage return inside a quoted field for one.
        f"new_line = {_literal(repr(framed.line_end)[1:-1])}",
        "compression = 'none'",
        "hive_partitioning = false",
        f"skip = {framing.skip if framed.is_plain else 0}",
    ]
    if framed.longest_bytes >= _DUCKDB_LINE_BYTES // 2:
        longest = 2 * framed.longest_bytes + _DUCKDB_LINE_BYTES
        arguments += [f"max_line_size = {longest}", f"buffer_size = {2 * longest}"]
    if not framed.is_plain or framed.longest_bytes >= _DUCKDB_LINE_BYTES // 2:
        arguments.append("parallel = false")
    return f"SELECT * FROM read_csv({', '.join(arguments)})"


def _literal(text: str) -> str:
    """A constant of this module or a checked single character as SQL: read_csv takes no bound values for these."""
    return "'" + text.replace("'", "''") + "'"


SOURCE = CsvSource()

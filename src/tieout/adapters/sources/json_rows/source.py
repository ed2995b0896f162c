"""Generic JSON: an array of objects, one object a line (JSON Lines), or an object that holds one list of rows.

Rows are parsed strictly (a duplicate key, NaN or Infinity rejects the row; numbers keep their exact text), nested
objects become columns with dotted names, and the table goes the way of CSV (tabular). `line` is the line of JSON
Lines and the ordinal in a list. Stripe's own objects are another source's.

Settings: rows (the key that holds the list, where there are several), date_order, decimal, thousands.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from tieout.adapters.sources.csv.encoding import OwnedParameters, detect_encoding, temporary_file
from tieout.adapters.sources.json_rows.values import JsonFault, ListReader, parse_row, parse_value
from tieout.adapters.sources.tabular.mapping import TableColumn
from tieout.adapters.sources.tabular.plan import Table, check_settings, plan_drafts
from tieout.model.errors import InputError, Place
from tieout.model.reading import DraftQuery, Reading, SourceOptions
from tieout.model.record import Rejection

SETTINGS = ("rows",)
SAMPLE_ROWS = 2_000
MOST_COLUMNS = 1_000
LINE_CHARACTERS = 1 << 25
_EXCERPT_CHARACTERS = 160
_FIRST_CHARACTERS = 1 << 16

Element = tuple[int, str]
"""Line or ordinal, and the text of a row that is still to be parsed."""


class JsonSource:
    """The `json` format."""

    name = "json"

    def sniff(self, head: bytes, filename: str) -> int:
        """40 for what begins like a list of objects or an object, 0 for anything else."""
        text = head[:200].decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", errors="replace")
        start = "".join(text.removeprefix("\ufeff").split())
        return 40 if start.startswith(("[{", "[]", '{"', "{}")) else 0

    def read(self, path: Path, options: SourceOptions) -> Reading:
        """Read rows. Raises InputError when the file is no list of rows or the mapping does not fit."""
        file = str(path)
        check_settings(options.settings, SETTINGS, file)
        table = temporary_file()
        try:
            flat = _flattened(path, options, table)
            plan = plan_drafts(_table(flat, file), options)
        except BaseException:
            table.unlink(missing_ok=True)
            raise
        parameters = OwnedParameters({**plan.parameters, "file": str(table)}, table)
        return Reading(
            format=self.name,
            drafts=DraftQuery(plan.sql, parameters),
            inferred={"rows": flat.framing, **plan.inferred},
            rejections=flat.rejections,
            derived_ids=plan.derived_ids,
        )


@dataclass(slots=True)
class _Flat:
    """What flattening found: columns in order of appearance with their number, a sample, rejections."""

    framing: str = ""
    numbers: dict[str, int] = field(default_factory=dict)
    sample: list[dict[str, str]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    longest_bytes: int = 0


def _flattened(path: Path, options: SourceOptions, target: Path) -> _Flat:
    """Write every readable row to a CSV: its line, then its cells, as many as columns were known by then."""
    file = str(path)
    encoding = detect_encoding(path, None, file)
    codec = encoding.name if encoding.name.startswith("utf") else "utf-8"
    flat = _Flat()
    with (
        path.open("r", encoding=codec, errors="surrogateescape", newline="\n") as opened,
        target.open("w", encoding="utf-8", newline="") as copy,
    ):
        if encoding.mark_bytes and codec != "utf-8-sig":
            opened.read(1)
        writer = csv.writer(copy, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for line, text in _elements(opened, path, options, flat):
            try:
                row = parse_row(text)
            except JsonFault as fault:
                flat.rejections.append(Rejection(line, "row", str(fault), _excerpt(text)))
                continue
            _write(row, line, flat, writer.writerow, file)
            flat.longest_bytes = max(flat.longest_bytes, 4 * len(text))
    if not flat.numbers and not flat.rejections:
        raise InputError("the file has no rows", hint="check the export", place=Place(file))
    return flat


def _write(row: dict[str, str], line: int, flat: _Flat, write: Callable[[list[str]], object], file: str) -> None:
    for name in row:
        if name not in flat.numbers:
            flat.numbers[name] = len(flat.numbers)
    if len(flat.numbers) > MOST_COLUMNS:
        hint = "is a key of the rows an id? then this is no table"
        raise InputError(f"more than {MOST_COLUMNS:,} columns", hint=hint, place=Place(file, line))
    write([str(line), *(row.get(name, "") for name in flat.numbers)])
    if len(flat.sample) < SAMPLE_ROWS:
        flat.sample.append(row)


def _elements(opened: TextIO, path: Path, options: SourceOptions, flat: _Flat) -> Iterator[Element]:
    start = opened.tell()
    first = opened.read(_FIRST_CHARACTERS)
    opened.seek(start)
    if _is_lines(first, path.suffix.lower()):
        flat.framing = "one object a line"
        return _lines(opened, str(path))
    flat.framing = "a list of objects" if first.lstrip().startswith("[") else "a list of objects in an object"
    rows = options.settings.get("rows")
    reader = ListReader(opened, str(path), None if rows is None else str(rows))
    return enumerate(reader.elements(), start=1)


def _is_lines(first: str, suffix: str) -> bool:
    """Whether a file holds one object a line, rather than one document."""
    lines = [line for line in first.split("\n") if line.strip()]
    if suffix in (".jsonl", ".ndjson") or not lines:
        return True
    if not lines[0].lstrip().startswith("{"):
        return False
    try:
        value = parse_value(lines[0])
    except JsonFault:
        # A broken first row, or the opening of one document over many lines.
        return len(lines) > 1 and lines[0].rstrip().endswith("}") and lines[1].lstrip().startswith("{")
    if len(lines) > 1:
        return True
    return not (isinstance(value, dict) and any(isinstance(item, list) for item in value.values()))


def _lines(opened: TextIO, file: str) -> Iterator[Element]:
    number = 0
    while text := opened.readline(LINE_CHARACTERS):
        number += 1
        if len(text) == LINE_CHARACTERS and not text.endswith("\n"):
            reason = f"line {number:,} is longer than {LINE_CHARACTERS >> 20} MiB"
            raise InputError(reason, hint="this is no table of rows", place=Place(file, number))
        if text.strip():
            yield number, text.strip()


def _table(flat: _Flat, file: str) -> Table:
    columns = [
        TableColumn(name, f"c{number}", "text", tuple(row.get(name, "") for row in flat.sample))
        for name, number in flat.numbers.items()
    ]
    types = ", ".join(["'file_line': 'BIGINT'", *(f"'{column.sql}': 'VARCHAR'" for column in columns)])
    longest = 2 * flat.longest_bytes + 2_000_000
    relation = (
        # A row written before a column was first seen is shorter: the cells it lacks are blank.
        f"SELECT * FROM read_csv($file, auto_detect = false, header = false, columns = {{{types}}}, delim = ',', "
        "quote = '\"', escape = '\"', new_line = '\\n', null_padding = true, parallel = false, compression = 'none', "
        f"hive_partitioning = false, max_line_size = {longest}, buffer_size = {2 * longest})"
    )
    return Table(file, relation, tuple(columns), line="file_line")


def _excerpt(text: str) -> str:
    return text[:_EXCERPT_CHARACTERS].encode("utf-8", errors="replace").decode("utf-8")


SOURCE = JsonSource()

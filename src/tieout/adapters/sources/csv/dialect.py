"""What a CSV file looks like: delimiter, quote, header, width, and a sample of its rows.

Everything that the source's settings do not declare is concluded from the head of the file, and said. Content
(which column means what) is not judged here, except as far as it tells a header from a row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tieout.adapters.sources.csv.records import LINE_END, Grammar, grammar
from tieout.adapters.sources.tabular.headers import role_of
from tieout.model.errors import InputError, Place

HEAD_BYTES = 1 << 20
PROBE_BYTES = 1 << 17
SAMPLE_ROWS = 2_000
DIALECT_ROWS = 200
DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_SEPARATOR_LINE = re.compile(rb'"?sep=([,;\t|])"?\r?\n', re.IGNORECASE)
"""A first line by which spreadsheets are told the delimiter; it is skipped as any line before the table."""
_VALUE = re.compile(
    r"[-+(]?\s*[$€£¥]?\s*[-+]?[0-9][0-9.,'\s]*[$€£¥]?\)?"
    r"|[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}.*"
    r"|[0-9]{1,2}[- ][A-Za-z]{3}[- ][0-9]{2,4}"
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """A file's dialect. `skip` counts the physical lines before the first row; `rows` is a sample of rows."""

    delimiter: str
    quote: str
    names: tuple[str, ...]
    skip: int
    has_header: bool
    rows: tuple[tuple[str, ...], ...] = ()
    inferred: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Row:
    """One record of the sample: its first physical line (from 0), lines covered, and fields."""

    line: int
    lines: int
    fields: tuple[str, ...]

    @property
    def is_blank(self) -> bool:
        """Whether no field holds anything."""
        return not any(cell.strip() for cell in self.fields)


def read_dialect(path: Path, settings: Mapping[str, object], file: str) -> Dialect:
    """The dialect of a UTF-8 file. Raises InputError when it holds no row or a setting makes no sense."""
    with path.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
        is_whole = not opened.read(1)
    head = head.removeprefix(b"\xef\xbb\xbf")
    inferred: dict[str, str] = {}
    quote = _character(settings, "quote", file, default='"', empty=True)
    skip_lines = _skip_lines(settings, file)
    delimiter = _character(settings, "delimiter", file, default="", empty=True)
    if not delimiter and (said := _SEPARATOR_LINE.match(head)):
        delimiter = said[1].decode("ascii")
        inferred["delimiter"] = f"{_NAMES[delimiter]}, from the line sep="
        skip_lines = max(skip_lines, 1)
    elif not delimiter:
        delimiter = _best_delimiter(head, quote, skip_lines, is_whole)
        inferred["delimiter"] = _NAMES[delimiter]
    rows = _rows(head, grammar(delimiter, quote), SAMPLE_ROWS, is_whole)
    rows = [row for row in rows if row.line >= skip_lines]
    if not any(not row.is_blank for row in rows):
        raise InputError("the file has no rows", hint="check the export", place=Place(file))
    at = _header_index(rows, settings.get("header"), file)
    first = rows[at]
    width = _width(rows[at:])
    if settings.get("header") is False or not _is_header(rows, at, settings.get("header")):
        names = tuple(f"column_{number}" for number in range(1, width + 1))
        inferred["header"] = f"none: columns are called column_1 to column_{width}"
        skip, data, has_header = first.line, rows[at:], False
    else:
        names, has_header = _names(first.fields, width), True
        skip, data = first.line + first.lines, rows[at + 1 :]
        if "header" not in settings or first.line > 0:
            inferred["header"] = f"line {first.line + 1}"
    if first.line > 0:
        inferred["skipped"] = f"{first.line} line{'s' if first.line > 1 else ''} before the table"
    # Joined exports repeat the header between rows; there it is a row that gets quarantined, and no evidence.
    header = first.fields if has_header else ()
    kept = (row for row in data if len(row.fields) == len(names) and not row.is_blank)
    sample = [row.fields for row in kept if row.fields != header]
    sample += _probes(path, grammar(delimiter, quote), len(names)) if not is_whole else []
    return Dialect(delimiter, quote, names, skip, has_header, tuple(sample), inferred)


def delimiter_of(head: bytes) -> str | None:
    """The delimiter that gives a head of a file an even width of two columns or more; None without one."""
    scores = {cut: _score(_rows(head, grammar(cut, '"'), DIALECT_ROWS, False)) for cut in DELIMITERS}
    best = max(scores, key=lambda cut: scores[cut])
    return best if scores[best][0] >= 0.5 else None


def _character(settings: Mapping[str, object], key: str, file: str, *, default: str, empty: bool) -> str:
    value = settings.get(key, default)
    value = {"tab": "\t", "\\t": "\t", None: ""}.get(value, value) if isinstance(value, str | None) else value
    if isinstance(value, str) and (
        (not value and empty) or (len(value) == 1 and value.isascii() and value not in "\r\n\0")
    ):
        return value
    place = Place(file, field=f"settings.{key}")
    raise InputError(f"{key} must be one ASCII character, not {value!r}", hint='for example ";"', place=place)


def _skip_lines(settings: Mapping[str, object], file: str) -> int:
    value = settings.get("skip_lines", 0)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    place = Place(file, field="settings.skip_lines")
    raise InputError(f"skip_lines must be a number of lines, not {value!r}", hint="for example 5", place=place)


def _best_delimiter(head: bytes, quote: str, skip_lines: int, is_whole: bool) -> str:
    def score(cut: str) -> tuple[float, int]:
        rows = _rows(head, grammar(cut, quote), DIALECT_ROWS, is_whole)
        return _score([row for row in rows if row.line >= skip_lines])

    return max(DELIMITERS, key=score)


def _score(rows: Sequence[_Row]) -> tuple[float, int]:
    """Share of rows of the commonest width, then that width; one column scores nothing."""
    widths = Counter(len(row.fields) for row in rows if not row.is_blank)
    if not widths:
        return 0.0, 0
    width, count = max(widths.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]))
    if width < 2:
        return 0.0, 0
    share = count / widths.total()
    # A comma inside decimals is as regular as a delimiter, but the header has none of it.
    is_first = next((len(row.fields) == width for row in rows if not row.is_blank), False)
    return round(share, 1) + 0.25 * is_first, width


def _rows(head: bytes, dialect: Grammar, limit: int, is_whole: bool) -> list[_Row]:
    """The first records of a file's head; a line with broken quotes is taken apart without regard to them."""
    found: list[_Row] = []
    position = line = 0
    while position < len(head) and len(found) < limit:
        match = dialect.record.match(head, position)
        if match is not None and (match.end() < len(head) or is_whole):
            raw = match.group()
            fields = dialect.fields(raw)
        else:
            end = LINE_END.search(head, position)
            if end is None and not is_whole:
                break
            raw = head[position : end.end() if end else len(head)]
            fields = raw.rstrip(b"\r\n").split(dialect.delimiter)
        lines = max(len(LINE_END.findall(raw)), 1)
        found.append(_Row(line, lines, tuple(cell.decode("utf-8", errors="replace") for cell in fields)))
        line += lines
        position += len(raw)
    return found


def _width(rows: Sequence[_Row]) -> int:
    widths = Counter(len(row.fields) for row in rows[:DIALECT_ROWS] if not row.is_blank)
    return max(widths.items(), key=lambda item: (item[1], item[0]))[0]


def _header_index(rows: Sequence[_Row], declared: object, file: str) -> int:
    """Index of the first row of the table, which is the header if there is one."""
    if declared not in (None, True, False):
        place = Place(file, field="settings.header")
        raise InputError(f"header must be true or false, not {declared!r}", hint="header: true", place=place)
    width = _width(rows)
    filled = [index for index, row in enumerate(rows[:DIALECT_ROWS]) if not row.is_blank]
    near = [index for index in filled if abs(len(rows[index].fields) - width) <= 1]
    named = [index for index in near if sum(role_of(cell) is not None for cell in rows[index].fields) > 1]
    exact = [index for index in near if len(rows[index].fields) == width]
    if declared is False:
        return (exact or filled)[0]
    return min((named or exact or filled)[:1] + exact[:1])


def _is_header(rows: Sequence[_Row], at: int, declared: object) -> bool:
    """Whether the row at `at` names the columns: known words, or words above values."""
    if declared is not None:
        return bool(declared)
    cells = [cell.strip() for cell in rows[at].fields]
    if any(_VALUE.fullmatch(cell) for cell in cells if cell):
        return False
    if any(role_of(cell) is not None for cell in cells if cell):
        return True
    below = [row.fields for row in rows[at + 1 : at + 20] if len(row.fields) == len(cells)]
    has_values = any(_VALUE.fullmatch(cell.strip()) for fields in below for cell in fields if cell.strip())
    return has_values or not below


def _names(fields: Sequence[str], width: int) -> tuple[str, ...]:
    """Unique column names. A delimiter at the end of all rows but not of the header (or the reverse) is allowed."""
    names = [cell.strip() for cell in fields]
    if len(names) == width + 1 and not names[-1]:
        names.pop()
    elif len(names) == width - 1:
        names.append("")
    seen: set[str] = set()
    unique: list[str] = []
    for number, name in enumerate(names, start=1):
        candidate, copy = name or f"column_{number}", 2
        while candidate in seen:
            candidate, copy = f"{name or 'column'} ({copy})", copy + 1
        seen.add(candidate)
        unique.append(candidate)
    return tuple(unique)


def _probes(path: Path, dialect: Grammar, width: int) -> list[tuple[str, ...]]:
    """Rows from the middle and the end, so that a conclusion does not rest on the first days of a long file."""
    size = path.stat().st_size
    found: list[tuple[str, ...]] = []
    with path.open("rb") as opened:
        middle = max(size // 2, HEAD_BYTES)
        # The samples must not overlap: a row seen twice would make its id look repeated.
        for start in (middle, max(size - PROBE_BYTES, middle + PROBE_BYTES)):
            opened.seek(start)
            lines = LINE_END.split(opened.read(PROBE_BYTES))[1:-1]
            for line in lines[:: max(len(lines) * 4 // SAMPLE_ROWS, 1)]:
                match = dialect.record.match(line)
                fields = dialect.fields(line) if match is not None and match.end() == len(line) else []
                if len(fields) == width:
                    found.append(tuple(cell.decode("utf-8", errors="replace") for cell in fields))
    return found

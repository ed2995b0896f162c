"""Where each draft column comes from: the declared mapping (`sources.<name>.mapping`), parsed and checked.

An entry is a column name, or {from, format, pattern, value, decimal, negate, map, minor, sign_from, negative,
positive}, or for amounts {credit, debit}. Names are resolved against the table's columns here, and a column that the
file lacks is refused with the columns it has: the export's layout has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import NoReturn

from tieout.model.errors import InputError, Place
from tieout.model.record import DRAFT_COLUMNS

AMOUNT_COLUMNS = ("amount", "fee", "net")
DATE_COLUMNS = ("date", "time")
JOINED_COLUMNS = ("date", "time", "description")
"""Draft columns that several file columns are joined for; others take the first that is not blank."""

_KEYS = (
    "from", "format", "pattern", "value", "decimal", "negate", "map", "minor", "credit", "debit", "sign_from",
    "negative", "positive",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table: its name in the file, its SQL identifier, and sampled cells ("" for a blank).

    `type` is "text", "float" (inexact numbers, never money) or "opaque" (nothing that has a text).
    """

    name: str
    sql: str
    type: str = "text"
    cells: tuple[str, ...] = ()

    @property
    def filled(self) -> tuple[str, ...]:
        """The sampled cells that are not blank."""
        return tuple(cell for cell in self.cells if cell.strip())


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one draft column comes from. `words` replaces texts; `formats` are strptime formats.

    `is_debit_signed`: debits carry their own minus; `positive` None: every word that is not negative is positive.
    """

    columns: tuple[TableColumn, ...] = ()
    value: str | None = None
    formats: tuple[str, ...] = ()
    pattern: str | None = None
    decimal: str | None = None
    words: tuple[tuple[str, str], ...] = ()
    is_negated: bool = False
    is_minor: bool = False
    credit: TableColumn | None = None
    debit: TableColumn | None = None
    is_debit_signed: bool = False
    sign: TableColumn | None = None
    negative: tuple[str, ...] = ()
    positive: tuple[str, ...] | None = None
    is_declared: bool = False

    @property
    def all_columns(self) -> list[TableColumn]:
        """Every file column that the origin uses."""
        others = [column for column in (self.credit, self.debit, self.sign) if column is not None]
        return [*self.columns, *others]


@dataclass(frozen=True, slots=True)
class DeclaredMapping:
    """The checked mapping. `attributes` names columns to keep; a draft column in `empty` is not to be filled."""

    origins: Mapping[str, Origin]
    attributes: tuple[TableColumn, ...] = ()
    empty: frozenset[str] = frozenset()


class Columns:
    """The table's columns by name: exactly, else without regard to case and outer blanks."""

    def __init__(self, columns: Sequence[TableColumn], file: str):
        self.columns = columns
        self.file = file

    def find(self, name: object, field: str) -> TableColumn:
        """The column of that name. Raises InputError that lists what there is and suggests the nearest."""
        exact = [column for column in self.columns if column.name == name]
        loose = [column for column in self.columns if column.name.strip().casefold() == _folded(name)]
        if len(exact or loose) == 1:
            return (exact or loose)[0]
        names = [column.name for column in self.columns]
        listed = ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
        near = get_close_matches(str(name), names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        place = Place(self.file, field=field)
        message = f"the file has no column {name!r}"
        raise InputError(message, hint=f"{hint}columns of the file: {listed}", place=place, code="schema_change")


def parse_mapping(mapping: Mapping[str, object], columns: Columns) -> DeclaredMapping:
    """Check a mapping against a table. Raises InputError with the place of the first fault."""
    origins: dict[str, Origin] = {}
    attributes: tuple[TableColumn, ...] = ()
    empty: set[str] = set()
    for name, entry in mapping.items():
        field = f"mapping.{name}"
        if name not in DRAFT_COLUMNS:
            _refuse(f"{name!r} is no column of a record", _nearest(name, DRAFT_COLUMNS), columns, field)
        if entry is None:
            empty.add(name)
        elif name == "attributes":
            listed = [entry] if isinstance(entry, str) else entry
            if not isinstance(listed, list | tuple):
                _refuse("attributes is a list of columns", "attributes: [Notes, Shop]", columns, field)
            attributes = tuple(columns.find(item, field) for item in listed)
        else:
            origins[name] = _origin(name, entry, columns, field)
    return DeclaredMapping(origins, attributes, frozenset(empty))


def _origin(name: str, entry: object, columns: Columns, field: str) -> Origin:
    if not isinstance(entry, Mapping):
        return Origin(columns=(columns.find(entry, field),), is_declared=True)
    for key in entry:
        if key not in _KEYS:
            _refuse(f"unknown key {key!r}", _nearest(str(key), _KEYS), columns, f"{field}.{key}")
    if ("credit" in entry) != ("debit" in entry):
        _refuse("credit and debit go together", "credit: Deposit, debit: Withdrawal", columns, field)
    if not {"from", "value", "credit"} & entry.keys():
        _refuse("the entry says nothing of where the value comes from", "from: a column", columns, field)
    origin = Origin(
        columns=_found(entry.get("from"), columns, f"{field}.from"),
        value=_text(entry.get("value")),
        formats=_texts(entry.get("format")),
        pattern=_text(entry.get("pattern")),
        decimal=_decimal(entry.get("decimal"), columns, f"{field}.decimal"),
        words=_words(entry.get("map"), columns, f"{field}.map"),
        is_negated=_flag(entry.get("negate"), columns, f"{field}.negate"),
        is_minor=_flag(entry.get("minor"), columns, f"{field}.minor"),
        is_declared=True,
    )
    money_keys = {"decimal", "negate", "minor", "credit", "debit", "sign_from", "negative", "positive"} & entry.keys()
    if money_keys and name not in AMOUNT_COLUMNS:
        key = min(money_keys)
        _refuse(f"{key} is only for {', '.join(AMOUNT_COLUMNS)}", "leave it out", columns, f"{field}.{key}")
    if origin.formats and name not in (*DATE_COLUMNS, "version"):
        _refuse("format is only for date, time and version", "leave it out", columns, f"{field}.format")
    return _with_signs(origin, entry, columns, field)


def _with_signs(origin: Origin, entry: Mapping[str, object], columns: Columns, field: str) -> Origin:
    if "credit" in entry:
        credit = columns.find(entry["credit"], f"{field}.credit")
        origin = replace(origin, credit=credit, debit=columns.find(entry["debit"], f"{field}.debit"))
    if "sign_from" not in entry:
        return origin
    positive = _texts(entry["positive"]) if "positive" in entry else None
    sign = columns.find(entry["sign_from"], f"{field}.sign_from")
    return replace(origin, sign=sign, negative=_texts(entry.get("negative")), positive=positive)


def _found(value: object, columns: Columns, field: str) -> tuple[TableColumn, ...]:
    if value is None:
        return ()
    listed = value if isinstance(value, list | tuple) else [value]
    return tuple(columns.find(item, field) for item in listed)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _texts(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return tuple(str(item) for item in listed)


def _decimal(value: object, columns: Columns, field: str) -> str | None:
    if value not in (None, ",", "."):
        _refuse(f"decimal must be ',' or '.', not {value!r}", 'decimal: ","', columns, field)
    return None if value is None else str(value)


def _words(value: object, columns: Columns, field: str) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        _refuse("map takes pairs of text", "map: {Paid: paid}", columns, field)
    return tuple((str(word), str(to)) for word, to in value.items())


def _flag(value: object, columns: Columns, field: str) -> bool:
    if value not in (None, True, False):
        _refuse(f"must be true or false, not {value!r}", "true", columns, field)
    return value is True


def _folded(name: object) -> str:
    return str(name).strip().casefold()


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"use one of: {', '.join(known)}"


def _refuse(message: str, hint: str, columns: Columns, field: str) -> NoReturn:
    raise InputError(message, hint=hint, place=Place(columns.file, field=field))

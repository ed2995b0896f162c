"""From a table of texts to drafts: one SELECT, shared by CSV, Parquet and JSON rows.

A reader describes its file as a `Table` (a relation in SQL, columns, a sample); the declared mapping and what is
inferred for the rest say where each draft column comes from; this module writes the query. Cells that are canonical
already are selected as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from tieout.adapters.sources.tabular import expressions as sql
from tieout.adapters.sources.tabular.forms import AmountForm, DateForm, Hints, amount_form, date_form
from tieout.adapters.sources.tabular.headers import CREDIT_WORDS, DEBIT_WORDS
from tieout.adapters.sources.tabular.inference import FLOAT_HINT, Inference, hints_of, infer
from tieout.adapters.sources.tabular.mapping import (
    AMOUNT_COLUMNS,
    DATE_COLUMNS,
    JOINED_COLUMNS,
    Columns,
    DeclaredMapping,
    Origin,
    TableColumn,
    parse_mapping,
)
from tieout.model.errors import InputError, Place
from tieout.model.reading import SourceOptions
from tieout.model.record import DRAFT_COLUMNS

_KEEP_UNMATCHED = (*AMOUNT_COLUMNS, *DATE_COLUMNS, "currency", "kind")
"""Columns in which a text that a declared pattern does not match must be seen, not blanked."""

SHARED_SETTINGS = ("date_order", "decimal", "thousands")


@dataclass(frozen=True, slots=True)
class Table:
    """A file as columns of text. `relation` is a SELECT that yields every column's identifier.

    `line` is a column of the relation that holds a row's line, or None: then rows are numbered in their order, after
    `skipped` lines. `row_condition` tells rows from placeholders. `parameters` are the relation's own; `delimiter` is
    a hint of the file's origin; `file` names it in errors.
    """

    file: str
    relation: str
    columns: tuple[TableColumn, ...]
    line: str | None = None
    skipped: int = 0
    row_condition: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    delimiter: str = ","


@dataclass(frozen=True, slots=True)
class Plan:
    """The drafts' query, its parameters, what was concluded, and whether some drafts will carry no native id."""

    sql: str
    parameters: Mapping[str, object]
    inferred: dict[str, str]
    derived_ids: bool


def plan_drafts(table: Table, options: SourceOptions) -> Plan:
    """Write the query for a table. Raises InputError when the declared mapping does not fit the file."""
    columns = Columns(table.columns, table.file)
    declared = parse_mapping(options.mapping, columns)
    _check(table, options, declared)
    order = options.settings.get("date_order")
    hints = hints_of(table.columns, table.delimiter, options.currency, str(order) if order else None)
    inferred = infer(table.columns, declared, hints, options.kind, table.file)
    origins = {**inferred.origins, **declared.origins}
    writer = _Writer(table, options, hints)
    selected = writer.select(origins, declared, inferred)
    return Plan(
        sql=writer.query(selected),
        parameters={**table.parameters, **writer.bindings.values},
        inferred={key: value for key, value in inferred.said.items() if key not in declared.origins},
        derived_ids="native_id" not in origins,  # where ids are mapped, a row without one is quarantined, anywhere
    )


def check_settings(settings: Mapping[str, object], known: Sequence[str], file: str) -> None:
    """Refuse a setting that this format does not know, so that a typing error does not go unseen."""
    for key in settings:
        if key not in (*known, *SHARED_SETTINGS):
            hint = f"known settings: {', '.join(sorted((*known, *SHARED_SETTINGS)))}"
            raise InputError(f"unknown setting {key!r}", hint=hint, place=Place(file, field=f"settings.{key}"))


def _check(table: Table, options: SourceOptions, declared: DeclaredMapping) -> None:
    settings = options.settings
    choices = {"date_order": ("dmy", "mdy", "ymd"), "decimal": (",", ".")}
    for key, allowed in choices.items():
        if settings.get(key) not in (None, *allowed):
            hint = f"one of: {' '.join(allowed)}"
            raise InputError(f"unknown {key}", hint=hint, place=Place(table.file, field=f"settings.{key}"))
    if not isinstance(settings.get("thousands", ""), str):
        hint = 'for example thousands: "\'"'
        place = Place(table.file, field="settings.thousands")
        raise InputError("thousands is a text of the marks that group digits", hint=hint, place=place)
    try:
        ZoneInfo(options.zone)
    except (KeyError, ValueError, OSError):
        hint = "use an IANA name such as Europe/Berlin"
        raise InputError(f"unknown zone {options.zone!r}", hint=hint, place=Place(table.file, field="zone")) from None
    for name, origin in declared.origins.items():
        _check_origin(name, origin, table.file)


def _check_origin(name: str, origin: Origin, file: str) -> None:
    place = Place(file, field=f"mapping.{name}")
    for column in origin.all_columns:
        if column.type == "float" and name in AMOUNT_COLUMNS:
            raise InputError(f"column {column.name!r} is floating point", hint=FLOAT_HINT, place=place)
        if column.type == "opaque":
            raise InputError(f"column {column.name!r} holds no text", hint="map another column", place=place)
    if origin.formats or origin.pattern is not None:
        _check_with_duckdb(origin, place)


def _check_with_duckdb(origin: Origin, place: Place) -> None:
    """Let the engine that will use a declared format or pattern judge it, before a file is read with it."""
    import duckdb

    connection = duckdb.connect()
    try:
        for form in origin.formats:
            connection.execute("SELECT try_strptime('', $form)", {"form": form}).fetchall()
        if origin.pattern is not None:
            query = "SELECT regexp_extract('', $pattern, 1)"
            connection.execute(query, {"pattern": origin.pattern}).fetchall()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        hint = "format is strptime's (%d.%m.%Y); pattern is RE2 with one group, as in (INV-[0-9]+)"
        raise InputError(f"not usable: {reason}", hint=hint, place=place) from None
    finally:
        connection.close()


class _Writer:
    """Writes one query. Texts that later expressions use more than once are computed in an inner SELECT each."""

    def __init__(self, table: Table, options: SourceOptions, hints: Hints):
        self.table = table
        self.options = options
        self.hints = hints
        self.bindings = sql.Bindings()
        self.stages: list[str] = []

    def query(self, selected: Mapping[str, str]) -> str:
        """The whole SELECT: the relation, the stages around it, the draft columns, the lines."""
        source = self.table.relation
        for number, stage in enumerate(self.stages):
            source = f"SELECT *, {stage} AS {_stage_name(number)} FROM ({source})"
        names = [sql.quote_identifier(name) for name in DRAFT_COLUMNS if name in selected]
        listed = [f"{selected[name]} AS {sql.quote_identifier(name)}" for name in DRAFT_COLUMNS if name in selected]
        if self.table.line is not None:
            return f"SELECT {', '.join([f'{self.table.line} AS line', *listed])} FROM ({source})"
        condition = self.table.row_condition
        flag = [f"{condition} AS is_row"] if condition is not None else []
        drafts = f"SELECT {', '.join(flag + listed or ['1'])} FROM ({source})"
        head, rows = _numbered(drafts, self.table.skipped)
        chosen = ", ".join(["line", *names])
        return f"{head}SELECT {chosen} FROM ({rows})" + (" WHERE is_row" if condition is not None else "")

    def select(self, origins: Mapping[str, Origin], declared: DeclaredMapping, inferred: Inference) -> dict[str, str]:
        """Every draft column that can be filled, as SQL."""
        found: dict[str, str] = {}
        currency = self._currency(origins.get("currency"))
        kind = self._kind(origins.get("kind"), inferred.kind)
        for name, origin in origins.items():
            if name in AMOUNT_COLUMNS:
                found[name] = self._amount(origin, currency)
            elif name in DATE_COLUMNS:
                found[name] = self._date(name, origin)
            elif name not in ("currency", "kind", "version"):
                text = self._text(name, origin)
                found[name] = f"lower({text})" if name == "status" else text
            elif name == "version":
                found[name] = self._version(origin)
        if currency is not None:
            found["currency"] = currency
        if kind is not None:
            found["kind"] = kind
        attributes = {column.name: self._column(column) for column in declared.attributes}
        if inferred.balance is not None and "balance" not in attributes:
            attributes["balance"] = self._amount(Origin(columns=(inferred.balance,)), None)
        if attributes:
            found["attributes"] = sql.json_attributes(attributes, self.bindings)
        return found

    def _stage(self, expression: str) -> str:
        """The name of an expression's result; a bare column needs none."""
        if expression.replace("_", "").isalnum() or expression.startswith("$"):
            return expression
        self.stages.append(expression)
        return _stage_name(len(self.stages) - 1)

    def _column(self, column: TableColumn) -> str:
        """A column's text, trimmed where the sample shows outer blanks."""
        is_padded = any(cell != cell.strip() for cell in column.cells)
        return self._stage(f"nullif(trim({column.sql}), '')") if is_padded else column.sql

    def _text(self, name: str, origin: Origin) -> str:
        """The text that an origin yields before it is brought into a form."""
        if not origin.columns:
            return self.bindings.bind(origin.value)
        columns = [self._column(column) for column in origin.columns]
        text = sql.joined(columns) if name in JOINED_COLUMNS else sql.first_filled(columns)
        if origin.pattern is not None:
            keep = origin.is_declared and name in _KEEP_UNMATCHED
            text = sql.extracted(self._stage(text), origin.pattern, self.bindings, keep=keep)
        if origin.words:
            text = sql.mapped(self._stage(text), dict(origin.words), self.bindings)
        if origin.value is not None:
            text = f"coalesce({text}, {self.bindings.bind(origin.value)})"
        return text

    def _kind(self, origin: Origin | None, inferred: str | None) -> str | None:
        constant = self.options.kind or inferred
        default = self.bindings.bind(constant) if constant is not None else None
        if origin is None:
            return default
        text = self._text("kind", origin)
        return f"coalesce({text}, {default})" if default is not None else text

    def _currency(self, origin: Origin | None) -> str | None:
        default = self.bindings.bind(self.options.currency) if self.options.currency is not None else None
        if origin is None:
            return default
        if not origin.columns:
            return self.bindings.bind((origin.value or "").upper())
        text = f"upper({self._text('currency', origin)})"
        return self._stage(f"coalesce({text}, {default})" if default is not None else text)

    def _amount(self, origin: Origin, currency: str | None) -> str:
        if origin.credit is not None and origin.debit is not None:
            sides = [
                self._stage(self._number(self._column(column), column.filled, origin, currency))
                for column in (origin.credit, origin.debit)
            ]
            text = sql.credit_less_debit(*sides, debit_is_signed=origin.is_debit_signed)
        elif not origin.columns:
            return self.bindings.bind(origin.value)
        else:
            cells = tuple(cell for column in origin.columns for cell in column.filled)
            text = self._number(self._stage(self._text("amount", origin)), cells, origin, currency)
        if origin.sign is not None:
            known = origin.negative or tuple(sorted(DEBIT_WORDS))
            positive = origin.positive if origin.negative else tuple(sorted(CREDIT_WORDS))
            listed = list(positive) if positive is not None else None
            text = sql.signed_by(self._stage(text), self._column(origin.sign), list(known), listed, self.bindings)
        return sql.negated(self._stage(text)) if origin.is_negated else text

    def _number(self, text: str, cells: Sequence[str], origin: Origin, currency: str | None) -> str:
        if origin.is_minor:
            return sql.minor_to_major(text, currency or "NULL", self.bindings)
        settings = self.options.settings
        form = amount_form(cells, self.hints) or AmountForm(decimal=None)
        decimal = origin.decimal or settings.get("decimal") or form.decimal
        expected = AmountForm(str(decimal) if decimal else None)
        thousands = settings.get("thousands")
        marks = None if thousands is None else str(thousands)
        return sql.amount_text(text, expected, self.bindings, currency=currency, thousands=marks)

    def _date(self, name: str, origin: Origin) -> str:
        if not origin.columns:
            return self.bindings.bind(origin.value)
        text = self._text(name, origin)
        form = self._date_form(origin)
        if form is None:
            return text
        if name == "date":
            return text if form.is_day and not origin.formats else sql.day_text(self._stage(text), form, self.bindings)
        if len(origin.columns) > 1:
            # A clock without a day is no instant, nor is a day without its clock.
            parts = " OR ".join(f"nullif(trim({column.sql}), '') IS NULL" for column in origin.columns)
            text = f"CASE WHEN {parts} THEN NULL ELSE {text} END"
        return sql.instant_text(self._stage(text), form, self.options.zone, self.bindings)

    def _date_form(self, origin: Origin) -> DateForm | None:
        cells = [" ".join(parts) for parts in zip(*(column.cells for column in origin.columns), strict=True)]
        if not origin.formats:
            return date_form([cell for cell in cells if cell.strip()], self.hints)
        times = tuple(form for form in origin.formats if any(mark in form for mark in ("%H", "%I", "%T", "%X")))
        plain = tuple(form.removesuffix("%z") for form in origin.formats)
        has_offset = any(form.endswith("%z") for form in origin.formats)
        return DateForm(plain, tuple(form.removesuffix("%z") for form in times), has_offset)

    def _version(self, origin: Origin) -> str:
        """A version as it stands when it is a number, else as an instant."""
        text = self._text("version", origin)
        form = self._date_form(origin) if origin.columns else None
        if form is None or not form.times:
            return text
        return sql.instant_text(self._stage(text), form, self.options.zone, self.bindings)


def _stage_name(number: int) -> str:
    return f"stage_{number}"


def _numbered(drafts: str, skipped: int) -> tuple[str, str]:
    """The WITH clause and the SELECT that number rows in their order in the file.

    Numbering runs on one thread, and so would reading and converting in the same pipeline; materialised first they
    use every thread, which halves the time. DuckDB keeps a materialised result in order from 2.0 on (1.5 does not),
    and only with preserve_insertion_order, so that a query without it fails rather than number at random.
    """
    import duckdb

    number = f"row_number() OVER () + {skipped}"
    if int(duckdb.__version__.split(".")[0]) < 2:
        return "", f"SELECT {number} AS line, * FROM ({drafts})"
    refusal = "error('line numbers need preserve_insertion_order')"
    line = f"CASE WHEN current_setting('preserve_insertion_order') THEN {number} ELSE {refusal} END AS line"
    return f"WITH converted AS MATERIALIZED ({drafts}) ", f"SELECT {line}, * FROM converted"

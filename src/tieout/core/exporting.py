"""What exports hold and in which order, as plans: matches, open items, findings, proofs, quarantine. Pure.

Amounts leave as exact decimal text in major units. Text cells that a spreadsheet would take for a formula are
neutralised in CSV and JSON lines. Which parts and rows are exported is service/exports' work.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from tieout.core.matching.columns import (
    ALLOCATION_COLUMNS,
    CLOSED_ITEM_COLUMNS,
    OPEN_ITEM_COLUMNS,
    PAIR_COLUMNS,
    PAIRS_SQL,
    REVOKED_COLUMNS,
)
from tieout.core.versions import QUARANTINE_COLUMNS
from tieout.model.money import EXPONENTS
from tieout.model.plan import Columns, Plan, Step, identifier

Shape = Literal["text", "id", "amount", "day", "instant", "number"]
"""text: words from outside or of our own, neutralised; id: hex digits; amount: exact decimal text in major units;
day: `YYYY-MM-DD`; instant: UTC with a trailing Z; number: a whole number."""

ExportColumns = tuple[tuple[str, Shape, str], ...]
"""Name, shape and meaning of each column, in order."""

FORMATS: Final = ("csv", "jsonl", "parquet")

_FORMULA_STARTS = ("'='", "'+'", "'-'", "'@'", "chr(9)", "chr(10)", "chr(13)")
"""First characters that make spreadsheets evaluate a cell (OWASP, CSV Injection)."""

_TYPES: Mapping[str, str] = {"number": "BIGINT", "day": "DATE"}
"""Engine types of shapes that are not text."""

_COPY = {
    "csv": "(FORMAT csv, HEADER true)",
    "jsonl": "(FORMAT json)",
    "parquet": "(FORMAT parquet, PARQUET_VERSION v2)",
}

_RECORD: ExportColumns = (
    ("side", "text", "side of the reconciliation"),
    ("source", "text", "source that said it; empty for a residual"),
    ("kind", "text", "kind of the record"),
    ("native_id", "text", "the source's own id"),
    ("occurrence", "number", "0, or which of several contents under one id"),
    ("date", "day", "effective date"),
    ("currency", "text", "ISO 4217 code"),
)

MATCHES: ExportColumns = (
    ("match_id", "id", "16 hex digits; one match within a run and currency"),
    ("reconciliation", "text", "the reconciliation"),
    ("run", "number", "the run that matched"),
    ("passes", "text", "names of the passes that decided together"),
    ("type", "text", "exact, grouped or partial"),
    *_RECORD,
    ("amount", "amount", "how much of the record is used, with the side's sign; of a residual, the difference"),
    ("residual", "text", "fee where the row stands for a typed difference and no record"),
)

OPEN_ITEMS: ExportColumns = (
    ("reconciliation", "text", "the reconciliation"),
    ("run", "number", "the run that wrote the row"),
    *_RECORD,
    ("amount", "amount", "the record's amount, with the side's sign"),
    ("open", "amount", "what is not matched yet"),
    ("code", "text", "why it is open"),
    ("age_days", "number", "days from the date to the run's as-of"),
    ("due_date", "day", "end of grace"),
    ("customer", "text", "the source's customer id"),
    ("reference", "text", "reference"),
    ("counterparty", "text", "counterparty"),
    ("description", "text", "description"),
    ("other_id", "text", "a record of the other side under the same key"),
    ("other_amount", "amount", "what the other sides say under the same key"),
    ("other_currency", "text", "their currency, where it is another"),
)

FINDINGS: ExportColumns = (
    ("finding", "number", "number within the workspace"),
    ("reconciliation", "text", "the reconciliation, or the check that found it"),
    ("code", "text", "what is wrong"),
    ("kind", "text", "single or group"),
    ("state", "text", "pending, open, acknowledged, in_progress, pending_approval, resolved or ignored"),
    ("severity", "text", "warning, high or critical"),
    ("cause", "text", "likely cause"),
    ("side", "text", "side it was found on"),
    ("source", "text", "source of the record"),
    ("record_kind", "text", "kind of the record"),
    ("native_id", "text", "the source's own id"),
    ("occurrence", "number", "0, or which of several contents under one id"),
    ("customer", "text", "the source's customer id"),
    ("currency", "text", "ISO 4217 code"),
    ("expected", "amount", "what the first side says"),
    ("actual", "amount", "what the other side says"),
    ("at_risk", "amount", "money at risk"),
    ("date", "day", "effective date"),
    ("due_date", "day", "end of grace"),
    ("deadline", "day", "end of the window"),
    ("detected_at", "instant", "when it was first seen"),
    ("opened_at", "instant", "when it opened"),
    ("resolved_at", "instant", "when it was resolved"),
    ("resolution", "text", "how it was resolved"),
    ("recurrences", "number", "how often it came back"),
    ("members", "number", "breaks that a group stands for"),
    ("owner", "text", "owner"),
    ("first_run", "number", "run that saw it first"),
    ("last_run", "number", "run that saw it last"),
    ("says", "text", "what each side says, as JSON"),
    ("fingerprint", "id", "its identity across runs, 32 hex digits"),
)

PROOF: ExportColumns = (
    ("reconciliation", "text", "the reconciliation"),
    ("run", "number", "the run that proves it"),
    ("as_of", "day", "the run's as-of"),
    ("side", "text", "side of the reconciliation"),
    ("currency", "text", "ISO 4217 code"),
    ("opening", "amount", "open before the run"),
    ("new", "amount", "arrived"),
    ("amended", "amount", "change by newer versions"),
    ("reopened", "amount", "came back from revoked matches"),
    ("withdrawn", "amount", "left with withdrawn records"),
    ("matched", "amount", "used by matches"),
    ("written_off", "amount", "written off"),
    ("closing", "amount", "open after the run"),
    ("unexplained", "amount", "always 0"),
    ("opening_count", "number", "records open before"),
    ("new_count", "number", "records that arrived"),
    ("matched_count", "number", "shares that matches used"),
    ("closing_count", "number", "records open after"),
)

QUARANTINE: ExportColumns = (
    ("source", "text", "the source"),
    ("batch", "number", "the batch it came with"),
    ("file", "text", "name of the delivered file"),
    ("line", "number", "line of the file, counted from 1"),
    ("field", "text", "field at fault"),
    ("reason", "text", "why it cannot be read"),
    ("text", "text", "excerpt of what stood there"),
    ("kind", "text", "kind of the record, where known"),
    ("native_id", "text", "the source's own id, where known"),
)

EXPORTS: Final[Mapping[str, ExportColumns]] = MappingProxyType(
    {
        "matches": MATCHES,
        "open-items": OPEN_ITEMS,
        "findings": FINDINGS,
        "proof": PROOF,
        "quarantine": QUARANTINE,
    }
)
"""What can be exported, and its columns."""


def decimal_sql(minor: str, currency: str = "currency") -> str:
    """SQL for the exact decimal text of minor units in a currency's major units: (-49108, EUR) is '-491.08'."""
    groups: dict[int, list[str]] = {}
    for code, exponent in EXPONENTS.items():
        groups.setdefault(exponent, []).append(f"'{code}'")
    cases = [
        f"WHEN {currency} IN ({', '.join(codes)}) THEN {_scaled_sql(minor, exponent)}"
        for exponent, codes in sorted(groups.items(), key=lambda item: item[0] != 2)
    ]
    return f"CASE WHEN {minor} IS NULL THEN NULL {' '.join(cases)} END"


def _scaled_sql(minor: str, exponent: int) -> str:
    if exponent == 0:
        return f"({minor})::VARCHAR"
    sign = f"CASE WHEN {minor} < 0 THEN '-' ELSE '' END"
    whole = f"abs({minor}) // {10**exponent}"
    part = f"lpad((abs({minor}) % {10**exponent})::VARCHAR, {exponent}, '0')"
    return f"concat({sign}, {whole}, '.', {part})"


def _cell_sql(name: str, shape: Shape, file_format: str) -> str:
    """One column as it leaves: text that starts a formula gets a single quote before it, amounts and days never."""
    column = identifier(name)
    typed = f"{column}::{_TYPES.get(shape, 'VARCHAR')}"
    if shape != "text" or file_format == "parquet":
        return f"{typed} AS {column}"
    starts = ", ".join(_FORMULA_STARTS)
    return f"CASE WHEN left({typed}, 1) IN ({starts}) THEN concat('''', {typed}) ELSE {typed} END AS {column}"


def copy_step(what: str, file_format: str, relation: str, order: str) -> Step:
    """The step that writes an export: measure `exported` (rows) from a relation with the export's columns.

    The file's name is the plan's parameter `target`.
    """
    cells = ", ".join(_cell_sql(name, shape, file_format) for name, shape, _ in EXPORTS[what])
    select = f"SELECT {cells} FROM (SELECT * FROM {relation} ORDER BY {order})"
    return Step("exported", f"COPY ({select}) TO (getvariable('target')) {_COPY[file_format]}", "measure")


def matches_plan(file_format: str, decided: Mapping[str, list[object]], target: str) -> Plan:
    """Matches, one row a record's share. Inputs: `pairs`, `allocations`, and `revoked` (what to leave out).

    `decided` holds lists of equal length: run, stage, reconciliation, passes.
    """
    share = "match_id, run, stage, currency"
    nothing = ", ".join(["NULL"] * 5)
    ends = [
        f"""SELECT {share}, 'exact', {end}_side, {end}_source, {end}_kind, {end}_native_id, {end}_occurrence,
            {end}_effective_date, {end}_minor, NULL FROM {PAIRS_SQL}"""
        for end in ("left", "right")
    ]
    fees = f"SELECT {share}, 'exact', left_side, {nothing}, -fee_minor, 'fee' FROM {PAIRS_SQL} WHERE fee_minor <> 0"
    rest = f"""SELECT {share}, type, side, source, kind, native_id, occurrence, effective_date, allocated_minor,
            residual FROM allocations"""
    shares = f"""
        SELECT * FROM ({" UNION ALL ".join([*ends, fees, rest])})
            AS shares({share}, type, side, source, kind, native_id, occurrence, date, minor, residual)
        WHERE (run, match_id) NOT IN (SELECT (matched_run, match_id) FROM revoked)"""
    shown = f"""
        SELECT s.* REPLACE (format('{{:016x}}', s.match_id) AS match_id), d.reconciliation, d.passes,
            {decimal_sql("s.minor", "s.currency")} AS amount
        FROM shares AS s LEFT JOIN decided AS d ON d.run = s.run AND d.stage = s.stage"""
    order = """reconciliation, run, match_id, stage, currency, side, residual NULLS FIRST, source, kind, native_id,
        occurrence, minor"""
    steps = (
        Step("decided", _lists_sql("run", "stage", "reconciliation", "passes")),
        Step("shares", shares, "view"),
        Step("shown", shown, "view"),
        copy_step("matches", file_format, "shown", order),
    )
    inputs = {"pairs": PAIR_COLUMNS, "allocations": ALLOCATION_COLUMNS, "revoked": REVOKED_COLUMNS}
    return Plan(steps, {**decided, "target": target}, inputs)


def open_items_plan(file_format: str, ran: Mapping[str, list[object]], target: str) -> Plan:
    """Open items. Inputs: `open_items`, and `closed_items` (what to leave out).

    `ran` holds lists of equal length: run, reconciliation, as_of (the day that ages count to).
    """
    shown = f"""
        SELECT r.reconciliation, o.*, o.effective_date AS date, o.customer_ref AS customer,
            {decimal_sql("o.amount_minor", "o.currency")} AS amount,
            {decimal_sql("o.open_minor", "o.currency")} AS open,
            {decimal_sql("o.other_minor", "o.currency")} AS other_amount,
            date_diff('day', o.effective_date, r.as_of) AS age_days
        FROM open_items AS o LEFT JOIN ran AS r ON r.run = o.run
        WHERE (o.side, o.id_hash, o.run) NOT IN (SELECT (side, id_hash, opened_run) FROM closed_items)"""
    order = "reconciliation, side, date, source, kind, native_id, occurrence, run, code, open_minor"
    steps = (
        Step("ran", _lists_sql("run", "reconciliation", "as_of")),
        Step("shown", shown, "view"),
        copy_step("open-items", file_format, "shown", order),
    )
    inputs = {"open_items": OPEN_ITEM_COLUMNS, "closed_items": CLOSED_ITEM_COLUMNS}
    return Plan(steps, {**ran, "target": target}, inputs)


def quarantine_export_plan(file_format: str, delivered: Mapping[str, list[object]], target: str) -> Plan:
    """Unreadable rows. Input: `quarantine`; `delivered` holds lists of equal length: batch, source, file."""
    shown = "SELECT d.source, d.file, q.* FROM quarantine AS q LEFT JOIN delivered AS d ON d.batch = q.batch"
    order = "source, batch, line NULLS FIRST, field, reason, text, native_id"
    steps = (
        Step("delivered", _lists_sql("batch", "source", "file")),
        Step("shown", shown, "view"),
        copy_step("quarantine", file_format, "shown", order),
    )
    return Plan(steps, {**delivered, "target": target}, {"quarantine": QUARANTINE_COLUMNS})


def rows_plan(what: str, file_format: str, target: str) -> Plan:
    """Rows of the control plane, already in the export's columns and order. Input: `shown` with their `place`."""
    return Plan((copy_step(what, file_format, "shown", "place"),), {"target": target}, {"shown": row_columns(what)})


def row_columns(what: str) -> Columns:
    """Engine types of an export's columns as rows bring them, and their place in the order."""
    columns = tuple((name, _TYPES.get(shape, "VARCHAR")) for name, shape, _ in EXPORTS[what])
    return (("place", "BIGINT"), *columns)


def _lists_sql(*names: str) -> str:
    """Lists of equal length, given as parameters, as a relation."""
    return "SELECT " + ", ".join(f"unnest(getvariable('{name}')) AS {identifier(name)}" for name in names)

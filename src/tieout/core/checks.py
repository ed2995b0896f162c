"""Checks of one source by itself: repeated native ids and customers that nobody knows. (Statements are rows of the
control plane; their gaps are read there.)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from tieout.core.findings import KEY_UNMAPPED, FindingDraft, days_after, fingerprint, severity_of, state_at
from tieout.core.versions import CONTESTED_COLUMNS, current_steps
from tieout.model.configuration import SeverityThresholds
from tieout.model.finding import Code, Kind
from tieout.model.money import decimal_text
from tieout.model.plan import Columns, Plan, Row, Step
from tieout.model.record import RECORD_COLUMNS

CUSTOMER_GRACE_DAYS = 1
"""How long a new customer may be unknown to the key map: a day, since maps are delivered nightly."""

SOURCE_BREAK_COLUMNS: Columns = (
    ("code", "VARCHAR"),
    ("kind", "VARCHAR"),
    ("native_id", "VARCHAR"),
    ("rows", "BIGINT"),
    ("currency", "VARCHAR"),
    ("amount_minor", "BIGINT"),
    ("batch", "INTEGER"),
    ("effective_date", "DATE"),
)


def check_plan(*, customers: bool, group_over: int) -> Plan:
    """One source's own breaks. Output `source_breaks`; measures `singles` (rows to show) and `crowds` (code, rows).

    Inputs: `records`, `contested`, and the relation `known` of customer ids that the key map has (native_id).
    `customers` tells whether the source declares customers.
    """
    repeated = """
        SELECT 'DUPLICATE_ID' AS code, kind, native_id, count(*) AS rows,
            CASE WHEN count(DISTINCT currency) = 1 THEN min(currency) END AS currency,
            CASE WHEN count(DISTINCT currency) = 1 THEN sum(amount_minor)::BIGINT END AS amount_minor,
            max(batch) AS batch, min(effective_date) AS effective_date
        FROM current_records
        WHERE id_hash IN (SELECT id_hash FROM records WHERE occurrence > 0)
        GROUP BY kind, native_id HAVING count(*) > 1"""
    unknown = """
        SELECT 'UNRESOLVED_CUSTOMER' AS code, 'customer' AS kind, customer_ref AS native_id, count(*) AS rows,
            CASE WHEN count(DISTINCT currency) = 1 THEN min(currency) END AS currency,
            CASE WHEN count(DISTINCT currency) = 1 THEN sum(abs(amount_minor))::BIGINT END AS amount_minor,
            max(batch) AS batch, min(effective_date) AS effective_date
        FROM current_records
        WHERE customer_ref IS NOT NULL AND customer_ref NOT IN (SELECT native_id FROM known) GROUP BY customer_ref"""
    union = f"{repeated} UNION ALL {unknown}" if customers else repeated
    crowds = "SELECT code, count(*) FROM source_breaks GROUP BY code HAVING count(*) > getvariable('group_over')"
    singles = f"""
        SELECT * FROM source_breaks WHERE code NOT IN (SELECT code FROM ({crowds})) ORDER BY code, kind, native_id"""
    steps = (
        *current_steps("records", "contested", "current_records"),
        Step("source_breaks", union, "output"),
        Step("crowds", f"{crowds} ORDER BY code", "measure"),
        Step("singles", singles, "measure"),
    )
    inputs = {"records": RECORD_COLUMNS, "contested": CONTESTED_COLUMNS}
    return Plan(steps, {"group_over": group_over}, inputs)


def disputes_plan() -> Plan:
    """The measure `disputes`: every current dispute among `records`, as `dispute_draft` reads it."""
    sql = """
        SELECT kind, native_id, occurrence, currency, amount_minor, status, payment_ref, effective_date, batch, category
        FROM current_records WHERE kind = 'dispute' ORDER BY native_id, occurrence"""
    steps = (*current_steps("records", "contested", "current_records"), Step("disputes", sql, "measure"))
    return Plan(steps, inputs={"records": RECORD_COLUMNS, "contested": CONTESTED_COLUMNS})


def source_drafts(
    name: str, source: str, singles: Iterable[Row], crowds: Iterable[Row], as_of: date
) -> list[FindingDraft]:
    """Findings of a source's own breaks; crowded codes become one group finding each."""
    names = [column for column, _ in SOURCE_BREAK_COLUMNS]
    drafts = [_single(name, source, dict(zip(names, row, strict=True)), as_of) for row in singles]
    for code, members in crowds:
        drafts.append(_crowd(name, Code[str(code)], int(str(members))))
    return drafts


def _single(name: str, source: str, row: Mapping[str, object], as_of: date) -> FindingDraft:
    code = Code[str(row["code"])]
    currency = None if row["currency"] is None else str(row["currency"])
    amount = None if row["amount_minor"] is None or currency is None else int(str(row["amount_minor"]))
    day = row["effective_date"] if isinstance(row["effective_date"], date) else None
    due = days_after(day, CUSTOMER_GRACE_DAYS) if code is Code.UNRESOLVED_CUSTOMER else None
    said = {"id": row["native_id"], "kind": row["kind"], "records": row["rows"]}
    if amount is not None and currency is not None:
        said |= {"amount": decimal_text(amount, currency), "currency": currency}
    return FindingDraft(
        fingerprint=fingerprint(name, code, row["kind"], row["native_id"]),
        code=code,
        state=state_at(due, as_of),
        severity=severity_of(code, amount, currency, SeverityThresholds()),
        cause=KEY_UNMAPPED if code is Code.UNRESOLVED_CUSTOMER else None,
        side=source,
        anchor_source=source,
        anchor_kind=str(row["kind"]),
        anchor_id=str(row["native_id"]),
        currency=currency,
        at_risk_minor=None if amount is None else abs(amount),
        says={source: said},
        evidence={"records": row["rows"]},
        batch=int(str(row["batch"])),
        effective_date=day,
        due_date=due,
    )


def _crowd(name: str, code: Code, members: int) -> FindingDraft:
    return FindingDraft(
        fingerprint=fingerprint(name, code, "group"),
        code=code,
        kind=Kind.GROUP,
        state=state_at(None, date.max),
        severity=severity_of(code, None, None, SeverityThresholds()),
        cause=KEY_UNMAPPED if code is Code.UNRESOLVED_CUSTOMER else None,
        says={"records": members},
        evidence={"members": members},
        members=members,
    )


def statement_gaps(name: str, source: str, rows: Iterable[Mapping[str, object]]) -> list[FindingDraft]:
    """Findings of bank statements (rows of the control plane's `statements`) that do not tie or do not join.

    A statement ties when opening + lines = closing. Consecutive statements of an account join when one opens where
    the last closed; those whose bank gives no period cannot be ordered and are not compared.
    """
    drafts: list[FindingDraft] = []
    accounts: dict[tuple[str, str], dict[tuple[str, str], Mapping[str, object]]] = {}
    for row in rows:
        by_period = accounts.setdefault((str(row["account"]), str(row["currency"])), {})
        by_period.setdefault((str(row["from_date"] or ""), str(row["statement_id"])), row)
    for _, by_period in sorted(accounts.items()):
        previous: Mapping[str, object] | None = None
        for (from_date, _), row in sorted(by_period.items()):
            if row["gap_minor"]:
                closing, gap = int(str(row["closing_minor"])), int(str(row["gap_minor"]))
                drafts.append(gap_draft(name, source, row, "its lines do not add up", closing - gap, closing))
            if previous is not None and from_date and from_date > str(previous["to_date"] or previous["from_date"]):
                expected, actual = previous["closing_minor"], row["opening_minor"]
                if expected is not None and actual is not None and expected != actual:
                    what = f"it does not open where {previous['statement_id']} closed"
                    drafts.append(gap_draft(name, source, row, what, int(str(expected)), int(str(actual))))
            if from_date:
                previous = row
    return drafts


def gap_draft(name: str, source: str, row: Mapping[str, object], what: str, expected: int, actual: int) -> FindingDraft:
    """The finding of one statement: `what` is wrong in words, and the balance expected and found (minor units)."""
    currency = str(row["currency"])
    gap = actual - expected
    return FindingDraft(
        fingerprint=fingerprint(name, Code.BALANCE_GAP, row["account"], currency, row["statement_id"], what),
        code=Code.BALANCE_GAP,
        state=state_at(None, date.max),
        severity=severity_of(Code.BALANCE_GAP, gap, currency, SeverityThresholds()),
        side=source,
        anchor_source=source,
        anchor_kind="statement",
        anchor_id=f"{row['account']} {row['statement_id']}",
        currency=currency,
        expected_minor=expected,
        actual_minor=actual,
        at_risk_minor=abs(gap),
        says={
            source: {
                "statement": row["statement_id"],
                "account": row["account"],
                "expected": decimal_text(expected, currency),
                "amount": decimal_text(actual, currency),
                "currency": currency,
            }
        },
        evidence={"what": f"statement {row['statement_id']}: {what}", "gap": decimal_text(gap, currency)},
        batch=int(str(row["batch"])),
    )


def dispute_is_over(row: Row) -> bool:
    """Whether a dispute's money is back (won), or it was only an inquiry that was closed."""
    return row[5] in ("won", "warning_closed")


def dispute_fingerprint(reconciliation: str, source: str, row: Row) -> str:
    """The identity of a dispute's finding."""
    return fingerprint(reconciliation, Code.UNAPPLIED_REFUND, source, *row[:3])


def dispute_draft(reconciliation: str, source: str, row: Row, limits: SeverityThresholds) -> FindingDraft:
    """The finding of one dispute that is not over."""
    kind, native_id, occurrence, currency, amount, status, payment, day, batch, category = row
    minor, unit = int(str(amount)), str(currency)
    at_risk = abs(minor)
    return FindingDraft(
        fingerprint=dispute_fingerprint(reconciliation, source, row),
        code=Code.UNAPPLIED_REFUND,
        state=state_at(None, date.max),
        severity=severity_of(Code.UNAPPLIED_REFUND, at_risk, unit, limits),
        side=source,
        anchor_source=source,
        anchor_kind=str(kind),
        anchor_id=str(native_id),
        occurrence=int(str(occurrence)),
        currency=unit,
        expected_minor=0,
        actual_minor=minor,
        at_risk_minor=at_risk,
        says={
            source: {
                "kind": "dispute",
                "id": native_id,
                "amount": decimal_text(minor, unit),
                "currency": unit,
                "status": status,
                "date": None if day is None else str(day),
            }
        },
        evidence={"dispute": native_id, "status": status, "payment": payment, "reason": category},
        batch=int(str(batch)),
        effective_date=day if isinstance(day, date) else None,
    )

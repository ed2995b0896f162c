"""From breaks to findings: identity, severity, what each side says, likely cause. Pure; service writes them.

A finding is (reconciliation, rule, anchor): found again it is the same one, gone it converges, back it reopens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from tieout.model.configuration import ReconciliationConfig, SeverityThresholds
from tieout.model.finding import Code, Kind, Severity, State
from tieout.model.money import EXPONENTS, decimal_text
from tieout.model.plan import Row

INTEGRATION_DELAY = "integration_delay"
KEY_UNMAPPED = "key_unmapped"
DUPLICATE_DELIVERY = "duplicate_delivery"

_AT_LEAST_HIGH = {Code.DUPLICATE_RECORD, Code.BALANCE_GAP, Code.CURRENCY_MISMATCH}
"""Codes that are never mild: money was taken twice, a statement is incomplete, or a currency is wrong."""


@dataclass(frozen=True, slots=True)
class FindingDraft:
    """A finding as one run sees it. Amounts in minor units of `currency`; `says` and `evidence` become JSON."""

    fingerprint: str
    code: Code
    state: State
    severity: Severity
    says: Mapping[str, object]
    evidence: Mapping[str, object]
    kind: Kind = Kind.SINGLE
    cause: str | None = None
    side: str | None = None
    anchor_source: str | None = None
    anchor_kind: str | None = None
    anchor_id: str | None = None
    occurrence: int = 0
    customer_id: str | None = None
    currency: str | None = None
    expected_minor: int | None = None
    actual_minor: int | None = None
    at_risk_minor: int | None = None
    batch: int | None = None
    effective_date: date | None = None
    due_date: date | None = None
    deadline: date | None = None
    members: int | None = None


def fingerprint(reconciliation: str, code: str, *anchor: object) -> str:
    """The durable identity of a finding: 32 hex digits over its length-delimited parts."""
    encoded = "".join(f"{len(str(part))}:{part}" for part in (reconciliation, code, *anchor))
    return hashlib.sha256(encoded.encode()).hexdigest()[:32]


def severity_of(code: Code, at_risk_minor: int | None, currency: str | None, limits: SeverityThresholds) -> Severity:
    """Severity from the money at risk (in major units of its currency) and what the code says of it."""
    grade = Severity.HIGH if code in _AT_LEAST_HIGH else Severity.WARNING
    if at_risk_minor is None or currency is None:
        return grade
    major = Decimal(abs(at_risk_minor)).scaleb(-EXPONENTS.get(currency, 2))
    if major >= limits.critical:
        return Severity.CRITICAL
    return Severity.HIGH if major >= limits.high else grade


def state_at(due_date: date | None, as_of: date) -> State:
    """Pending inside grace, open once it has passed."""
    return State.PENDING if due_date is not None and due_date > as_of else State.OPEN


def days_after(day: date | None, days: int) -> date | None:
    """A day so many days later; the calendar's last one where it ends (files say 9999-12-31 for "never")."""
    if day is None or days > (date.max - day).days:
        return None if day is None else date.max
    return day + timedelta(days=days)


def draft_of_break(row: Mapping[str, object], config: ReconciliationConfig, as_of: date) -> FindingDraft:
    """The finding of one open item; `row` holds core.matching.plan.FINDING_COLUMNS by name."""
    code = Code[str(row["code"])]
    open_minor = _integer(row["open_minor"])
    currency = str(row["currency"])
    own_side, first_side = str(row["side"]), config.sides[0].name
    amount, other = _integer(row["amount_minor"]), _optional_integer(row["other_minor"])
    expected, actual = (amount, other) if own_side == first_side else (other, amount)
    effective, due = _day(row["effective_date"]), _day(row["due_date"])
    return FindingDraft(
        fingerprint=fingerprint(
            config.name, code, own_side, row["source"], row["kind"], row["native_id"], row["occurrence"]
        ),
        code=code,
        state=state_at(due, as_of),
        severity=severity_of(code, open_minor, currency, config.severity),
        cause=_cause(code, row),
        side=own_side,
        anchor_source=str(row["source"]),
        anchor_kind=str(row["kind"]),
        anchor_id=str(row["native_id"]),
        occurrence=_integer(row["occurrence"]),
        customer_id=_optional_text(row["customer_ref"]),
        currency=currency,
        expected_minor=expected,
        actual_minor=actual,
        at_risk_minor=abs(open_minor),
        says=_says(row, config, currency),
        evidence=_evidence(row, currency),
        batch=_integer(row["batch"]),
        effective_date=effective,
        due_date=due,
        deadline=days_after(effective, config.window_days),
    )


def _says(row: Mapping[str, object], config: ReconciliationConfig, currency: str) -> dict[str, object]:
    """What each side says, one entry a side: value, record and date, or that it has nothing."""
    own = str(row["side"])
    said: dict[str, object] = {}
    for side in config.sides:
        if side.name == own:
            said[side.name] = {
                "source": row["source"],
                "kind": row["kind"],
                "id": row["native_id"],
                "date": None if row["effective_date"] is None else str(row["effective_date"]),
                "amount": decimal_text(_integer(row["amount_minor"]), currency),
                "currency": currency,
            }
        elif row["other_minor"] is not None and len(config.sides) == 2 and row["code"] != Code.DUPLICATE_RECORD:
            amount = decimal_text(_integer(row["other_minor"]), currency)
            said[side.name] = {"source": side.source, "id": row["other_id"], "amount": amount, "currency": currency}
        elif row["other_currency"] is not None and len(config.sides) == 2:
            said[side.name] = {"source": side.source, "id": row["other_id"], "currency": row["other_currency"]}
        else:
            said[side.name] = {"source": side.source, "nothing": True}
    return said


def _evidence(row: Mapping[str, object], currency: str) -> dict[str, object]:
    shown = {
        "key": row["key_1"],
        "open": decimal_text(_integer(row["open_minor"]), currency),
        "reference": row["reference"],
        "counterparty": row["counterparty"],
        "description": None if row["description"] is None else str(row["description"])[:200],
        "like": row["other_id"] if row["code"] == Code.DUPLICATE_RECORD else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _cause(code: Code, row: Mapping[str, object]) -> str | None:
    """The likely cause where the records themselves show it; anything more needs lineage."""
    if code is Code.DUPLICATE_RECORD:
        return DUPLICATE_DELIVERY
    if row["key_1"] is None:
        return KEY_UNMAPPED
    return INTEGRATION_DELAY if code is Code.MISSING_RECORD else None


def group_drafts(rows: Iterable[Row], config: ReconciliationConfig, as_of: date) -> list[FindingDraft]:
    """Group findings, one per code and side, from (code, side, currency, members, at risk, first due, first date).

    A group over several currencies shows no single amount; its evidence lists each.
    """
    gathered: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        gathered.setdefault((str(row[0]), str(row[1])), []).append(row)
    return [_group_draft(Code[code], side, parts, config, as_of) for (code, side), parts in sorted(gathered.items())]


def _group_draft(
    code: Code, side: str, parts: Sequence[Row], config: ReconciliationConfig, as_of: date
) -> FindingDraft:
    members = sum(_integer(part[3]) for part in parts)
    at_risk = {str(part[2]): int(Decimal(str(part[4]))) for part in parts}
    first_due = min((day for part in parts if (day := _day(part[5])) is not None), default=None)
    first_date = min((day for part in parts if (day := _day(part[6])) is not None), default=None)
    currency, total = next(iter(at_risk.items())) if len(at_risk) == 1 else (None, None)
    grades = [severity_of(code, amount, unit, config.severity) for unit, amount in at_risk.items()]
    amounts = {unit: decimal_text(amount, unit) for unit, amount in sorted(at_risk.items())}
    return FindingDraft(
        fingerprint=fingerprint(config.name, code, "group", side),
        code=code,
        kind=Kind.GROUP,
        state=state_at(first_due, as_of),
        severity=max(grades, key=list(Severity).index),
        side=side,
        currency=currency,
        at_risk_minor=total,
        says={side: {"records": members, "amounts": amounts}},
        evidence={"members": members, "amounts": amounts},
        effective_date=first_date,
        due_date=first_due,
        deadline=days_after(first_date, config.window_days),
        members=members,
    )


def _integer(value: object) -> int:
    return int(str(value))


def _optional_integer(value: object) -> int | None:
    return None if value is None else int(str(value))


def _optional_text(value: object) -> str | None:
    return None if value is None else str(value)


def _day(value: object) -> date | None:
    """A day as the engine gave it; one past the calendar's end comes as text, and is its last day here."""
    if isinstance(value, str):
        return date.max
    return value if isinstance(value, date) else None

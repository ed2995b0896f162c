"""Findings in the control plane: written from drafts, in the transaction of the run that saw them.

Ground for runs and withdrawals. Found again, a finding is updated; gone, it converges; back, it reopens in place.
What is never changed here: states that people set, unless the disagreement itself is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import Row, Select, bindparam, func, insert, select, update

from tieout.adapters.store.tables import finding_history, findings
from tieout.core.findings import FindingDraft
from tieout.model.finding import Kind, State
from tieout.service.unit import Change

Item = TypeVar("Item")

_CHUNK = 500
_CLOSED = (State.RESOLVED, State.IGNORED)


@dataclass(frozen=True, slots=True)
class Projected:
    """How many findings a projection opened, kept, reopened and closed."""

    new: int = 0
    kept: int = 0
    reopened: int = 0
    closed: int = 0

    def __add__(self, other: Projected) -> Projected:
        return Projected(
            self.new + other.new,
            self.kept + other.kept,
            self.reopened + other.reopened,
            self.closed + other.closed,
        )


@dataclass(frozen=True, slots=True)
class Occasion:
    """What makes findings change: the reconciliation, its run, and the rule version they were decided by."""

    reconciliation: str
    run: int | None
    rule_version: str | None


@dataclass(slots=True)
class _Ledger:
    """History rows gathered over a projection, written once at its end, in the order they came."""

    change: Change
    occasion: Occasion
    rows: list[dict[str, object]]

    def note(self, finding: int, action: str, before: str | None, after: str, reason: str, **details: object) -> None:
        self.rows.append(
            {
                "workspace": self.change.workspace,
                "finding": finding,
                "at": self.change.at,
                "actor": self.change.actor.name,
                "authentication": self.change.actor.authentication,
                "action": action,
                "from_state": before,
                "to_state": after,
                "reason": reason,
                "run": self.occasion.run,
                "rule_version": self.occasion.rule_version,
                "details": json.dumps(details, sort_keys=True, default=str),
            }
        )

    def write(self) -> None:
        """Number the rows within their findings and insert them."""
        if not self.rows:
            return
        numbers = sorted({int(str(row["finding"])) for row in self.rows})
        last: dict[int, int] = {}
        for chunk in _chunks(numbers):
            query = (
                select(finding_history.c.finding, func.max(finding_history.c.ordinal))
                .where(finding_history.c.workspace == self.change.workspace, finding_history.c.finding.in_(chunk))
                .group_by(finding_history.c.finding)
            )
            last |= {row[0]: row[1] for row in self.change.connection.execute(query)}
        for row in self.rows:
            number = int(str(row["finding"]))
            last[number] = last.get(number, 0) + 1
            row["ordinal"] = last[number]
        self.change.connection.execute(insert(finding_history), self.rows)


def project(change: Change, occasion: Occasion, drafts: Sequence[FindingDraft]) -> Projected:
    """Write what a run sees: new findings, known ones updated, closed ones reopened in place."""
    ledger = _Ledger(change, occasion, [])
    known = _known(change, [draft.fingerprint for draft in drafts])
    fresh = [draft for draft in drafts if draft.fingerprint not in known]
    _insert(change, occasion, sorted(fresh, key=lambda draft: draft.fingerprint), ledger)
    reopened = kept = 0
    for draft in drafts:
        row = known.get(draft.fingerprint)
        if row is None:
            continue
        came_back = _refresh(change, occasion, row, draft, ledger)
        reopened += came_back
        kept += not came_back
    ledger.write()
    return Projected(new=len(fresh), kept=kept, reopened=reopened)


def converge(
    change: Change, occasion: Occasion, fingerprints: Iterable[str], reason: str, resolution: str = "converged"
) -> Projected:
    """Close findings whose disagreement is gone, with the reason as evidence."""
    known = _known(change, sorted(set(fingerprints)))
    return _close(change, occasion, [row for row in known.values() if row.state not in _CLOSED], reason, resolution)


def close_absent(
    change: Change, occasion: Occasion, present: Iterable[str], reason: str, *, kind: Kind | None = None
) -> Projected:
    """Close every live finding (of one kind) that is not among those a complete look at its kind has seen."""
    query = select(findings.c.finding, findings.c.fingerprint, findings.c.state).where(
        findings.c.workspace == change.workspace,
        findings.c.reconciliation == occasion.reconciliation,
        findings.c.state.not_in(_CLOSED),
    )
    if kind is not None:
        query = query.where(findings.c.kind == kind)
    seen = set(present)
    gone = [row for row in change.connection.execute(query).all() if row.fingerprint not in seen]
    return _close(change, occasion, gone, reason, "converged")


def close_of_batch(change: Change, batch: int, reason: str) -> Projected:
    """Close the live findings whose record came with a batch that was withdrawn."""
    query = select(findings.c.finding, findings.c.fingerprint, findings.c.state).where(
        findings.c.workspace == change.workspace, findings.c.batch == batch, findings.c.state.not_in(_CLOSED)
    )
    gone = change.connection.execute(query).all()
    return _close(change, Occasion("", None, None), gone, reason, "batch withdrawn")


def open_due(change: Change, occasion: Occasion, as_of: date) -> int:
    """A clock tick: findings whose grace has passed open. Returns how many."""
    due = change.connection.execute(due_query(change.workspace, occasion.reconciliation, as_of)).all()
    ledger = _Ledger(change, occasion, [])
    for row in due:
        ledger.note(row.finding, "grace passed", State.PENDING, State.OPEN, f"due {row.due_date}, as of {as_of}")
    _set(change, [{"number": row.finding, "state": State.OPEN, "opened_at": change.at} for row in due])
    ledger.write()
    return len(due)


def due_query(workspace: str, reconciliation: str, as_of: date) -> Select[tuple[int, str | None]]:
    """Findings still pending whose grace has passed at a day."""
    return select(findings.c.finding, findings.c.due_date).where(
        findings.c.workspace == workspace,
        findings.c.reconciliation == reconciliation,
        findings.c.state == State.PENDING,
        findings.c.due_date <= as_of.isoformat(),
    )


def _known(change: Change, fingerprints: Sequence[str]) -> dict[str, Row[*tuple[Any, ...]]]:
    columns = (findings.c.finding, findings.c.fingerprint, findings.c.state, findings.c.at_risk_minor,
               findings.c.recurrences, findings.c.members, findings.c.opened_at)  # fmt: skip
    found: dict[str, Row[*tuple[Any, ...]]] = {}
    for chunk in _chunks(fingerprints):
        query = select(*columns).where(findings.c.workspace == change.workspace, findings.c.fingerprint.in_(chunk))
        found |= {row.fingerprint: row for row in change.connection.execute(query)}
    return found


def _chunks(items: Sequence[Item]) -> Iterable[Sequence[Item]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]


def _insert(change: Change, occasion: Occasion, drafts: Sequence[FindingDraft], ledger: _Ledger) -> None:
    if not drafts:
        return
    last = change.connection.scalar(
        select(func.max(findings.c.finding)).where(findings.c.workspace == change.workspace)
    )
    rows = []
    for number, draft in enumerate(drafts, (last or 0) + 1):
        rows.append(
            {
                **_values(draft),
                "workspace": change.workspace,
                "finding": number,
                "reconciliation": occasion.reconciliation,
                "rule": draft.code,
                "fingerprint": draft.fingerprint,
                "kind": draft.kind,
                "state": draft.state,
                "detected_at": change.at,
                "opened_at": change.at if draft.state is State.OPEN else None,
                "first_run": occasion.run,
                "last_run": occasion.run,
            }
        )
        ledger.note(number, "detected", None, draft.state, draft.code.meaning, at_risk_minor=draft.at_risk_minor)
    change.connection.execute(insert(findings), rows)


def _values(draft: FindingDraft) -> dict[str, object]:
    """What a run may say of a finding each time it sees it."""
    return {
        "severity": draft.severity,
        "cause": draft.cause,
        "side": draft.side,
        "anchor_source": draft.anchor_source,
        "anchor_kind": draft.anchor_kind,
        "anchor_id": draft.anchor_id,
        "occurrence": draft.occurrence,
        "customer_id": draft.customer_id,
        "currency": draft.currency,
        "expected_minor": draft.expected_minor,
        "actual_minor": draft.actual_minor,
        "at_risk_minor": draft.at_risk_minor,
        "says": json.dumps(draft.says, sort_keys=True, default=str),
        "evidence": json.dumps(draft.evidence, sort_keys=True, default=str),
        "batch": draft.batch,
        "effective_date": _day_text(draft.effective_date),
        "due_date": _day_text(draft.due_date),
        "deadline": _day_text(draft.deadline),
        "members": draft.members,
    }


def _day_text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _refresh(
    change: Change, occasion: Occasion, row: Row[*tuple[Any, ...]], draft: FindingDraft, ledger: _Ledger
) -> bool:
    """Update a known finding; tell whether it came back from the dead."""
    values = {**_values(draft), "last_run": occasion.run}
    came_back = row.state == State.RESOLVED
    if came_back:
        values |= {"state": draft.state, "resolution": None, "resolved_at": None, "recurrences": row.recurrences + 1}
        ledger.note(row.finding, "reopened", row.state, draft.state, "the disagreement is back")
    elif row.state == State.PENDING and draft.state is State.OPEN:
        values |= {"state": State.OPEN}
        ledger.note(row.finding, "grace passed", row.state, State.OPEN, f"due {draft.due_date}")
    elif (row.at_risk_minor, row.members) != (draft.at_risk_minor, draft.members):
        before = {"at_risk_minor": row.at_risk_minor, "members": row.members}
        ledger.note(row.finding, "updated", row.state, row.state, "the figures moved", previously=before)
    if values.get("state") is State.OPEN and (came_back or row.opened_at is None):
        values["opened_at"] = change.at
    where = (findings.c.workspace == change.workspace, findings.c.finding == row.finding)
    change.connection.execute(update(findings).where(*where).values(**values))
    return bool(came_back)


def _close(
    change: Change,
    occasion: Occasion,
    rows: Sequence[Row[*tuple[Any, ...]]],
    reason: str,
    resolution: str,
) -> Projected:
    ledger = _Ledger(change, occasion, [])
    for row in rows:
        ledger.note(row.finding, "converged", row.state, State.RESOLVED, reason)
    values = [
        {"number": row.finding, "state": State.RESOLVED, "resolution": resolution, "resolved_at": change.at}
        for row in rows
    ]
    _set(change, values)
    ledger.write()
    return Projected(closed=len(rows))


def _set(change: Change, values: Sequence[Mapping[str, object]]) -> None:
    """Set the same columns on many findings, one row each."""
    if not values:
        return
    where = (findings.c.workspace == change.workspace, findings.c.finding == bindparam("number"))
    columns: dict[str, Any] = {name: bindparam(name) for name in values[0] if name != "number"}
    change.connection.execute(update(findings).where(*where).values(**columns), [dict(value) for value in values])

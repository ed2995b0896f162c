"""What a workspace holds, for people to look at: batches, runs, proofs, findings, open items by age.

Only reading: nothing here writes a row. What the figures mean is decided in runs and projection; where each source
and reconciliation stands is in `status`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, select

from tieout.adapters.store.tables import batches, finding_history, findings, heads, runs
from tieout.core.matching.columns import CLOSED_ITEM_COLUMNS, OPEN_ITEM_COLUMNS
from tieout.model.configuration import Configuration
from tieout.model.errors import UsageError
from tieout.model.finding import SEVERITIES, Code, State
from tieout.model.money import decimal_text
from tieout.model.plan import Plan, Step
from tieout.model.run import ProofLine
from tieout.service.datasets import paths_of, run_parts
from tieout.service.run_records import load_proof
from tieout.service.staging import engine_for
from tieout.service.unit import Unit

LIVE_STATES = (State.OPEN, State.ACKNOWLEDGED, State.IN_PROGRESS, State.PENDING_APPROVAL)
"""States of a finding that somebody has to do something about."""

AGE_BUCKETS = ("0-7 days", "8-30 days", "31-60 days", "61-90 days", "over 90 days", "no date")
"""Buckets of age, the youngest first. An item dated after the day asked for counts as fresh."""

_AGE_LIMITS = (7, 30, 60, 90)


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One delivery. Counts add up: read = accepted + duplicate + superseding + stale + quarantined."""

    batch: int
    source: str
    file: str
    format: str
    state: str
    reason: str | None
    received_at: str
    withdrawn_at: str | None
    actor: str
    read: int
    accepted: int
    duplicate: int
    superseding: int
    stale: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of a reconciliation; hashes are None until it has closed."""

    run: int
    reconciliation: str
    state: str
    as_of: str
    opened_at: str
    closed_at: str | None
    slices: int
    matched: int
    open_items: int
    result_hash: str | None
    manifest_digest: str | None
    actor: str


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding. Amounts are decimal text in major units of `currency`; `says` is what each side says."""

    finding: int
    reconciliation: str
    code: str
    meaning: str
    state: str
    severity: str
    kind: str
    side: str | None
    source: str | None
    record_kind: str | None
    record: str | None
    customer: str | None
    currency: str | None
    expected: str | None
    actual: str | None
    at_risk: str | None
    cause: str | None
    says: Mapping[str, Any]
    evidence: Mapping[str, Any]
    effective_date: str | None
    due_date: str | None
    deadline: str | None
    detected_at: str
    resolved_at: str | None
    resolution: str | None
    first_run: int | None
    last_run: int | None
    batch: int | None
    recurrences: int
    members: int | None
    owner: str | None


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One thing that happened to a finding."""

    at: str
    actor: str
    action: str
    from_state: str | None
    to_state: str
    reason: str
    run: int | None


@dataclass(frozen=True, slots=True)
class FindingCounts:
    """Findings of one reconciliation: live ones by severity, and those still inside grace.

    A group finding counts as its members, so that grouping never makes a reconciliation look cleaner.
    """

    by_severity: Mapping[str, int] = field(default_factory=dict)
    pending: int = 0

    @property
    def open(self) -> int:
        """Findings that wait for somebody."""
        return sum(self.by_severity.values())


@dataclass(frozen=True, slots=True)
class FindingQuery:
    """Which findings are asked for; an empty tuple asks for any. `states` empty means the live ones."""

    states: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    reconciliations: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class AgeRow:
    """Open items of one side and currency in one bucket of AGE_BUCKETS; amounts in minor units.

    `open_minor` is their signed sum, `absolute_minor` the sum of what each leaves open.
    """

    side: str
    currency: str
    bucket: str
    items: int
    open_minor: int
    absolute_minor: int


@dataclass(frozen=True, slots=True)
class ProofOfRun:
    """The proof of one closed run."""

    run: int
    reconciliation: str
    as_of: str
    closed_at: str | None
    result_hash: str | None
    manifest_digest: str | None
    lines: tuple[ProofLine, ...]


def list_batches(
    unit: Unit, *, source: str | None = None, state: str | None = None, limit: int | None = None
) -> list[BatchRow]:
    """Batches, the latest first."""
    query = select(batches).where(batches.c.workspace == unit.workspace).order_by(batches.c.batch.desc()).limit(limit)
    if source is not None:
        query = query.where(batches.c.source == source)
    if state is not None:
        query = query.where(batches.c.state == state)
    with unit.read() as connection:
        return [
            BatchRow(
                row.batch, row.source, row.file_name, row.format, row.state, row.reason, row.received_at,
                row.withdrawn_at, row.actor, row.read, row.accepted, row.duplicate, row.superseding, row.stale,
                row.quarantined,
            )
            for row in connection.execute(query)
        ]  # fmt: skip


def list_runs(unit: Unit, *, reconciliation: str | None = None, limit: int | None = None) -> list[RunRow]:
    """Runs, the latest first."""
    query = select(runs).where(runs.c.workspace == unit.workspace).order_by(runs.c.run.desc()).limit(limit)
    if reconciliation is not None:
        query = query.where(runs.c.reconciliation == reconciliation)
    with unit.read() as connection:
        return [
            RunRow(
                row.run, row.reconciliation, row.state, row.as_of, row.opened_at, row.closed_at, row.slices,
                row.matched, row.open_items, row.result_hash, row.manifest_digest, row.actor,
            )
            for row in connection.execute(query)
        ]  # fmt: skip


def list_findings(unit: Unit, query: FindingQuery) -> tuple[list[FindingRow], int]:
    """Findings that a query asks for, the gravest and then the oldest first; and how many there are without limit.

    Raises UsageError for a state, severity or code that does not exist.
    """
    where = [findings.c.workspace == unit.workspace, *_conditions(query)]
    grade = case({name: place for place, name in enumerate(reversed(SEVERITIES))}, value=findings.c.severity)
    oldest = func.coalesce(findings.c.effective_date, findings.c.detected_at)
    chosen = select(findings).where(*where).order_by(grade, oldest, findings.c.finding).limit(query.limit)
    with unit.read() as connection:
        total = connection.scalar(select(func.count()).select_from(findings).where(*where)) or 0
        return [_finding(row) for row in connection.execute(chosen)], total


def _conditions(query: FindingQuery) -> list[ColumnElement[bool]]:
    known = {
        "state": (query.states, [str(state) for state in State], findings.c.state),
        "severity": (query.severities, [str(severity) for severity in SEVERITIES], findings.c.severity),
        "code": (query.codes, [str(code) for code in Code], findings.c.rule),
    }
    conditions: list[ColumnElement[bool]] = []
    for name, (asked, possible, column) in known.items():
        for word in asked:
            if word not in possible:
                raise UsageError(f"there is no {name} {word!r}", hint=f"one of: {', '.join(possible)}")
        if asked:
            conditions.append(column.in_(asked))
    if not query.states:
        conditions.append(findings.c.state.in_(LIVE_STATES))
    if query.reconciliations:
        conditions.append(findings.c.reconciliation.in_(query.reconciliations))
    return conditions


def show_finding(unit: Unit, number: int) -> tuple[FindingRow, list[HistoryRow]]:
    """One finding and everything that happened to it. Raises UsageError when there is none of this number."""
    where = (findings.c.workspace == unit.workspace, findings.c.finding == number)
    history = (
        select(finding_history)
        .where(finding_history.c.workspace == unit.workspace, finding_history.c.finding == number)
        .order_by(finding_history.c.ordinal)
    )
    with unit.read() as connection:
        row = connection.execute(select(findings).where(*where)).one_or_none()
        if row is None:
            raise UsageError(f"there is no finding {number}", hint="`tieout findings` lists them")
        return _finding(row), [
            HistoryRow(event.at, event.actor, event.action, event.from_state, event.to_state, event.reason, event.run)
            for event in connection.execute(history)
        ]


def _finding(row: Row[*tuple[Any, ...]]) -> FindingRow:
    def _money(minor: int | None) -> str | None:
        return None if minor is None or row.currency is None else decimal_text(minor, row.currency)

    return FindingRow(
        finding=row.finding,
        reconciliation=row.reconciliation,
        code=row.rule,
        meaning=Code[row.rule].meaning if row.rule in Code.__members__ else "",
        state=row.state,
        severity=row.severity,
        kind=row.kind,
        side=row.side,
        source=row.anchor_source,
        record_kind=row.anchor_kind,
        record=row.anchor_id,
        customer=row.customer_id,
        currency=row.currency,
        expected=_money(row.expected_minor),
        actual=_money(row.actual_minor),
        at_risk=_money(row.at_risk_minor),
        cause=row.cause,
        says=json.loads(row.says),
        evidence=json.loads(row.evidence),
        effective_date=row.effective_date,
        due_date=row.due_date,
        deadline=row.deadline,
        detected_at=row.detected_at,
        resolved_at=row.resolved_at,
        resolution=row.resolution,
        first_run=row.first_run,
        last_run=row.last_run,
        batch=row.batch,
        recurrences=row.recurrences,
        members=row.members,
        owner=row.owner,
    )


def count_findings(unit: Unit) -> dict[str, FindingCounts]:
    """Live and pending findings by reconciliation; those without either are left out."""
    with unit.read() as connection:
        return counts_in(connection, unit.workspace)


def counts_in(connection: Connection, workspace: str) -> dict[str, FindingCounts]:
    """What `count_findings` gives, in a transaction that is already open."""
    pending = findings.c.state == State.PENDING
    query = (
        select(findings.c.reconciliation, pending, findings.c.severity, func.sum(func.coalesce(findings.c.members, 1)))
        .where(findings.c.workspace == workspace, findings.c.state.in_((*LIVE_STATES, State.PENDING)))
        .group_by(findings.c.reconciliation, pending, findings.c.severity)
    )
    live: dict[str, dict[str, int]] = {}
    waiting: dict[str, int] = {}
    for name, is_pending, severity, count in connection.execute(query):
        if is_pending:
            waiting[name] = waiting.get(name, 0) + int(count)
        else:
            live.setdefault(name, {})[severity] = int(count)
    return {
        name: FindingCounts(
            {severity: live[name][severity] for severity in reversed(SEVERITIES) if severity in live.get(name, {})},
            waiting.get(name, 0),
        )
        for name in sorted({*live, *waiting})
    }


def _own(table: Any, unit: Unit) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = table.c.workspace == unit.workspace
    return condition


def proofs_of(unit: Unit, configuration: Configuration, target: str | None = None) -> list[ProofOfRun]:
    """The proof of a run (by number) or of a reconciliation's last closed run; of every reconciliation without one.

    Raises UsageError for an unknown run or reconciliation, or one that has not been closed yet.
    """
    with unit.read() as connection:
        if target is not None and target.isascii() and target.isdigit():
            numbers = [int(target[:18])]
        else:
            numbers = _head_runs(connection, unit, configuration, target)
        return [_proof(connection, unit, number) for number in numbers]


def _head_runs(connection: Connection, unit: Unit, configuration: Configuration, target: str | None) -> list[int]:
    query = select(heads.c.reconciliation, heads.c.run).where(_own(heads, unit), heads.c.run.is_not(None))
    closed = {row.reconciliation: int(row.run) for row in connection.execute(query)}
    if target is None:
        return [closed[name] for name in dict.fromkeys((*configuration.reconciliations, *closed)) if name in closed]
    if target in closed:
        return [closed[target]]
    if target in configuration.reconciliations:
        raise UsageError(f"{target} has not been closed yet", hint=f"run `tieout run {target}`")
    known = ", ".join(sorted(configuration.reconciliations)) or "none"
    raise UsageError(f"unknown reconciliation {target!r}", hint=f"reconciliations in tieout.yaml: {known}")


def _proof(connection: Connection, unit: Unit, number: int) -> ProofOfRun:
    row = connection.execute(select(runs).where(_own(runs, unit), runs.c.run == number)).one_or_none()
    if row is None or row.state != "closed":
        what = "there is no run" if row is None else "nothing is proven before the close of run"
        raise UsageError(f"{what} {number}", hint="`tieout runs` lists them")
    lines = tuple(load_proof(connection, unit.workspace, number).values())
    return ProofOfRun(number, row.reconciliation, row.as_of, row.closed_at, row.result_hash, row.manifest_digest, lines)


def open_items_by_age(unit: Unit, configuration: Configuration, reconciliation: str, as_of: date) -> list[AgeRow]:
    """Open items of a reconciliation's last closed run by side, currency and age at a day; empty before any close."""
    with unit.read() as connection:
        query = select(heads.c.run).where(_own(heads, unit), heads.c.reconciliation == reconciliation)
        run = connection.scalar(query)
        if run is None:
            return []
        names = {
            dataset: run_parts(connection, unit.workspace, reconciliation, dataset, run)
            for dataset in ("open_items", "closed_items")
        }
        inputs = paths_of(unit, connection, names)
    with engine_for(configuration.engine, unit.cache_directory / "spill") as engine:
        rows = engine.run(_ageing_plan(as_of), inputs, {}).measured["ages"]
    return _age_rows(rows)


def _ageing_plan(as_of: date) -> Plan:
    """The measure `ages`: (side, currency, bucket number, items, sum, sum of absolutes) over current open items."""
    age = "(getvariable('as_of')::DATE - effective_date)"
    steps = " ".join(f"WHEN {age} <= {limit} THEN {place}" for place, limit in enumerate(_AGE_LIMITS))
    bucket = f"CASE WHEN effective_date IS NULL THEN {len(_AGE_LIMITS) + 1} {steps} ELSE {len(_AGE_LIMITS)} END"
    sql = f"""
        SELECT side, currency, {bucket} AS bucket, count(*), sum(open_minor::DECIMAL(38,0)),
            sum(abs(open_minor)::DECIMAL(38,0))
        FROM open_items
        WHERE (side, id_hash, run) NOT IN (SELECT (side, id_hash, opened_run) FROM closed_items)
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
    inputs = {"open_items": OPEN_ITEM_COLUMNS, "closed_items": CLOSED_ITEM_COLUMNS}
    return Plan((Step("ages", sql, "measure"),), {"as_of": as_of}, inputs)


def _age_rows(rows: Sequence[tuple[object, ...]]) -> list[AgeRow]:
    return [
        AgeRow(
            side=str(side),
            currency=str(currency),
            bucket=AGE_BUCKETS[int(str(bucket))],
            items=int(str(items)),
            open_minor=int(Decimal(str(total))),
            absolute_minor=int(Decimal(str(absolute))),
        )
        for side, currency, bucket, items, total, absolute in rows
    ]

"""Checks of the control plane by itself: counts, manifests, audit, findings' histories, references.

Each is one function `(evidence, subject) -> breaches`; `verification` lists them. Those that read columns stand in
`verification_columns`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Table, and_, case, exists, func, not_, or_, select, tuple_

from tieout.adapters.store.tables import (
    METADATA,
    audit,
    batch_totals,
    batches,
    finding_history,
    finding_transitions,
    findings,
    heads,
    parts,
    proofs,
    runs,
)
from tieout.core.audit import verify_chain
from tieout.core.config.parsing import rules_digest
from tieout.model.audit import Breach
from tieout.model.finding import FIRST_STATES, TRANSITIONS
from tieout.service.evidence import Evidence, Found
from tieout.service.run_records import COUNTS, FIGURES, load_manifest, load_proof, load_rules
from tieout.service.unit import audit_rows, audit_seals

OUTCOMES = ("accepted", "duplicate", "superseding", "stale", "quarantined")
KEPT = ("accepted", "superseding", "stale")
"""Outcomes of rows that stand in record parts."""


def batch_counts(evidence: Evidence, subject: str) -> Found:
    """Per batch: rows read = accepted + duplicate + superseding + stale + quarantined."""
    total = sum((batches.c[name] for name in OUTCOMES[1:]), batches.c.accepted)
    query = select(batches.c.batch, batches.c.read, total).where(
        batches.c.workspace == evidence.workspace, batches.c.read != total
    )
    for batch, read, told in evidence.rows(query.order_by(batches.c.batch)):
        yield Breach(1, f"batch/{batch}", f"{read} rows were read, its outcomes add up to {told}")


def batch_sums(evidence: Evidence, subject: str) -> Found:
    """Per batch and currency: rows and amounts read = the sum over outcomes; and the totals' rows are the counts."""
    sums: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    counted: dict[tuple[int, str], int] = defaultdict(int)
    query = select(batch_totals).where(batch_totals.c.workspace == evidence.workspace)
    for row in evidence.rows(query):
        place = 0 if row.outcome == "read" else 2
        sums[row.batch, row.currency][place] += row.rows
        sums[row.batch, row.currency][place + 1] += int(row.amount)
        counted[row.batch, row.outcome] += row.rows
    for (batch, currency), (read, amount, told, told_amount) in sorted(sums.items()):
        if (read, amount) != (told, told_amount):
            said = f"{read} rows, {amount} minor units were read; the outcomes add up to {told} rows, {told_amount}"
            yield Breach(1, f"batch/{batch}", f"in {currency or 'no currency'} {said}")
    for row in evidence.rows(select(batches).where(batches.c.workspace == evidence.workspace)):
        for outcome in ("read", *OUTCOMES):
            count = getattr(row, outcome)
            if counted[row.batch, outcome] != count:
                message = f"{count} rows {outcome}, but its totals hold {counted[row.batch, outcome]}"
                yield Breach(1, f"batch/{row.batch}", message)


def batch_parts(evidence: Evidence, subject: str) -> Found:
    """Per batch: what the catalogue says of its visible parts is what it accepted and what it quarantined."""
    kept = sum((batches.c[name] for name in KEPT[1:]), batches.c.accepted)
    wanted = {"records": kept, "quarantine": batches.c.quarantined}
    held = func.coalesce(func.sum(parts.c.rows), 0)
    for dataset, count in wanted.items():
        is_part = and_(
            parts.c.workspace == batches.c.workspace,
            parts.c.batch == batches.c.batch,
            parts.c.dataset == dataset,
            parts.c.state == "visible",
        )
        due = case((batches.c.state == "accepted", count), else_=0)
        query = (
            select(batches.c.batch, due, held)
            .select_from(batches.outerjoin(parts, is_part))
            .where(batches.c.workspace == evidence.workspace)
            .group_by(batches.c.batch)
            .having(due != held)
            .order_by(batches.c.batch)
        )
        for batch, told, rows in evidence.rows(query):
            yield Breach(1, f"batch/{batch}", f"its visible {dataset} parts hold {rows} rows, it should have {told}")


def proof_lines_hold(evidence: Evidence, subject: str) -> Found:
    """Per closed run: unexplained is 0, as stored and as computed; it opens with what the run before closed with."""
    stored = {
        (row.run, row.side, row.currency): row.unexplained
        for row in evidence.rows(select(proofs).where(proofs.c.workspace == evidence.workspace))
    }
    for run in evidence.closed_runs(subject):
        lines = load_proof(evidence.connection, evidence.workspace, run.run)
        before = {} if run.opening_run is None else load_proof(evidence.connection, evidence.workspace, run.opening_run)
        for side, currency in sorted({*lines, *before}):
            line, earlier = lines.get((side, currency)), before.get((side, currency))
            name = f"run/{run.run} {side} {currency}"
            if line is None:
                yield Breach(2, name, "the run it opened on has a line here, this one has none")
                continue
            unexplained = stored[run.run, side, currency]
            if line.unexplained_minor or unexplained != "0":
                computed = line.unexplained_minor
                yield Breach(2, name, f"unexplained: stored {unexplained}, computed {computed} minor units")
            closed = (earlier.closing_minor, earlier.closing_count) if earlier else (0, 0)
            if (line.opening_minor, line.opening_count) != closed:
                message = f"it opens with {line.opening_minor} minor units in {line.opening_count} records, the run"
                yield Breach(2, name, f"{message} before closed with {closed[0]} in {closed[1]}")


def manifests_hold(evidence: Evidence, subject: str) -> Found:
    """Per closed run: manifest, rules and result are those it was sealed with, and its inputs are in the catalogue."""
    known = set(evidence.connection.scalars(select(parts.c.part).where(parts.c.workspace == evidence.workspace)))
    sealed = _sealed_results(evidence)
    closed = evidence.closed_runs(subject)
    for run in closed:
        name = f"run/{run.run}"
        manifest, names = load_manifest(evidence.connection, evidence.workspace, run.run)
        if manifest.digest != run.manifest_digest:
            yield Breach(10, name, "the stored manifest does not have the digest it was closed with")
        if (manifest.reconciliation, manifest.opening_run) != (subject, run.opening_run):
            yield Breach(10, name, "its manifest names another reconciliation or opening run than its row")
        if rules_digest(load_rules(evidence.connection, evidence.workspace, run.run)) != manifest.rules_digest:
            yield Breach(10, name, "the stored rules are not those that its manifest names")
        gone = sorted({part for wanted in names.values() for part in wanted} - known)
        for part in gone:
            yield Breach(10, name, f"part {part}, which it read, is not in the catalogue")
        if sealed.get(name) != (run.manifest_digest, run.result_hash):
            yield Breach(10, name, "manifest digest and result hash are not those that the audit kept when it closed")
    head = evidence.connection.scalar(
        select(heads.c.run).where(heads.c.workspace == evidence.workspace, heads.c.reconciliation == subject)
    )
    last = closed[-1].run if closed else None
    if head != last:
        yield Breach(10, f"head/{subject}", f"the head names run {head}, the last closed run is {last}")


def _sealed_results(evidence: Evidence) -> dict[str, tuple[object, object]]:
    """What the audit says of closed runs: subject to (manifest digest, result hash)."""
    query = select(audit.c.subject, audit.c.details).where(
        audit.c.workspace == evidence.workspace, audit.c.action == "run.close"
    )
    told = {row.subject: json.loads(row.details) for row in evidence.rows(query.order_by(audit.c.seq))}
    return {name: (details.get("manifest"), details.get("result")) for name, details in told.items()}


def audit_chain(evidence: Evidence, subject: str) -> Found:
    """The audit is whole: every row has its digest, every seal its rows and its place in the chain."""
    rows = audit_rows(evidence.connection, evidence.workspace)
    seals = audit_seals(evidence.connection, evidence.workspace)
    yield from verify_chain(rows, seals, now=evidence.unit.now())
    first = evidence.connection.scalar(select(func.min(audit.c.seq)).where(audit.c.workspace == evidence.workspace))
    if first is None:
        yield Breach(11, "audit/1", "missing: every workspace begins with the row that created it")


def finding_states(evidence: Evidence, subject: str) -> Found:
    """Every finding's history ends in its state and says who, how and why."""
    workspace = evidence.workspace
    column = finding_history.c
    rank = func.row_number().over(partition_by=column.finding, order_by=column.ordinal.desc()).label("rank")
    ranked = select(column.finding, column.to_state, rank).where(column.workspace == workspace).subquery()
    last = and_(ranked.c.finding == findings.c.finding, ranked.c.rank == 1)
    query = (
        select(findings.c.finding, findings.c.state, ranked.c.to_state)
        .select_from(findings.outerjoin(ranked, last))
        .where(findings.c.workspace == workspace)
        .where(or_(ranked.c.to_state.is_(None), ranked.c.to_state != findings.c.state))
    )
    for finding, state, told in evidence.rows(query.order_by(findings.c.finding)):
        said = "it has no history" if told is None else f"its history ends in {told}"
        yield Breach(12, f"finding/{finding}", f"it is {state}, but {said}")
    silent = or_(*(column[name] == "" for name in ("actor", "authentication", "action", "reason")))
    query = select(finding_history.c.finding, finding_history.c.ordinal).where(
        finding_history.c.workspace == workspace, silent
    )
    for finding, ordinal in evidence.rows(query.order_by(finding_history.c.finding, finding_history.c.ordinal)):
        yield Breach(12, f"finding/{finding}", f"step {ordinal} does not say who, how or why")


def finding_transitions_are_legal(evidence: Evidence, subject: str) -> Found:
    """Along every history each step starts where the last one ended, and only legal transitions occur."""
    legal = [(before.value, after.value) for before, states in TRANSITIONS.items() for after in states]
    stored = {(row.from_state, row.to_state) for row in evidence.rows(select(finding_transitions))}
    if stored != set(legal):
        yield Breach(12, "finding_transitions", "the transitions that the database allows are not those of the program")
    column = finding_history.c
    before = func.lag(column.to_state).over(partition_by=column.finding, order_by=column.ordinal)
    steps = select(column.finding, column.ordinal, column.from_state, column.to_state, before.label("before"))
    step = steps.where(column.workspace == evidence.workspace).subquery().c
    born = and_(step.before.is_(None), step.from_state.is_(None), step.to_state.in_([*FIRST_STATES]))
    moved = and_(
        step.before == step.from_state,
        or_(step.from_state == step.to_state, tuple_(step.from_state, step.to_state).in_(legal)),
    )
    query = select(step.finding, step.ordinal, step.before, step.from_state, step.to_state).where(
        not_(or_(born, func.coalesce(moved, False)))
    )
    for finding, ordinal, last, start, end in evidence.rows(query.order_by(step.finding, step.ordinal)):
        message = f"step {ordinal} goes from {start} to {end} after {last or 'nothing'}: not a legal transition"
        yield Breach(12, f"finding/{finding}", message)


def part_places(evidence: Evidence, subject: str) -> Found:
    """No part's path leaves the workspace's own directory, by its text or by a link."""
    root = evidence.unit.parts_directory
    query = select(parts.c.part, parts.c.path).where(parts.c.workspace == evidence.workspace, parts.c.path.is_not(None))
    for part, path in evidence.rows(query.order_by(parts.c.part)):
        leaves = PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts
        if leaves or not (root / path).resolve().is_relative_to(root.resolve()):
            yield Breach(15, f"part/{part}", "its path leads out of the workspace's directory")


def references(evidence: Evidence, subject: str) -> Found:
    """Every reference of a row leads to a row of the same workspace."""
    for table in METADATA.sorted_tables:
        if "workspace" not in table.c:
            continue
        for constraint in sorted(table.foreign_key_constraints, key=lambda item: tuple(item.column_keys)):
            yield from _dangling(evidence, table, constraint)


def _dangling(evidence: Evidence, table: Table, constraint: ForeignKeyConstraint) -> Found:
    """Rows of a table whose reference leads nowhere, by their keys."""
    target = constraint.referred_table.alias()
    pairs = [(element.parent, target.c[element.column.name]) for element in constraint.elements]
    keys: list[Any] = [column for column in table.primary_key.columns if column.name != "workspace"]
    query = (
        select(*(keys or [table.c.workspace]))
        .where(
            table.c.workspace == evidence.workspace,
            *(own.is_not(None) for own, _ in pairs),
            not_(exists().where(*(own == theirs for own, theirs in pairs))),
        )
        .limit(100)
    )
    for row in evidence.rows(query):
        name = "/".join(str(value) for value in row)
        message = f"its {', '.join(constraint.column_keys)} refers to no row of {constraint.referred_table.name} here"
        yield Breach(15, f"{table.name}/{name}", message)


def proof_figures_are_whole(evidence: Evidence, subject: str) -> Found:
    """Totals in rows are exact: the text of a whole number of minor units."""
    texts = {batch_totals: ("batch", ("amount",)), proofs: ("run", FIGURES)}
    for table, (key, names) in texts.items():
        for row in evidence.rows(select(table).where(table.c.workspace == evidence.workspace)):
            odd = [name for name in names if str(getattr(row, name)) != _whole(getattr(row, name))]
            for name in odd:
                message = f"{name} of {table.name} is {getattr(row, name)!r}, not a whole number of minor units"
                yield Breach(16, f"{key}/{getattr(row, key)}", message)


def _whole(text: str) -> str | None:
    """A whole number's canonical text; None for anything else."""
    digits = text.removeprefix("-")
    return str(int(text)) if digits.isascii() and digits.isdigit() else None


def run_counts(evidence: Evidence, subject: str) -> Found:
    """A closed run's own counts are those of its proof."""
    for run in evidence.rows(
        select(runs.c.run, runs.c.matched, runs.c.open_items).where(
            runs.c.workspace == evidence.workspace, runs.c.reconciliation == subject, runs.c.state == "closed"
        )
    ):
        lines = load_proof(evidence.connection, evidence.workspace, run.run).values()
        told = {name: sum(getattr(line, name) for line in lines) for name in COUNTS}
        if (run.matched, run.open_items) != (told["matched_count"], told["closing_count"]):
            message = f"it counts {run.matched} matched and {run.open_items} open records, its proof"
            figures = f"{told['matched_count']} and {told['closing_count']}"
            yield Breach(2, f"run/{run.run}", f"{message} {figures}")

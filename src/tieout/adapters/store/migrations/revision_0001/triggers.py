"""Revision 0001, what the database enforces by triggers: append-only tables and legal transitions. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

TRANSITIONS = {
    "pending": "open resolved ignored",
    "open": "acknowledged in_progress pending_approval resolved ignored pending",
    "acknowledged": "in_progress pending_approval resolved ignored open",
    "in_progress": "pending_approval resolved ignored open acknowledged",
    "pending_approval": "in_progress resolved ignored open",
    "resolved": "open pending",
    "ignored": "open resolved pending",
}

APPEND_ONLY = {"audit": "seq", "seals": "seal", "finding_history": "ordinal"}
"""Tables that only grow, and the number that must grow with them."""


def create() -> None:
    """Seed the transitions, then forbid what must never happen. SQLite only: another database needs its own."""
    if op.get_context().dialect.name != "sqlite":
        raise NotImplementedError("the triggers of revision 0001 are written for SQLite")
    _seed_transitions()
    for table, number in APPEND_ONLY.items():
        _forbid(table, "UPDATE")
        _forbid(table, "DELETE")
        _only_grow(table, number)
    for statement in ("INSERT", "UPDATE", "DELETE"):
        _forbid("finding_transitions", statement)
    _guard_finding_states()
    _guard_run_states()


def _seed_transitions() -> None:
    table = sa.table("finding_transitions", sa.column("from_state"), sa.column("to_state"))
    rows = [
        {"from_state": before, "to_state": after} for before, states in TRANSITIONS.items() for after in states.split()
    ]
    op.bulk_insert(table, rows)


def _forbid(table: str, statement: str) -> None:
    op.execute(
        f"CREATE TRIGGER tr_{table}_no_{statement.lower()} BEFORE {statement} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: no {statement}'); END"
    )


def _only_grow(table: str, number: str) -> None:
    """Refuse a row at or before the last one, so that neither REPLACE nor a filled gap can rewrite the past."""
    within = "workspace = NEW.workspace" + (" AND finding = NEW.finding" if table == "finding_history" else "")
    op.execute(
        f"CREATE TRIGGER tr_{table}_grows BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {within} AND {number} >= NEW.{number}) "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {number} must grow'); END"
    )


def _guard_finding_states() -> None:
    op.execute(
        "CREATE TRIGGER tr_findings_transition BEFORE UPDATE OF state ON findings "
        "WHEN NEW.state <> OLD.state AND NOT EXISTS ("
        "SELECT 1 FROM finding_transitions WHERE from_state = OLD.state AND to_state = NEW.state) "
        "BEGIN SELECT RAISE(ABORT, 'illegal transition of a finding'); END"
    )
    op.execute(
        "CREATE TRIGGER tr_findings_birth BEFORE INSERT ON findings "
        "WHEN NEW.state NOT IN ('pending', 'open') "
        "BEGIN SELECT RAISE(ABORT, 'a finding begins pending or open'); END"
    )
    _forbid("findings", "DELETE")


def _guard_run_states() -> None:
    op.execute(
        "CREATE TRIGGER tr_runs_transition BEFORE UPDATE ON runs WHEN OLD.state <> 'open' "
        "BEGIN SELECT RAISE(ABORT, 'a run that has ended is firm'); END"
    )
    _forbid("runs", "DELETE")

"""Revision 0001, tables of findings: findings, history, transitions. Frozen."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATES = "'pending', 'open', 'acknowledged', 'in_progress', 'pending_approval', 'resolved', 'ignored'"
TEXT = sa.Text()


def create_finding_transitions() -> None:
    """Create `finding_transitions`."""
    op.create_table(
        "finding_transitions",
        sa.Column("from_state", TEXT, nullable=False),
        sa.Column("to_state", TEXT, nullable=False),
        sa.CheckConstraint(f"from_state IN ({STATES})", name=op.f("ck_finding_transitions_from_state")),
        sa.CheckConstraint(f"to_state IN ({STATES})", name=op.f("ck_finding_transitions_to_state")),
        sa.PrimaryKeyConstraint("from_state", "to_state", name="pk_finding_transitions"),
        sqlite_strict=True,
    )


def _findings_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("finding", WHOLE, nullable=False),
        sa.Column("reconciliation", TEXT, nullable=False),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("severity", TEXT, nullable=False),
        sa.Column("cause", TEXT, nullable=True),
        sa.Column("resolution", TEXT, nullable=True),
        sa.Column("side", TEXT, nullable=True),
        sa.Column("anchor_source", TEXT, nullable=True),
        sa.Column("anchor_kind", TEXT, nullable=True),
        sa.Column("anchor_id", TEXT, nullable=True),
        sa.Column("occurrence", WHOLE, server_default="0", nullable=False),
        sa.Column("customer_id", TEXT, nullable=True),
        sa.Column("currency", TEXT, nullable=True),
        sa.Column("expected_minor", WHOLE, nullable=True),
        sa.Column("actual_minor", WHOLE, nullable=True),
        sa.Column("at_risk_minor", WHOLE, nullable=True),
        sa.Column("says", TEXT, server_default="{}", nullable=False),
        sa.Column("evidence", TEXT, server_default="{}", nullable=False),
        sa.Column("batch", WHOLE, nullable=True),
        sa.Column("effective_date", TEXT, nullable=True),
        sa.Column("due_date", TEXT, nullable=True),
        sa.Column("detected_at", TEXT, nullable=False),
        sa.Column("opened_at", TEXT, nullable=True),
        sa.Column("resolved_at", TEXT, nullable=True),
        sa.Column("first_run", WHOLE, nullable=True),
        sa.Column("last_run", WHOLE, nullable=True),
        sa.Column("recurrences", WHOLE, server_default="0", nullable=False),
        sa.Column("members", WHOLE, nullable=True),
        sa.Column("owner", TEXT, nullable=True),
        sa.Column("deadline", TEXT, nullable=True),
    ]


def create_findings() -> None:
    """Create `findings`."""
    op.create_table(
        "findings",
        *_findings_columns(),
        sa.CheckConstraint("(kind = 'group') = (members IS NOT NULL)", name=op.f("ck_findings_members")),
        sa.CheckConstraint("detected_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_findings_detected_at")),
        sa.CheckConstraint("due_date LIKE '____-__-__'", name=op.f("ck_findings_due_date")),
        sa.CheckConstraint("effective_date LIKE '____-__-__'", name=op.f("ck_findings_effective_date")),
        sa.CheckConstraint("kind IN ('single', 'group')", name=op.f("ck_findings_kind")),
        sa.CheckConstraint("opened_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_findings_opened_at")),
        sa.CheckConstraint("resolved_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_findings_resolved_at")),
        sa.CheckConstraint("severity IN ('warning', 'high', 'critical')", name=op.f("ck_findings_severity")),
        sa.CheckConstraint(f"state IN ({STATES})", name=op.f("ck_findings_state")),
        sa.CheckConstraint(
            "currency IS NOT NULL OR (expected_minor IS NULL AND actual_minor IS NULL AND at_risk_minor IS NULL)",
            name=op.f("ck_findings_currency"),
        ),
        sa.CheckConstraint("recurrences >= 0", name=op.f("ck_findings_recurrences_count")),
        sa.ForeignKeyConstraint(
            ["workspace", "batch"],
            ["batches.workspace", "batches.batch"],
            name="fk_findings_workspace_batch",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["workspace", "first_run"],
            ["runs.workspace", "runs.run"],
            name="fk_findings_workspace_first_run",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["workspace", "last_run"],
            ["runs.workspace", "runs.run"],
            name="fk_findings_workspace_last_run",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_findings_workspace"),
        sa.PrimaryKeyConstraint("workspace", "finding", name="pk_findings"),
        sa.UniqueConstraint("workspace", "fingerprint", name="uq_findings_workspace_fingerprint"),
        sqlite_strict=True,
    )
    op.create_index("ix_findings_workspace_batch", "findings", ["workspace", "batch"])
    op.create_index("ix_findings_workspace_reconciliation_state", "findings", ["workspace", "reconciliation", "state"])
    op.create_index("ix_findings_workspace_state_severity", "findings", ["workspace", "state", "severity"])


def create_finding_history() -> None:
    """Create `finding_history`."""
    op.create_table(
        "finding_history",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("finding", WHOLE, nullable=False),
        sa.Column("ordinal", WHOLE, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("authentication", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("from_state", TEXT, nullable=True),
        sa.Column("to_state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("run", WHOLE, nullable=True),
        sa.Column("rule_version", TEXT, nullable=True),
        sa.Column("details", TEXT, server_default="{}", nullable=False),
        sa.CheckConstraint("at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_finding_history_at")),
        sa.CheckConstraint(f"from_state IN ({STATES})", name=op.f("ck_finding_history_from_state")),
        sa.CheckConstraint(f"to_state IN ({STATES})", name=op.f("ck_finding_history_to_state")),
        sa.ForeignKeyConstraint(
            ["workspace", "finding"],
            ["findings.workspace", "findings.finding"],
            name="fk_finding_history_workspace_finding",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["workspace", "run"],
            ["runs.workspace", "runs.run"],
            name="fk_finding_history_workspace_run",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_finding_history_workspace"),
        sa.PrimaryKeyConstraint("workspace", "finding", "ordinal", name="pk_finding_history"),
        sqlite_strict=True,
    )

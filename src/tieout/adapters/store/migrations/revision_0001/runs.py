"""Revision 0001, tables of runs: runs, slices, heads, proofs. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()


def create_runs() -> None:
    """Create `runs`."""
    op.create_table(
        "runs",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("run", WHOLE, nullable=False),
        sa.Column("reconciliation", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("as_of", TEXT, nullable=False),
        sa.Column("opened_at", TEXT, nullable=False),
        sa.Column("closed_at", TEXT, nullable=True),
        sa.Column("opening_run", WHOLE, nullable=True),
        sa.Column("fence", WHOLE, nullable=False),
        sa.Column("manifest", TEXT, nullable=True),
        sa.Column("manifest_digest", TEXT, nullable=True),
        sa.Column("result_hash", TEXT, nullable=True),
        sa.Column("slices", WHOLE, server_default="0", nullable=False),
        sa.Column("matched", WHOLE, server_default="0", nullable=False),
        sa.Column("open_items", WHOLE, server_default="0", nullable=False),
        sa.Column("breaks", WHOLE, server_default="0", nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name=op.f("ck_runs_end")),
        sa.CheckConstraint("as_of LIKE '____-__-__'", name=op.f("ck_runs_as_of")),
        sa.CheckConstraint("closed_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_runs_closed_at")),
        sa.CheckConstraint("opened_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_runs_opened_at")),
        sa.CheckConstraint(
            "state <> 'closed' OR (manifest IS NOT NULL AND manifest_digest IS NOT NULL AND result_hash IS NOT NULL)",
            name=op.f("ck_runs_sealed"),
        ),
        sa.CheckConstraint("state IN ('open', 'closed', 'abandoned')", name=op.f("ck_runs_state")),
        sa.CheckConstraint(
            "slices >= 0 AND matched >= 0 AND open_items >= 0 AND breaks >= 0", name=op.f("ck_runs_slices_count")
        ),
        sa.ForeignKeyConstraint(
            ["workspace", "opening_run"],
            ["runs.workspace", "runs.run"],
            name="fk_runs_workspace_opening_run",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_runs_workspace"),
        sa.PrimaryKeyConstraint("workspace", "run", name="pk_runs"),
        sqlite_strict=True,
    )
    op.create_index("ix_runs_workspace_reconciliation_run", "runs", ["workspace", "reconciliation", "run"])
    op.create_index(
        "uq_runs_one_open",
        "runs",
        ["workspace", "reconciliation"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )


def create_heads() -> None:
    """Create `heads`."""
    op.create_table(
        "heads",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("reconciliation", TEXT, nullable=False),
        sa.Column("run", WHOLE, nullable=True),
        sa.Column("fence", WHOLE, nullable=False),
        sa.Column("lease_owner", TEXT, nullable=True),
        sa.Column("lease_expires_at", TEXT, nullable=True),
        sa.CheckConstraint(
            "lease_expires_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_heads_lease_expires_at")
        ),
        sa.CheckConstraint("(lease_owner IS NULL) = (lease_expires_at IS NULL)", name=op.f("ck_heads_lease")),
        sa.CheckConstraint("fence >= 0", name=op.f("ck_heads_fence_count")),
        sa.ForeignKeyConstraint(
            ["workspace", "run"],
            ["runs.workspace", "runs.run"],
            name="fk_heads_workspace_run",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_heads_workspace"),
        sa.PrimaryKeyConstraint("workspace", "reconciliation", name="pk_heads"),
        sqlite_strict=True,
    )


def create_proofs() -> None:
    """Create `proofs`."""
    op.create_table(
        "proofs",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("run", WHOLE, nullable=False),
        sa.Column("side", TEXT, nullable=False),
        sa.Column("currency", TEXT, nullable=False),
        sa.Column("opening", TEXT, nullable=False),
        sa.Column("new", TEXT, nullable=False),
        sa.Column("amended", TEXT, nullable=False),
        sa.Column("reopened", TEXT, nullable=False),
        sa.Column("withdrawn", TEXT, nullable=False),
        sa.Column("matched", TEXT, nullable=False),
        sa.Column("written_off", TEXT, nullable=False),
        sa.Column("closing", TEXT, nullable=False),
        sa.Column("unexplained", TEXT, nullable=False),
        sa.Column("opening_count", WHOLE, nullable=False),
        sa.Column("new_count", WHOLE, nullable=False),
        sa.Column("matched_count", WHOLE, nullable=False),
        sa.Column("closing_count", WHOLE, nullable=False),
        sa.CheckConstraint(
            "opening_count >= 0 AND new_count >= 0 AND matched_count >= 0 AND closing_count >= 0",
            name=op.f("ck_proofs_opening_count_count"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace", "run"],
            ["runs.workspace", "runs.run"],
            name="fk_proofs_workspace_run",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_proofs_workspace"),
        sa.PrimaryKeyConstraint("workspace", "run", "side", "currency", name="pk_proofs"),
        sqlite_strict=True,
    )


def create_slices() -> None:
    """Create `slices`."""
    op.create_table(
        "slices",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("run", WHOLE, nullable=False),
        sa.Column("slice", WHOLE, nullable=False),
        sa.Column("taken_at", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("batches", TEXT, server_default="[]", nullable=False),
        sa.Column("matched", WHOLE, server_default="0", nullable=False),
        sa.Column("open_items", WHOLE, server_default="0", nullable=False),
        sa.Column("breaks", WHOLE, server_default="0", nullable=False),
        sa.CheckConstraint("taken_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_slices_taken_at")),
        sa.CheckConstraint("matched >= 0 AND open_items >= 0 AND breaks >= 0", name=op.f("ck_slices_matched_count")),
        sa.ForeignKeyConstraint(
            ["workspace", "run"],
            ["runs.workspace", "runs.run"],
            name="fk_slices_workspace_run",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_slices_workspace"),
        sa.PrimaryKeyConstraint("workspace", "run", "slice", name="pk_slices"),
        sqlite_strict=True,
    )

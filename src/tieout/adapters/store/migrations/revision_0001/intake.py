"""Revision 0001, tables of what came in: workspaces, batches, parts, intents, statements, keys. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()


def create_workspaces() -> None:
    """Create `workspaces`."""
    op.create_table(
        "workspaces",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("one_person", WHOLE, server_default="0", nullable=False),
        sa.CheckConstraint("created_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_workspaces_created_at")),
        sa.CheckConstraint("one_person IN (0, 1)", name=op.f("ck_workspaces_one_person")),
        sa.PrimaryKeyConstraint("workspace", name="pk_workspaces"),
        sqlite_strict=True,
    )


def create_batches() -> None:
    """Create `batches`."""
    op.create_table(
        "batches",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("batch", WHOLE, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("file_name", TEXT, nullable=False),
        sa.Column("raw_sha256", TEXT, nullable=False),
        sa.Column("raw_bytes", WHOLE, nullable=False),
        sa.Column("format", TEXT, nullable=False),
        sa.Column("options_digest", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("received_at", TEXT, nullable=False),
        sa.Column("withdrawn_at", TEXT, nullable=True),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("read", WHOLE, nullable=False),
        sa.Column("accepted", WHOLE, nullable=False),
        sa.Column("duplicate", WHOLE, nullable=False),
        sa.Column("superseding", WHOLE, nullable=False),
        sa.Column("stale", WHOLE, nullable=False),
        sa.Column("quarantined", WHOLE, nullable=False),
        sa.Column("digest_a", TEXT, nullable=False),
        sa.Column("digest_b", TEXT, nullable=False),
        sa.Column("inferred", TEXT, server_default="{}", nullable=False),
        sa.Column("reading", WHOLE, server_default="1", nullable=False),
        sa.CheckConstraint("(state = 'withdrawn') = (withdrawn_at IS NOT NULL)", name=op.f("ck_batches_withdrawal")),
        sa.CheckConstraint("received_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_batches_received_at")),
        sa.CheckConstraint("state IN ('accepted', 'withdrawn', 'refused')", name=op.f("ck_batches_state")),
        sa.CheckConstraint("withdrawn_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_batches_withdrawn_at")),
        sa.CheckConstraint("raw_bytes >= 0", name=op.f("ck_batches_raw_bytes_count")),
        sa.CheckConstraint(
            "read = accepted + duplicate + superseding + stale + quarantined", name=op.f("ck_batches_complete")
        ),
        sa.CheckConstraint(
            "read >= 0 AND accepted >= 0 AND duplicate >= 0 AND superseding >= 0 AND stale >= 0 AND quarantined >= 0",
            name=op.f("ck_batches_read_count"),
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_batches_workspace"),
        sa.PrimaryKeyConstraint("workspace", "batch", name="pk_batches"),
        sqlite_strict=True,
    )
    op.create_index("ix_batches_workspace_source_raw_sha256", "batches", ["workspace", "source", "raw_sha256"])


def create_configurations() -> None:
    """Create `configurations`."""
    op.create_table(
        "configurations",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("recorded_at", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.CheckConstraint(
            "recorded_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_configurations_recorded_at")
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_configurations_workspace"),
        sa.PrimaryKeyConstraint("workspace", "digest", name="pk_configurations"),
        sqlite_strict=True,
    )


def create_intents() -> None:
    """Create `intents`."""
    op.create_table(
        "intents",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("intent", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("batch", WHOLE, nullable=True),
        sa.Column("started_at", TEXT, nullable=False),
        sa.Column("expires_at", TEXT, nullable=False),
        sa.Column("ended_at", TEXT, nullable=True),
        sa.CheckConstraint("ended_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_intents_ended_at")),
        sa.CheckConstraint("expires_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_intents_expires_at")),
        sa.CheckConstraint("started_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_intents_started_at")),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_intents_workspace"),
        sa.PrimaryKeyConstraint("workspace", "intent", name="pk_intents"),
        sqlite_strict=True,
    )
    op.create_index("ix_intents_workspace_path", "intents", ["workspace", "path"])


def create_key_map_versions() -> None:
    """Create `key_map_versions`."""
    op.create_table(
        "key_map_versions",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("version", WHOLE, nullable=False),
        sa.Column("recorded_at", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.CheckConstraint(
            "recorded_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_key_map_versions_recorded_at")
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_key_map_versions_workspace"),
        sa.PrimaryKeyConstraint("workspace", "version", name="pk_key_map_versions"),
        sqlite_strict=True,
    )


def create_batch_duplicates() -> None:
    """Create `batch_duplicates`."""
    op.create_table(
        "batch_duplicates",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("batch", WHOLE, nullable=False),
        sa.Column("of_batch", WHOLE, nullable=False),
        sa.Column("rows", WHOLE, nullable=False),
        sa.CheckConstraint("rows >= 0", name=op.f("ck_batch_duplicates_rows_count")),
        sa.ForeignKeyConstraint(
            ["workspace", "batch"],
            ["batches.workspace", "batches.batch"],
            name="fk_batch_duplicates_workspace_batch",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["workspace", "of_batch"],
            ["batches.workspace", "batches.batch"],
            name="fk_batch_duplicates_workspace_of_batch",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_batch_duplicates_workspace"),
        sa.PrimaryKeyConstraint("workspace", "batch", "of_batch", name="pk_batch_duplicates"),
        sqlite_strict=True,
    )


def create_batch_totals() -> None:
    """Create `batch_totals`."""
    op.create_table(
        "batch_totals",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("batch", WHOLE, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("currency", TEXT, nullable=False),
        sa.Column("rows", WHOLE, nullable=False),
        sa.Column("amount", TEXT, nullable=False),
        sa.CheckConstraint("rows >= 0", name=op.f("ck_batch_totals_rows_count")),
        sa.ForeignKeyConstraint(
            ["workspace", "batch"],
            ["batches.workspace", "batches.batch"],
            name="fk_batch_totals_workspace_batch",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_batch_totals_workspace"),
        sa.PrimaryKeyConstraint("workspace", "batch", "outcome", "currency", name="pk_batch_totals"),
        sqlite_strict=True,
    )


def create_key_map() -> None:
    """Create `key_map`."""
    op.create_table(
        "key_map",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("native_id", TEXT, nullable=False),
        sa.Column("valid_from_version", WHOLE, nullable=False),
        sa.Column("valid_to_version", WHOLE, nullable=True),
        sa.Column("customer_id", TEXT, nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.CheckConstraint(
            "valid_to_version IS NULL OR valid_to_version > valid_from_version", name=op.f("ck_key_map_validity")
        ),
        sa.ForeignKeyConstraint(
            ["workspace", "valid_from_version"],
            ["key_map_versions.workspace", "key_map_versions.version"],
            name="fk_key_map_workspace_valid_from_version",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["workspace", "valid_to_version"],
            ["key_map_versions.workspace", "key_map_versions.version"],
            name="fk_key_map_workspace_valid_to_version",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_key_map_workspace"),
        sa.PrimaryKeyConstraint("workspace", "source", "native_id", "valid_from_version", name="pk_key_map"),
        sqlite_strict=True,
    )
    op.create_index("ix_key_map_workspace_customer_id", "key_map", ["workspace", "customer_id"])
    op.create_index(
        "uq_key_map_current",
        "key_map",
        ["workspace", "source", "native_id"],
        unique=True,
        sqlite_where=sa.text("valid_to_version IS NULL"),
        postgresql_where=sa.text("valid_to_version IS NULL"),
    )


def create_parts() -> None:
    """Create `parts`."""
    op.create_table(
        "parts",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("part", TEXT, nullable=False),
        sa.Column("dataset", TEXT, nullable=False),
        sa.Column("batch", WHOLE, nullable=True),
        sa.Column("reconciliation", TEXT, nullable=True),
        sa.Column("run", WHOLE, nullable=True),
        sa.Column("slice", WHOLE, nullable=True),
        sa.Column("rows", WHOLE, nullable=False),
        sa.Column("bytes", WHOLE, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=True),
        sa.Column("totals", TEXT, server_default="{}", nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("recorded_at", TEXT, nullable=False),
        sa.Column("segment", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("recorded_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_parts_recorded_at")),
        sa.CheckConstraint("state IN ('visible', 'withdrawn')", name=op.f("ck_parts_state")),
        sa.CheckConstraint("(path IS NULL) <> (segment IS NULL)", name=op.f("ck_parts_place")),
        sa.CheckConstraint("rows >= 0 AND bytes >= 0", name=op.f("ck_parts_rows_count")),
        sa.ForeignKeyConstraint(
            ["workspace", "batch"],
            ["batches.workspace", "batches.batch"],
            name="fk_parts_workspace_batch",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["workspace", "run"],
            ["runs.workspace", "runs.run"],
            name="fk_parts_workspace_run",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_parts_workspace"),
        sa.PrimaryKeyConstraint("workspace", "part", name="pk_parts"),
        sqlite_strict=True,
    )
    op.create_index("ix_parts_workspace_dataset_batch", "parts", ["workspace", "dataset", "batch"])
    op.create_index(
        "ix_parts_workspace_dataset_reconciliation_run", "parts", ["workspace", "dataset", "reconciliation", "run"]
    )


def create_statements() -> None:
    """Create `statements`."""
    op.create_table(
        "statements",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("batch", WHOLE, nullable=False),
        sa.Column("ordinal", WHOLE, nullable=False),
        sa.Column("statement_id", TEXT, nullable=False),
        sa.Column("account", TEXT, nullable=False),
        sa.Column("currency", TEXT, nullable=False),
        sa.Column("sequence", TEXT, nullable=True),
        sa.Column("from_date", TEXT, nullable=True),
        sa.Column("to_date", TEXT, nullable=True),
        sa.Column("opening_minor", WHOLE, nullable=True),
        sa.Column("closing_minor", WHOLE, nullable=True),
        sa.Column("sum_minor", WHOLE, nullable=False),
        sa.Column("lines", WHOLE, nullable=False),
        sa.Column("gap_minor", WHOLE, nullable=True),
        sa.CheckConstraint("lines >= 0", name=op.f("ck_statements_lines_count")),
        sa.ForeignKeyConstraint(
            ["workspace", "batch"],
            ["batches.workspace", "batches.batch"],
            name="fk_statements_workspace_batch",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_statements_workspace"),
        sa.PrimaryKeyConstraint("workspace", "source", "batch", "ordinal", name="pk_statements"),
        sqlite_strict=True,
    )
    op.create_index("ix_statements_workspace_batch", "statements", ["workspace", "batch"])

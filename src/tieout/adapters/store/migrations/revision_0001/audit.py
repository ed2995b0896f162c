"""Revision 0001, tables of the audit: audit, seals, idempotency keys, outbox. Frozen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()


def create_audit() -> None:
    """Create `audit`."""
    op.create_table(
        "audit",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("authentication", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("details", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.CheckConstraint("at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_audit_at")),
        sa.CheckConstraint("seq > 0", name=op.f("ck_audit_seq")),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_audit_workspace"),
        sa.PrimaryKeyConstraint("workspace", "seq", name="pk_audit"),
        sqlite_strict=True,
    )
    op.create_index("ix_audit_workspace_subject_seq", "audit", ["workspace", "subject", "seq"])


def create_idempotency() -> None:
    """Create `idempotency`."""
    op.create_table(
        "idempotency",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("request_digest", TEXT, nullable=False),
        sa.Column("response", TEXT, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.CheckConstraint("at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_idempotency_at")),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_idempotency_workspace"),
        sa.PrimaryKeyConstraint("workspace", "key", name="pk_idempotency"),
        sqlite_strict=True,
    )


def create_outbox() -> None:
    """Create `outbox`."""
    op.create_table(
        "outbox",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("topic", TEXT, nullable=False),
        sa.Column("payload", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("delivered_at", TEXT, nullable=True),
        sa.CheckConstraint("created_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_outbox_created_at")),
        sa.CheckConstraint("delivered_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_outbox_delivered_at")),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_outbox_workspace"),
        sa.PrimaryKeyConstraint("workspace", "seq", name="pk_outbox"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_outbox_undelivered",
        "outbox",
        ["workspace", "seq"],
        sqlite_where=sa.text("delivered_at IS NULL"),
        postgresql_where=sa.text("delivered_at IS NULL"),
    )


def create_seals() -> None:
    """Create `seals`."""
    op.create_table(
        "seals",
        sa.Column("workspace", TEXT, nullable=False),
        sa.Column("seal", WHOLE, nullable=False),
        sa.Column("first_seq", WHOLE, nullable=False),
        sa.Column("last_seq", WHOLE, nullable=False),
        sa.Column("root", TEXT, nullable=False),
        sa.Column("previous", TEXT, nullable=False),
        sa.Column("head", TEXT, nullable=False),
        sa.Column("sealed_at", TEXT, nullable=False),
        sa.CheckConstraint("sealed_at LIKE '____-__-__T__:__:__.______Z'", name=op.f("ck_seals_sealed_at")),
        sa.CheckConstraint("seal > 0 AND first_seq > 0 AND last_seq >= first_seq", name=op.f("ck_seals_range")),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.workspace"], name="fk_seals_workspace"),
        sa.PrimaryKeyConstraint("workspace", "seal", name="pk_seals"),
        sqlite_strict=True,
    )

"""Tables of the audit and of what leaves with a change: audit, seals, idempotency keys, outbox."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index
from sqlalchemy import text as sql

from tieout.adapters.store.tables_columns import instant, text, whole, workspace_table

audit = workspace_table(
    "audit",
    whole("seq", key=True),
    instant("at"),
    text("actor"),
    text("authentication"),
    text("action"),
    text("subject"),
    text("details"),
    text("digest"),
    CheckConstraint("seq > 0", name="seq"),
    Index(None, "workspace", "subject", "seq"),
)
"""Who did what to what. Append-only; `digest` is hex SHA-256 over the other columns (core/audit)."""

seals = workspace_table(
    "seals",
    whole("seal", key=True),
    whole("first_seq"),
    whole("last_seq"),
    text("root"),
    text("previous"),
    text("head"),
    instant("sealed_at"),
    CheckConstraint("seal > 0 AND first_seq > 0 AND last_seq >= first_seq", name="range"),
)
"""Ranges of audit rows, rooted and chained. Append-only."""

idempotency = workspace_table(
    "idempotency",
    text("key", key=True),
    text("action"),
    text("request_digest"),
    text("response"),
    instant("at"),
)
"""Requests already answered under a caller's key, and the answer (JSON object)."""

outbox = workspace_table(
    "outbox",
    whole("seq", key=True),
    text("topic"),
    text("payload"),
    instant("created_at"),
    instant("delivered_at", null=True),
    Index(
        "ix_outbox_undelivered",
        "workspace",
        "seq",
        sqlite_where=sql("delivered_at IS NULL"),
    ),
)
"""What is to be told to the outside, written in the change that caused it; calls leave only from here."""

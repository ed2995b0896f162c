"""Tables of what came in: workspaces, batches and counts, parts, intents, statements, key map, configuration."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary
from sqlalchemy import text as sql

from tieout.adapters.store.tables_columns import (
    instant,
    not_negative,
    one_of,
    refers,
    strict_table,
    text,
    whole,
    workspace_table,
)

BATCH_STATES: Final = ("accepted", "withdrawn", "refused")
PART_STATES: Final = ("visible", "withdrawn")

workspaces = strict_table(
    "workspaces",
    text("workspace", key=True),
    instant("created_at"),
    whole("one_person", default=0),
    CheckConstraint("one_person IN (0, 1)", name="one_person"),
)
"""The isolated worlds. `one_person` 1 declares that approvals are self-approved (INVARIANTS 13)."""

batches = workspace_table(
    "batches",
    whole("batch", key=True),
    text("source"),
    text("file_name"),
    text("raw_sha256"),
    whole("raw_bytes"),
    text("format"),
    text("options_digest"),
    text("state"),
    text("reason", null=True),
    instant("received_at"),
    instant("withdrawn_at", null=True),
    text("actor"),
    whole("read"),
    whole("accepted"),
    whole("duplicate"),
    whole("superseding"),
    whole("stale"),
    whole("quarantined"),
    text("digest_a"),
    text("digest_b"),
    text("inferred", default="{}"),
    whole("reading", default=1),
    one_of("state", BATCH_STATES),
    not_negative("read", "accepted", "duplicate", "superseding", "stale", "quarantined"),
    not_negative("raw_bytes"),
    CheckConstraint("read = accepted + duplicate + superseding + stale + quarantined", name="complete"),
    CheckConstraint("(state = 'withdrawn') = (withdrawn_at IS NOT NULL)", name="withdrawal"),
    Index(None, "workspace", "source", "raw_sha256"),
)
"""One delivery each, accepted or withdrawn as a whole. `digest_a`, `digest_b`: order-free sums as decimal text."""

batch_totals = workspace_table(
    "batch_totals",
    whole("batch", key=True),
    text("outcome", key=True),
    text("currency", key=True),
    whole("rows"),
    text("amount"),
    refers(("batch",), "batches"),
    not_negative("rows"),
)
"""Completeness by sum: rows and amount (decimal text, minor units) of a batch per outcome and currency."""

batch_duplicates = workspace_table(
    "batch_duplicates",
    whole("batch", key=True),
    whole("of_batch", key=True),
    whole("rows"),
    refers(("batch",), "batches"),
    refers(("of_batch",), "batches", ("batch",)),
    not_negative("rows"),
)
"""How many rows of a batch repeat rows of an earlier one: what a withdrawal of the earlier would bring back."""

parts = workspace_table(
    "parts",
    text("part", key=True),
    text("dataset"),
    whole("batch", null=True),
    text("reconciliation", null=True),
    whole("run", null=True),
    whole("slice", null=True),
    whole("rows"),
    whole("bytes"),
    text("sha256"),
    text("path", null=True),
    text("totals", default="{}"),
    text("state"),
    instant("recorded_at"),
    Column("segment", LargeBinary, nullable=True),
    refers(("batch",), "batches"),
    refers(("run",), "runs"),
    one_of("state", PART_STATES),
    not_negative("rows", "bytes"),
    CheckConstraint("(path IS NULL) <> (segment IS NULL)", name="place"),
    Index(None, "workspace", "dataset", "batch"),
    Index(None, "workspace", "dataset", "reconciliation", "run"),
)
"""The catalogue of immutable parts: a file (`path`, relative to the data directory) or an Arrow `segment` here.

`segment` stands last so that reading the other columns never walks a large value's pages.
"""

intents = workspace_table(
    "intents",
    text("intent", key=True),
    text("path"),
    text("owner"),
    whole("batch", null=True),
    instant("started_at"),
    instant("expires_at"),
    instant("ended_at", null=True),
    Index(None, "workspace", "path"),
)
"""Files about to be written, committed before they are; the sweeper touches only ended or expired ones. `batch` is
the number that an ingestion reserves for itself, so that its records can carry it before it is accepted."""

statements = workspace_table(
    "statements",
    text("source", key=True),
    whole("batch", key=True),
    whole("ordinal", key=True),
    text("statement_id"),
    text("account"),
    text("currency"),
    text("sequence", null=True),
    text("from_date", null=True),
    text("to_date", null=True),
    whole("opening_minor", null=True),
    whole("closing_minor", null=True),
    whole("sum_minor"),
    whole("lines"),
    whole("gap_minor", null=True),
    refers(("batch",), "batches"),
    not_negative("lines"),
    Index(None, "workspace", "batch"),
)
"""Bank statements as their banks framed them; `gap_minor` is closing - (opening + sum), NULL without both balances."""

key_map_versions = workspace_table(
    "key_map_versions",
    whole("version", key=True),
    instant("recorded_at"),
    text("actor"),
    text("digest"),
    text("origin"),
)
"""Each change of the key map as a whole; runs pin one version."""

key_map = workspace_table(
    "key_map",
    text("source", key=True),
    text("native_id", key=True),
    whole("valid_from_version", key=True),
    whole("valid_to_version", null=True),
    text("customer_id"),
    text("origin"),
    refers(("valid_from_version",), "key_map_versions", ("version",)),
    refers(("valid_to_version",), "key_map_versions", ("version",)),
    CheckConstraint("valid_to_version IS NULL OR valid_to_version > valid_from_version", name="validity"),
    Index(
        "uq_key_map_current",
        "workspace",
        "source",
        "native_id",
        unique=True,
        sqlite_where=sql("valid_to_version IS NULL"),
    ),
    Index(None, "workspace", "customer_id"),
)
"""(source, native id) to customer. Valid from a version up to, but without, `valid_to_version`; one current each."""

configurations = workspace_table(
    "configurations",
    text("digest", key=True),
    text("text"),
    instant("recorded_at"),
    text("actor"),
)
"""Every configuration a run used, by the digest of its content."""

"""Tables of runs: runs, their slices, the heads they move by compare-and-swap, and their proofs."""

from __future__ import annotations

from typing import Final

from sqlalchemy import CheckConstraint, Index
from sqlalchemy import text as sql

from tieout.adapters.store.tables_columns import (
    day,
    instant,
    not_negative,
    one_of,
    refers,
    text,
    whole,
    workspace_table,
)

RUN_STATES: Final = ("open", "closed", "abandoned")

runs = workspace_table(
    "runs",
    whole("run", key=True),
    text("reconciliation"),
    text("state"),
    day("as_of"),
    instant("opened_at"),
    instant("closed_at", null=True),
    whole("opening_run", null=True),
    whole("fence"),
    text("manifest", null=True),
    text("manifest_digest", null=True),
    text("result_hash", null=True),
    whole("slices", default=0),
    whole("matched", default=0),
    whole("open_items", default=0),
    whole("breaks", default=0),
    text("actor"),
    refers(("opening_run",), "runs", ("run",)),
    one_of("state", RUN_STATES),
    not_negative("slices", "matched", "open_items", "breaks"),
    CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="end"),
    CheckConstraint(
        "state <> 'closed' OR (manifest IS NOT NULL AND manifest_digest IS NOT NULL AND result_hash IS NOT NULL)",
        name="sealed",
    ),
    Index(
        "uq_runs_one_open",
        "workspace",
        "reconciliation",
        unique=True,
        sqlite_where=sql("state = 'open'"),
    ),
    Index(None, "workspace", "reconciliation", "run"),
)
"""One reconciliation's work from open to close; `closed_at` is also the time of abandoning. At most one is open."""

slices = workspace_table(
    "slices",
    whole("run", key=True),
    whole("slice", key=True),
    instant("taken_at"),
    text("reason"),
    text("batches", default="[]"),
    whole("matched", default=0),
    whole("open_items", default=0),
    whole("breaks", default=0),
    refers(("run",), "runs"),
    not_negative("matched", "open_items", "breaks"),
)
"""What one slice of a run took in (`batches`, a JSON list of numbers) and what it left."""

heads = workspace_table(
    "heads",
    text("reconciliation", key=True),
    whole("run", null=True),
    whole("fence"),
    text("lease_owner", null=True),
    instant("lease_expires_at", null=True),
    refers(("run",), "runs"),
    not_negative("fence"),
    CheckConstraint("(lease_owner IS NULL) = (lease_expires_at IS NULL)", name="lease"),
)
"""The last closed run of each reconciliation (NULL before the first), moved only where `fence` is still as read."""

proofs = workspace_table(
    "proofs",
    whole("run", key=True),
    text("side", key=True),
    text("currency", key=True),
    text("opening"),
    text("new"),
    text("amended"),
    text("reopened"),
    text("withdrawn"),
    text("matched"),
    text("written_off"),
    text("closing"),
    text("unexplained"),
    whole("opening_count"),
    whole("new_count"),
    whole("matched_count"),
    whole("closing_count"),
    refers(("run",), "runs"),
    not_negative("opening_count", "new_count", "matched_count", "closing_count"),
)
"""opening + new + amended + reopened - withdrawn - matched - written off = closing, in minor units as decimal text."""

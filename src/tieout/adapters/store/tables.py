"""All tables of the control plane in one place. The definitions stand by subject in the modules imported here."""

from __future__ import annotations

from tieout.adapters.store.tables_audit import audit, idempotency, outbox, seals
from tieout.adapters.store.tables_columns import METADATA
from tieout.adapters.store.tables_findings import finding_history, finding_transitions, findings
from tieout.adapters.store.tables_intake import (
    batch_duplicates,
    batch_totals,
    batches,
    configurations,
    intents,
    key_map,
    key_map_versions,
    parts,
    statements,
    workspaces,
)
from tieout.adapters.store.tables_runs import heads, proofs, runs, slices

__all__ = [
    "METADATA",
    "audit",
    "batch_duplicates",
    "batch_totals",
    "batches",
    "configurations",
    "finding_history",
    "finding_transitions",
    "findings",
    "heads",
    "idempotency",
    "intents",
    "key_map",
    "key_map_versions",
    "outbox",
    "parts",
    "proofs",
    "runs",
    "seals",
    "slices",
    "statements",
    "workspaces",
]

"""The control plane: every table of the first release, its triggers and the legal transitions of findings. Frozen."""

from __future__ import annotations

from tieout.adapters.store.migrations.revision_0001 import audit, findings, intake, runs, triggers

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the schema. There is no way down: the audit and the history are append-only."""
    findings.create_finding_transitions()
    intake.create_workspaces()
    audit.create_audit()
    intake.create_batches()
    intake.create_configurations()
    audit.create_idempotency()
    intake.create_intents()
    intake.create_key_map_versions()
    audit.create_outbox()
    runs.create_runs()
    audit.create_seals()
    intake.create_batch_duplicates()
    intake.create_batch_totals()
    findings.create_findings()
    runs.create_heads()
    intake.create_key_map()
    intake.create_parts()
    runs.create_proofs()
    runs.create_slices()
    intake.create_statements()
    findings.create_finding_history()
    triggers.create()

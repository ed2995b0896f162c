"""Tables of findings: the findings, their history, and the transitions the database allows."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, UniqueConstraint

from tieout.adapters.store.tables_columns import (
    day,
    instant,
    not_negative,
    one_of,
    refers,
    strict_table,
    text,
    whole,
    workspace_table,
)
from tieout.model.finding import KINDS, SEVERITIES, STATES

findings = workspace_table(
    "findings",
    whole("finding", key=True),
    text("reconciliation"),
    text("rule"),
    text("fingerprint"),
    text("kind"),
    text("state"),
    text("severity"),
    text("cause", null=True),
    text("resolution", null=True),
    text("side", null=True),
    text("anchor_source", null=True),
    text("anchor_kind", null=True),
    text("anchor_id", null=True),
    whole("occurrence", default=0),
    text("customer_id", null=True),
    text("currency", null=True),
    whole("expected_minor", null=True),
    whole("actual_minor", null=True),
    whole("at_risk_minor", null=True),
    text("says", default="{}"),
    text("evidence", default="{}"),
    whole("batch", null=True),
    day("effective_date", null=True),
    day("due_date", null=True),
    instant("detected_at"),
    instant("opened_at", null=True),
    instant("resolved_at", null=True),
    whole("first_run", null=True),
    whole("last_run", null=True),
    whole("recurrences", default=0),
    whole("members", null=True),
    text("owner", null=True),
    text("deadline", null=True),
    refers(("batch",), "batches"),
    refers(("first_run",), "runs", ("run",)),
    refers(("last_run",), "runs", ("run",)),
    one_of("kind", KINDS),
    one_of("state", STATES),
    one_of("severity", SEVERITIES),
    not_negative("recurrences"),
    CheckConstraint("(kind = 'group') = (members IS NOT NULL)", name="members"),
    CheckConstraint(
        "currency IS NOT NULL OR (expected_minor IS NULL AND actual_minor IS NULL AND at_risk_minor IS NULL)",
        name="currency",
    ),
    UniqueConstraint("workspace", "fingerprint"),
    Index(None, "workspace", "state", "severity"),
    Index(None, "workspace", "reconciliation", "state"),
    Index(None, "workspace", "batch"),
)
"""The durable record of a disagreement across runs. `says` and `evidence` are JSON; `members` counts a group's.

An UPDATE of `state` that `finding_transitions` does not list is refused, and so is a birth elsewhere than
`pending` or `open`.
"""

finding_history = workspace_table(
    "finding_history",
    whole("finding", key=True),
    whole("ordinal", key=True),
    instant("at"),
    text("actor"),
    text("authentication"),
    text("action"),
    text("from_state", null=True),
    text("to_state"),
    text("reason"),
    whole("run", null=True),
    text("rule_version", null=True),
    text("details", default="{}"),
    refers(("finding",), "findings"),
    refers(("run",), "runs"),
    one_of("from_state", STATES),
    one_of("to_state", STATES),
)
"""Everything that happened to a finding. Append-only: a larger ordinal each time, no update, no delete."""

finding_transitions = strict_table(
    "finding_transitions",
    text("from_state", key=True),
    text("to_state", key=True),
    one_of("from_state", STATES),
    one_of("to_state", STATES),
)
"""The legal transitions of `model.finding.TRANSITIONS`, seeded by the migration and the same for all workspaces."""

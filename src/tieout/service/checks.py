"""Checks of one source by itself: repeated ids, unknown customers, statements that do not tie or do not join.

A check looks at everything the source currently says, so its findings converge when a delivery mends them. Nothing
new since the last check: nothing is computed and nothing written.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, select

from tieout.adapters.spool import ids_query
from tieout.adapters.store.tables import batches, idempotency, statements
from tieout.core.checks import check_plan, source_drafts, statement_gaps
from tieout.core.findings import FindingDraft
from tieout.model.audit import Actor
from tieout.model.configuration import Configuration, SourceConfig
from tieout.model.errors import UsageError
from tieout.service.datasets import (
    PartNames,
    batch_refs,
    deliveries_of,
    key_map_version,
    known_customers,
    paths_of,
    record_parts,
)
from tieout.service.projection import Occasion, Projected, close_absent, due_query, open_due, project
from tieout.service.staging import engine_for
from tieout.service.unit import Unit

GROUP_OVER = 1_000


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What checking a source found. `status` is checked, unchanged or dry-run; `codes` counts breaks by code."""

    source: str
    status: str
    codes: Mapping[str, int]
    findings: Projected


def check_source(
    unit: Unit,
    configuration: Configuration,
    source_name: str,
    actor: Actor,
    *,
    as_of: date | None = None,
    dry_run: bool = False,
) -> CheckReport:
    """Check one source. Its findings belong to the reconciliation `source:<name>`.

    Raises UsageError for an unknown source.
    """
    source = configuration.sources.get(source_name)
    if source is None:
        known = ", ".join(sorted(configuration.sources)) or "none"
        raise UsageError(f"unknown source {source_name!r}", hint=f"sources in tieout.yaml: {known}")
    day = as_of or unit.now().date()
    occasion = Occasion(f"source:{source_name}", None, None)
    with unit.read() as connection:
        key = f"check/{source_name}/{_ground_digest(connection, unit.workspace, configuration, source)}"
        where = (idempotency.c.workspace == unit.workspace, idempotency.c.key == key)
        answered = connection.scalar(select(idempotency.c.response).where(*where))
        due = connection.execute(due_query(unit.workspace, occasion.reconciliation, day)).all()
    if answered is not None and not dry_run:
        if due:
            with unit.change(actor, "source.tick") as change:
                change.audit(f"source/{source_name}", {"opened": open_due(change, occasion, day)})
        return CheckReport(source_name, "unchanged", json.loads(answered)["codes"], Projected(kept=len(due)))
    drafts = _look(unit, configuration, source, occasion.reconciliation, day)
    codes: dict[str, int] = {}
    for draft in drafts:
        codes[draft.code] = codes.get(draft.code, 0) + (draft.members or 1)
    if dry_run:
        return CheckReport(source_name, "dry-run", codes, Projected(new=len(drafts)))
    with unit.change(actor, "source.check", idempotency_key=key, request={"source": source_name}) as change:
        if change.replayed is not None:
            return CheckReport(source_name, "unchanged", codes, Projected())
        projected = project(change, occasion, drafts)
        present = [draft.fingerprint for draft in drafts]
        projected += close_absent(change, occasion, present, "the source says otherwise now")
        change.respond({"codes": codes})
        change.audit(f"source/{source_name}", {"new": projected.new, "closed": projected.closed, **codes})
    return CheckReport(source_name, "checked", codes, projected)


def _ground_digest(connection: Connection, workspace: str, configuration: Configuration, source: SourceConfig) -> str:
    """What a check's answer depends on: the source's batches and their readings, the key map and the declarations."""
    seen = deliveries_of(connection, workspace, source.name)
    version = key_map_version(connection, workspace)
    ground = [*seen, version, source.declares_customers, configuration.identity.key_map]
    return hashlib.sha256(json.dumps(ground, default=str).encode()).hexdigest()[:32]


def _look(unit: Unit, configuration: Configuration, source: SourceConfig, name: str, day: date) -> list[FindingDraft]:
    """Everything there is to find in what the source currently says."""
    with unit.read() as connection:
        numbers = [ref.batch for ref in batch_refs(connection, unit.workspace, [source.name])]
        wanted: PartNames = {
            "records": record_parts(connection, unit.workspace, source.name, numbers),
            "contested": record_parts(
                connection, unit.workspace, source.name, numbers, dataset="contested", withdrawn=True
            ),
        }
        paths = paths_of(unit, connection, wanted)
        customers = source.declares_customers and source.name != configuration.identity.canonical_source
        known = known_customers(connection, unit.workspace, source.name) if customers else []
        framed = [dict(row._mapping) for row in connection.execute(_statements_query(unit.workspace, source.name))]
    gaps = statement_gaps(name, source.name, framed)
    if not wanted["contested"] and not customers:
        return gaps  # an id said twice would be contested: the records need not be read
    plan = check_plan(customers=customers, group_over=GROUP_OVER)
    with (
        tempfile.TemporaryDirectory(prefix="tieout-") as scratch,
        engine_for(configuration.engine, unit.cache_directory / "spill") as engine,
    ):
        outputs = {"source_breaks": Path(scratch) / "source_breaks.parquet"}
        queries = {"known": ids_query(known, Path(scratch) / "known.jsonl")}
        measured = engine.run(plan, paths, outputs, queries).measured
    drafts = source_drafts(name, source.name, measured["singles"], measured["crowds"], day)
    return drafts + gaps


def _statements_query(workspace: str, source: str) -> Select[*tuple[Any, ...]]:
    """The statements of a source's accepted batches."""
    accepted = select(batches.c.batch).where(batches.c.workspace == workspace, batches.c.state == "accepted")
    return (
        select(statements)
        .where(statements.c.workspace == workspace, statements.c.source == source, statements.c.batch.in_(accepted))
        .order_by(statements.c.batch, statements.c.ordinal)
    )

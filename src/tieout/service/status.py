"""Where every source and reconciliation of a workspace stands. Only reading: nothing here writes a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, select

from tieout.adapters.store.tables import batches, heads, runs
from tieout.core.config.parsing import rules_digest
from tieout.core.matching.opening import source_names
from tieout.model.configuration import Configuration, ReconciliationConfig
from tieout.service.datasets import batch_refs, changed_batches
from tieout.service.listing import FindingCounts, counts_in
from tieout.service.run_records import load_manifest
from tieout.service.unit import Unit


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """Where one source stands: deliveries that count, those refused, and the records kept."""

    source: str
    batches: int
    refused: int
    withdrawn: int
    records: int
    quarantined: int
    last_received: str | None


@dataclass(frozen=True, slots=True)
class ReconciliationStatus:
    """Where one reconciliation stands. `waiting` counts batches that its last closed run has not seen."""

    reconciliation: str
    run: int | None
    as_of: str | None
    closed_at: str | None
    open_run: int | None
    waiting: int
    rules_changed: bool
    open_items: int
    findings: FindingCounts
    threshold: int


def source_statuses(unit: Unit, configuration: Configuration) -> list[SourceStatus]:
    """Where every configured source stands, in the order of the configuration."""

    def _counted(state: str, column: Any = None) -> Any:
        return func.coalesce(func.sum(case((batches.c.state == state, 1 if column is None else column), else_=0)), 0)

    kept = batches.c.accepted + batches.c.superseding + batches.c.stale
    query = (
        select(
            batches.c.source,
            _counted("accepted").label("batches"),
            _counted("refused").label("refused"),
            _counted("withdrawn").label("withdrawn"),
            _counted("accepted", kept).label("records"),
            _counted("accepted", batches.c.quarantined).label("quarantined"),
            func.max(case((batches.c.state == "accepted", batches.c.received_at))).label("last"),
        )
        .where(batches.c.workspace == unit.workspace)
        .group_by(batches.c.source)
    )
    with unit.read() as connection:
        found = {row.source: row for row in connection.execute(query)}
    nothing = SourceStatus("", 0, 0, 0, 0, 0, None)
    statuses = []
    for name in dict.fromkeys((*configuration.sources, *sorted(found))):
        row = found.get(name)
        figures = nothing if row is None else row
        last = None if row is None else row.last
        statuses.append(
            SourceStatus(name, int(figures.batches), int(figures.refused), int(figures.withdrawn),
                         int(figures.records), int(figures.quarantined), last)
        )  # fmt: skip
    return statuses


def reconciliation_statuses(unit: Unit, configuration: Configuration) -> list[ReconciliationStatus]:
    """Where every configured reconciliation stands, in the order of the configuration."""
    with unit.read() as connection:
        counts = counts_in(connection, unit.workspace)
        return [
            _status(connection, unit.workspace, config, counts.get(name, FindingCounts()))
            for name, config in configuration.reconciliations.items()
        ]


def _status(
    connection: Connection, workspace: str, config: ReconciliationConfig, counted: FindingCounts
) -> ReconciliationStatus:
    own = (runs.c.workspace == workspace, runs.c.reconciliation == config.name)
    open_run = connection.scalar(select(runs.c.run).where(*own, runs.c.state == "open"))
    closed = connection.execute(
        select(runs)
        .join(heads, (heads.c.workspace == runs.c.workspace) & (heads.c.run == runs.c.run))
        .where(*own, heads.c.reconciliation == config.name)
    ).one_or_none()
    before = None if closed is None else load_manifest(connection, workspace, closed.run)[0]
    watched = {*source_names(config), *([config.disputes] if config.disputes else [])}
    now = batch_refs(connection, workspace, watched)
    return ReconciliationStatus(
        reconciliation=config.name,
        run=None if closed is None else closed.run,
        as_of=None if closed is None else closed.as_of,
        closed_at=None if closed is None else closed.closed_at,
        open_run=open_run,
        waiting=len(changed_batches(now, () if before is None else before.accepted)),
        rules_changed=before is not None and before.rules_digest != rules_digest(config),
        open_items=0 if closed is None else closed.open_items,
        findings=counted,
        threshold=config.threshold,
    )

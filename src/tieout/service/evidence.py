"""What verification looks at: one snapshot of the control plane, the parts it names, and an engine to read them.

Ground for the checks in `verification_rows` and `verification_columns`; nothing here judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from tieout.adapters import parts as part_store
from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.store.tables import batches, heads, parts, runs
from tieout.model.audit import Breach
from tieout.model.configuration import Configuration
from tieout.service.unit import Unit

Found = Iterator[Breach]

WORKSPACE = "workspace"
"""The subject of a check that looks at the workspace as a whole."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One verification's view: all rows are of one instant, and parts never change."""

    unit: Unit
    configuration: Configuration
    connection: Connection
    engine: DuckEngine
    scratch: Path
    replay_runs: int

    @property
    def workspace(self) -> str:
        """The workspace under verification."""
        return self.unit.workspace

    def rows(self, query: Select[*tuple[Any, ...]]) -> Sequence[Row[*tuple[Any, ...]]]:
        """All rows of a query that says its workspace by itself."""
        return self.connection.execute(query).all()

    def files(self, *where: ColumnElement[bool]) -> list[Path]:
        """Files of the parts that a condition selects. Raises IncompleteError when one is gone or damaged."""
        unit = self.unit
        return part_store.part_paths(
            self.connection, unit.workspace, unit.parts_directory, unit.cache_directory, *where
        )

    def run_files(self, reconciliation: str, dataset: str) -> list[Path]:
        """Files of one dataset that closed runs of a reconciliation wrote."""
        return self.files(*firm_parts(reconciliation, dataset))

    def closed_runs(self, reconciliation: str) -> Sequence[Row[*tuple[Any, ...]]]:
        """The closed runs of a reconciliation in order, without their manifests."""
        columns = (runs.c.run, runs.c.opening_run, runs.c.as_of, runs.c.manifest_digest, runs.c.result_hash)
        return self.rows(
            select(*columns)
            .where(
                runs.c.workspace == self.workspace, runs.c.reconciliation == reconciliation, runs.c.state == "closed"
            )
            .order_by(runs.c.run)
        )


def firm_parts(reconciliation: str, dataset: str) -> tuple[ColumnElement[bool], ...]:
    """The condition for parts that closed runs wrote: visible, and no slice's preview."""
    return (
        parts.c.dataset == dataset,
        parts.c.reconciliation == reconciliation,
        parts.c.slice.is_(None),
        parts.c.state == "visible",
    )


def whole_workspace(evidence: Evidence) -> Iterable[str]:
    """For checks that are carried out once."""
    return (WORKSPACE,)


def each_source(evidence: Evidence) -> Iterable[str]:
    """For checks of one source at a time: those that have an accepted batch."""
    query = select(batches.c.source).where(batches.c.workspace == evidence.workspace, batches.c.state == "accepted")
    return list(evidence.connection.scalars(query.distinct().order_by(batches.c.source)))


def each_reconciliation(evidence: Evidence) -> Iterable[str]:
    """For checks of one reconciliation at a time: those that were ever run."""
    query = select(heads.c.reconciliation).where(heads.c.workspace == evidence.workspace)
    ran = select(runs.c.reconciliation).where(runs.c.workspace == evidence.workspace)
    return sorted({*evidence.connection.scalars(query), *evidence.connection.scalars(ran.distinct())})


@dataclass(frozen=True, slots=True)
class Check:
    """One question of verification: the invariant it belongs to, what holds if it finds nothing, and how it looks.

    `over` lists the subjects it is carried out for, one by one, so that a check that cannot run for one of them
    still runs for the others; `find` yields what is wrong.
    """

    invariant: int
    says: str
    over: Callable[[Evidence], Iterable[str]]
    find: Callable[[Evidence, str], Iterable[Breach]]

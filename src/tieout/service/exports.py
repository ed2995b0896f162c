"""Exports for people and spreadsheets: matches, open items, findings, proofs and quarantine, in three formats.

Written beside the target, forced to the disk and then renamed, so that no crash leaves half a file; and audited,
because an export takes revenue data out of the workspace.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import ColumnElement, Connection, Row, or_, select

from tieout.adapters import parts as part_store
from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.raw import sha256_of, sync_directory, sync_file
from tieout.adapters.store.tables import batches, finding_history, findings, heads, parts, proofs, runs
from tieout.core.exporting import (
    EXPORTS,
    FINDINGS,
    FORMATS,
    matches_plan,
    open_items_plan,
    quarantine_export_plan,
    row_columns,
    rows_plan,
)
from tieout.core.matching.items import stages
from tieout.model.audit import JSON, SYSTEM, Actor
from tieout.model.configuration import Configuration
from tieout.model.errors import IncompleteError, UsageError
from tieout.model.money import decimal_text
from tieout.model.plan import Plan, Step, columns_sql
from tieout.model.reading import DraftQuery
from tieout.service.run_records import COUNTS, FIGURES, load_rules
from tieout.service.staging import engine_for
from tieout.service.unit import Unit


def export(
    unit: Unit,
    configuration: Configuration,
    what: str,
    format: str,
    path: Path,
    *,
    reconciliation: str | None = None,
    run: int | None = None,
    actor: Actor = SYSTEM,
) -> int:
    """Write one export to `path`, replacing a file that is there, and return its rows.

    `what` and its columns: core.exporting.EXPORTS; `format`: csv, jsonl or parquet. Without `run`, the current state:
    active matches of all closed runs, open items and proofs of the heads, every finding. With it, what that run
    wrote. Raises UsageError for unknown words or a target that is no file, IncompleteError when it cannot be written.
    """
    _check(what, format, path)
    with unit.read() as connection:
        scope = _scope(unit, configuration, connection, reconciliation, run)
    beside = path.parent / f".{path.name}.{uuid4().hex}.part"
    try:
        with (
            unit.read() as connection,
            tempfile.TemporaryDirectory(prefix="tieout-") as scratch,
            engine_for(configuration.engine, unit.cache_directory / "spill") as engine,
        ):
            work = _Export(unit, configuration, connection, engine, Path(scratch), scope, format, str(beside))
            rows = work.write(what)
        sync_file(beside)
        details: dict[str, JSON] = {"format": format, "file": path.name, "rows": rows, "sha256": sha256_of(beside)}
        with unit.change(actor, "export") as change:
            change.audit(f"export/{what}", {**details, "reconciliation": reconciliation, "run": run})
        os.replace(beside, path)
        sync_directory(path.parent)
    except OSError as error:
        hint = "check the directory and free disk space, then repeat the command"
        raise IncompleteError(f"cannot write {path}: {error.strerror or error}", hint=hint) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
    return rows


def _check(what: str, file_format: str, path: Path) -> None:
    """Refuse words that mean nothing here, and targets that a rename would not replace but destroy."""
    if what not in EXPORTS:
        raise UsageError(f"there is no export {what!r}", hint=f"exports: {', '.join(EXPORTS)}")
    if file_format not in FORMATS:
        raise UsageError(f"unknown format {file_format!r}", hint=f"formats: {', '.join(FORMATS)}")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file", hint="name a file to write")
    if not path.parent.is_dir():
        raise UsageError(f"there is no directory {path.parent}", hint="create it first")


@dataclass(frozen=True, slots=True)
class _Scope:
    """Which runs an export is about. `as_of` maps each to the day that ages count to; `run` is None for the state
    of now, `asked` the one reconciliation that was asked for."""

    run: int | None
    asked: str | None
    of_run: Mapping[int, str]
    as_of: Mapping[int, date]
    heads: Sequence[int]


def _scope(
    unit: Unit, configuration: Configuration, connection: Connection, asked: str | None, run: int | None
) -> _Scope:
    """The runs in question. Raises UsageError for an unknown reconciliation or run."""
    workspace = unit.workspace
    every = connection.execute(select(runs).where(runs.c.workspace == workspace).order_by(runs.c.run)).all()
    known = {row.reconciliation for row in every} | set(configuration.reconciliations)
    if asked is not None and asked not in known:
        raise UsageError(f"unknown reconciliation {asked!r}", hint=f"known: {', '.join(sorted(known)) or 'none'}")
    if run is not None and run not in {row.run for row in every if asked in (None, row.reconciliation)}:
        of = "" if asked is None else f" of {asked}"
        raise UsageError(f"there is no run {run}{of}", hint="`tieout runs` lists them")
    chosen = [
        row
        for row in every
        if asked in (None, row.reconciliation) and (row.run == run if run is not None else row.state == "closed")
    ]
    ends = connection.execute(select(heads.c.reconciliation, heads.c.run).where(heads.c.workspace == workspace)).all()
    last = {row.reconciliation: row.run for row in ends}
    days = {row.run: date.fromisoformat(row.as_of) for row in every}
    return _Scope(
        run=run,
        asked=asked,
        of_run={row.run: row.reconciliation for row in chosen},
        as_of={row.run: days[row.run if run is not None else last[row.reconciliation]] for row in chosen},
        heads=[row.run for row in chosen if run is not None or row.run == last[row.reconciliation]],
    )


@dataclass(frozen=True, slots=True)
class _Export:
    """One export being written: what is read, and where it goes."""

    unit: Unit
    configuration: Configuration
    connection: Connection
    engine: DuckEngine
    scratch: Path
    scope: _Scope
    format: str
    target: str

    def write(self, what: str) -> int:
        """Write the target and return its rows."""
        if what == "matches":
            inputs = {name: self._written(name) for name in ("pairs", "allocations")}
            return self._run(
                matches_plan(self.format, self._decided(), self.target),
                {**inputs, "revoked": self._replaced("revoked")},
            )
        if what == "open-items":
            ran = list(self.scope.of_run.items())
            lists: dict[str, list[object]] = {
                "run": [run for run, _ in ran],
                "reconciliation": [name for _, name in ran],
                "as_of": [self.scope.as_of[run] for run, _ in ran],
            }
            inputs = {"open_items": self._written("open_items"), "closed_items": self._replaced("closed_items")}
            return self._run(open_items_plan(self.format, lists, self.target), inputs)
        if what == "quarantine":
            return self._quarantine()
        return self._rows(what, self._findings() if what == "findings" else self._proof())

    def _run(self, plan: Plan, inputs: Mapping[str, Sequence[Path]]) -> int:
        (row,) = self.engine.run(plan, inputs, {}).measured["exported"]
        return int(str(row[0]))

    def _written(self, dataset: str) -> list[Path]:
        """Parts of a dataset that the runs in question wrote."""
        scope = self.scope
        where: list[ColumnElement[bool]] = [parts.c.dataset == dataset, parts.c.state == "visible"]
        if scope.run is not None:
            where.append(parts.c.run == scope.run)
        else:
            where += [parts.c.run.is_not(None), parts.c.slice.is_(None)]
        if scope.asked is not None:
            where.append(parts.c.reconciliation == scope.asked)
        return self._files(*where)

    def _replaced(self, dataset: str) -> list[Path]:
        """Parts that say what holds no more; of what one run wrote nothing is left out."""
        return self._written(dataset) if self.scope.run is None else []

    def _files(self, *where: ColumnElement[bool]) -> list[Path]:
        unit = self.unit
        return part_store.part_paths(
            self.connection, unit.workspace, unit.parts_directory, unit.cache_directory, *where
        )

    def _decided(self) -> dict[str, list[object]]:
        """Which passes each stage of each run stands for, as lists of equal length."""
        rows = [
            (run, number, name, passes)
            for run, name in self.scope.of_run.items()
            for number, passes in self._stages(run, name)
        ]
        names = ("run", "stage", "reconciliation", "passes")
        return {name: [row[place] for row in rows] for place, name in enumerate(names)}

    def _stages(self, run: int, name: str) -> list[tuple[int, str]]:
        """Number and pass names of a run's stages: by the rules it closed with, or today's while it is open."""
        closed = self.connection.scalar(
            select(runs.c.state).where(runs.c.workspace == self.unit.workspace, runs.c.run == run)
        )
        rules = self.configuration.reconciliations.get(name)
        if closed == "closed":
            rules = load_rules(self.connection, self.unit.workspace, run)
        if rules is None:
            return []
        return [(stage.number, ", ".join(stage.names)) for stage in stages(rules.sides, rules.passes)]

    def _quarantine(self) -> int:
        """Unreadable rows of accepted batches; of one reconciliation, those of its sources."""
        if self.scope.run is not None:
            hint = "leave out the run; a reconciliation narrows it to its sources"
            raise UsageError("quarantined rows belong to batches, not to runs", hint=hint)
        query = select(batches.c.batch, batches.c.source, batches.c.file_name).where(
            batches.c.workspace == self.unit.workspace, batches.c.state == "accepted"
        )
        if self.scope.asked is not None:
            config = self.configuration.reconciliations.get(self.scope.asked)
            query = query.where(batches.c.source.in_({side.source for side in config.sides} if config else set()))
        taken = self.connection.execute(query.order_by(batches.c.batch)).all()
        lists: dict[str, list[object]] = {
            "batch": [row.batch for row in taken],
            "source": [row.source for row in taken],
            "file": [row.file_name for row in taken],
        }
        files = self._files(
            parts.c.dataset == "quarantine", parts.c.state == "visible", parts.c.batch.in_(lists["batch"])
        )
        return self._run(quarantine_export_plan(self.format, lists, self.target), {"quarantine": files})

    def _findings(self) -> Iterable[dict[str, object]]:
        """Findings in the order of their numbers; of one run, those it saw or changed."""
        query = select(findings).where(findings.c.workspace == self.unit.workspace).order_by(findings.c.finding)
        if self.scope.asked is not None:
            query = query.where(findings.c.reconciliation == self.scope.asked)
        if (run := self.scope.run) is not None:
            changed = select(finding_history.c.finding).where(
                finding_history.c.workspace == self.unit.workspace, finding_history.c.run == run
            )
            seen = or_(findings.c.first_run == run, findings.c.last_run == run, findings.c.finding.in_(changed))
            query = query.where(seen)
        for row in self.connection.execute(query):
            yield _finding_cells(row)

    def _proof(self) -> Iterable[dict[str, object]]:
        """Proof lines of the heads, or of one run."""
        query = (
            select(proofs, runs.c.reconciliation, runs.c.as_of)
            .join(runs, (runs.c.workspace == proofs.c.workspace) & (runs.c.run == proofs.c.run))
            .where(proofs.c.workspace == self.unit.workspace, proofs.c.run.in_(self.scope.heads))
            .order_by(runs.c.reconciliation, proofs.c.run, proofs.c.side, proofs.c.currency)
        )
        for row in self.connection.execute(query):
            figures = {name: decimal_text(int(getattr(row, name)), row.currency) for name in FIGURES}
            shown = {name: getattr(row, name) for name in ("reconciliation", "run", "as_of", "side", "currency")}
            yield {**shown, **figures, **{name: getattr(row, name) for name in COUNTS}}

    def _rows(self, what: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Write bounded rows of the control plane by way of the engine, so that every format is written by one hand."""
        spool, shown = self.scratch / "rows.jsonl", self.scratch / "rows.parquet"
        with spool.open("wb") as file:
            for place, row in enumerate(rows):
                file.write(orjson.dumps({"place": place, **row}) + b"\n")
        columns = row_columns(what)
        typed = ", ".join(f"{name}: '{kind}'" for name, kind in columns)
        sql = f"SELECT * FROM read_json($spool, format = 'newline_delimited', columns = {{{typed}}})"
        read = DraftQuery(sql, {"spool": str(spool)})
        plan = Plan((Step("typed", f"SELECT {columns_sql(columns)} FROM spooled", "output"),))
        self.engine.run(plan, {}, {"typed": shown}, {"spooled": read})
        return self._run(rows_plan(what, self.format, self.target), {"shown": [shown]})


def _finding_cells(row: Row[*tuple[Any, ...]]) -> dict[str, object]:
    """A finding's row under the names of its export."""
    named = {
        "code": row.rule,
        "source": row.anchor_source,
        "record_kind": row.anchor_kind,
        "native_id": row.anchor_id,
        "customer": row.customer_id,
        "date": row.effective_date,
    }
    for name in ("expected", "actual", "at_risk"):
        minor = getattr(row, f"{name}_minor")
        named[name] = None if minor is None else decimal_text(minor, row.currency)
    return {name: named[name] if name in named else getattr(row, name) for name, _, _ in FINDINGS}

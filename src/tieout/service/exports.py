"""Exports for people and spreadsheets: matches, open items, findings, proofs and quarantine as CSV, JSON lines, Parquet.

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
    FORMATS,
    matches_plan,
    open_items_plan,
    quarantine_export_plan,
    row_columns,
    rows_plan,
)
from tieout.core.matching.items import stages
from tieout.model.audit import SYSTEM, Actor
from tieout.model.configuration import Configuration
from tieout.model.errors import IncompleteError, UsageError
from tieout.model.money import decimal_text
from tieout.model.plan import Plan, Step, columns_sql
from tieout.model.reading import DraftQuery
from tieout.service.run_records import COUNTS, FIGURES, load_rules
from tieout.service.staging import engine_for
from tieout.service.unit import Unit

Inputs = dict[str, list[Path]]


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
        details = {"format": format, "file": path.name, "rows": rows, "sha256": sha256_of(beside)}
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
            return self._run(self._matches(), {name: self._parts(name) for name in ("pairs", "allocations")} | self._left_out("revoked"))
        if what == "open-items":
            return self._run(self._open_items(), {"open_items": self._parts("open_items")} | self._left_out("closed_items"))
        if what == "quarantine":
            return self._quarantine()
        rows = self._findings() if what == "findings" else self._proof()
        return self._rows(what, rows)

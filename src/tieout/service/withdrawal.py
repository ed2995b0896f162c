"""Superseding a faulty ingestion: the batch is withdrawn as a whole, nothing is deleted, and what it hid comes back.

Batches that counted rows of it as duplicates are read again from their raw bytes, as they were read the first time;
the current state afterwards is what it would have been without the batch. Matches and proofs follow with the next
run; findings on the batch's own records close at once, with that cause.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from tieout.adapters import parts as part_store
from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.raw import raw_path
from tieout.adapters.store.tables import (
    batch_duplicates,
    batch_totals,
    batches,
    configurations,
    parts,
    statements,
)
from tieout.model.audit import Actor
from tieout.model.configuration import Configuration
from tieout.model.errors import ConflictError, IncompleteError, UsageError
from tieout.service.classing import Classified, classify, prior_paths, write_counts
from tieout.service.datasets import deliveries_of
from tieout.service.projection import close_of_batch
from tieout.service.staging import ReadingOptions, Staged, engine_for, stage_file
from tieout.service.unit import Change, Unit


@dataclass(frozen=True, slots=True)
class SupersedeReport:
    """What withdrawing a batch did: rows it had brought, batches read again with the rows they now bring."""

    batch: int
    source: str
    rows: int
    reread: tuple[tuple[int, int], ...]
    findings_closed: int


@dataclass(frozen=True, slots=True)
class _Again:
    """One batch read again."""

    batch: int
    staged: Staged
    classified: Classified


def supersede(unit: Unit, configuration: Configuration, batch: int, actor: Actor, reason: str) -> SupersedeReport:
    """Withdraw a batch, in one transaction with the readings it brings back.

    Raises UsageError when there is no such accepted batch or no reason is given, ConflictError when its source
    changed meanwhile, IncompleteError when raw bytes are missing.
    """
    if not reason.strip():
        raise UsageError("a withdrawal needs a reason", hint="say it with --reason")
    with unit.read() as connection:
        row = _batch(connection, unit.workspace, batch)
        seen = deliveries_of(connection, unit.workspace, row.source)
        affected = _affected(connection, unit.workspace, batch)
        prior = prior_paths(unit, connection, row.source, without={batch, *affected})
    with unit.bookkeeping("supersede") as connection:
        part_store.sweep(connection, unit.workspace, unit.parts_directory, unit.now())
        intent, _ = part_store.begin(connection, unit.workspace, unit.now())
    directory = part_store.intent_directory(unit.parts_directory, intent)
    with engine_for(configuration.engine, unit.cache_directory / "spill") as engine:
        again = [_Reader(unit, engine, directory, prior).read(number) for number in affected]
    settled = part_store.settle(draft for one in again for draft in one.classified.drafts)
    with unit.change(actor, "batch.withdraw") as change:
        if deliveries_of(change.connection, unit.workspace, row.source) != seen:
            raise ConflictError(f"{row.source} changed in between", hint="repeat the command")
        _withdraw(change, batch, reason)
        for one in again:
            _replace_reading(change, row.source, one)
        part_store.publish(change.connection, unit.workspace, intent, settled, change.now)
        closed = close_of_batch(change, batch, f"batch {batch} was withdrawn: {reason}")
        report = SupersedeReport(
            batch=batch,
            source=row.source,
            rows=row.accepted + row.superseding + row.stale,
            reread=tuple((one.batch, one.classified.counts["accepted"]) for one in again),
            findings_closed=closed.closed,
        )
        details = {"source": row.source, "reason": reason, "rows": report.rows, "reread": [one.batch for one in again]}
        change.audit(f"batch/{batch}", {**details, "parts": [part.sha256 for part in settled]})
    return report


def _batch(connection: Connection, workspace: str, batch: int) -> Row[*tuple[Any, ...]]:
    row = connection.execute(
        select(batches).where(batches.c.workspace == workspace, batches.c.batch == batch)
    ).one_or_none()
    if row is None:
        raise UsageError(f"there is no batch {batch}", hint="`tieout batches` lists them")
    if row.state != "accepted":
        raise UsageError(f"batch {batch} is {row.state}, not accepted", hint="only accepted batches can be withdrawn")
    return row


def _affected(connection: Connection, workspace: str, batch: int) -> list[int]:
    """Accepted batches that counted rows of this one as duplicates, in order."""
    query = (
        select(batch_duplicates.c.batch)
        .join(
            batches,
            (batches.c.workspace == batch_duplicates.c.workspace) & (batches.c.batch == batch_duplicates.c.batch),
        )
        .where(
            batch_duplicates.c.workspace == workspace,
            batch_duplicates.c.of_batch == batch,
            batch_duplicates.c.batch != batch,
            batches.c.state == "accepted",
        )
        .order_by(batch_duplicates.c.batch)
    )
    return list(connection.scalars(query))


@dataclass(slots=True)
class _Reader:
    """Reads batches again, one after another: what one brings back is known to the next."""

    unit: Unit
    engine: DuckEngine
    directory: Path
    prior: list[Path] = field(default_factory=list)

    def read(self, batch: int) -> _Again:
        """Stage and classify a batch's raw bytes as they were read the first time."""
        with self.unit.read() as connection:
            row = _batch(connection, self.unit.workspace, batch)
            where = (configurations.c.workspace == self.unit.workspace, configurations.c.digest == row.options_digest)
            text = connection.scalar(select(configurations.c.text).where(*where))
        path = raw_path(self.unit.raw_directory, row.raw_sha256)
        if text is None or not path.exists():
            raise IncompleteError(
                f"the raw bytes of batch {batch} are missing", hint="restore them, then `tieout verify`"
            )
        options = ReadingOptions.from_json(text)
        directory = self.directory / str(batch)
        directory.mkdir()
        staged = stage_file(self.engine, options, path, shown_name=row.file_name, batch=batch, directory=directory)
        classified = classify(self.engine, staged, self.prior, batch, directory)
        self.prior += [draft.path for draft in classified.drafts if draft.dataset == "records"]
        return _Again(batch, staged, classified)


def _withdraw(change: Change, batch: int, reason: str) -> None:
    key = (batches.c.workspace == change.workspace, batches.c.batch == batch)
    values = {"state": "withdrawn", "withdrawn_at": change.at, "reason": reason}
    change.connection.execute(update(batches).where(*key).values(**values))
    _retire_parts(change, batch)


def _retire_parts(change: Change, batch: int) -> None:
    where = (parts.c.workspace == change.workspace, parts.c.batch == batch)
    change.connection.execute(update(parts).where(*where).values(state="withdrawn"))


def _replace_reading(change: Change, source: str, again: _Again) -> None:
    """A further reading takes the place of the earlier one: counts, totals and parts; the old parts stay on disk."""
    _retire_parts(change, again.batch)
    for table in (batch_totals, batch_duplicates, statements):
        where = (table.c.workspace == change.workspace, table.c.batch == again.batch)
        change.connection.execute(delete(table).where(*where))
    counts = again.classified.counts
    where = (batches.c.workspace == change.workspace, batches.c.batch == again.batch)
    values = {
        **counts,
        "reading": batches.c.reading + 1,
        "digest_a": str(again.classified.digests[0]),
        "digest_b": str(again.classified.digests[1]),
    }
    change.connection.execute(update(batches).where(*where).values(**values))
    write_counts(change, source, again.batch, again.staged, again.classified)
    change.audit(f"batch/{again.batch}", {"read_again": True, "accepted": counts["accepted"]})

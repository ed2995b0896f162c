"""Ingestion: one file, one batch, accepted or refused as a whole.

Raw bytes first; then drafts, canonical records and their place among what the source said before, all in columns;
then one transaction that makes the batch visible with its counts. Undoing a batch is `withdrawal`'s work; what the
rows mean for money is decided by runs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, insert

from tieout.adapters import parts as part_store
from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.raw import keep_raw, raw_path
from tieout.adapters.store.tables import batches
from tieout.model.audit import Actor
from tieout.model.configuration import Configuration, SourceConfig
from tieout.model.errors import ConflictError, IncompleteError, InputError, Place, UsageError
from tieout.model.record import Rejection, Statement
from tieout.service.classing import Classified, classify, keep_options, prior_paths, write_batch
from tieout.service.datasets import deliveries_of
from tieout.service.staging import ReadingOptions, Staged, engine_for, quarantine_rows, refusal, stage_file
from tieout.service.unit import Unit

SHOWN_REJECTIONS = 20
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of one file. Counts add up: read = accepted + duplicate + superseding + stale + quarantined.

    `totals` maps outcome to currency to (rows, minor units); `batch` is None for a dry run. `undated` counts rows
    that differ from what is known although neither carries a later version: map `version`, or say `observed_at`.
    """

    file: str
    source: str
    format: str
    batch: int | None
    state: str
    reason: str | None
    counts: Mapping[str, int]
    totals: Mapping[str, Mapping[str, tuple[int, int]]]
    duplicates_of: Mapping[int, int]
    statements: tuple[Statement, ...]
    quarantined: tuple[Rejection, ...]
    inferred: Mapping[str, str]
    undated: int


def ingest(
    unit: Unit,
    configuration: Configuration,
    source_name: str,
    path: Path,
    actor: Actor,
    *,
    declared_format: str | None = None,
    observed_at: datetime | None = None,
    dry_run: bool = False,
) -> IngestReport:
    """Take in one file of a source; `observed_at` is when the source said it, for rows without a version.

    With `dry_run` nothing is kept: same work, same report, no batch. Raises UsageError for an unknown source or
    file, InputError when the file cannot be framed (recorded as a refused batch), IncompleteError when it breaks its
    contract (likewise), ConflictError when another process kept taking in the same source.
    """
    source = configuration.sources.get(source_name)
    if source is None:
        known = ", ".join(sorted(configuration.sources)) or "none"
        raise UsageError(f"unknown source {source_name!r}", hint=f"sources in tieout.yaml: {known}")
    if not path.is_file():
        raise UsageError(f"there is no file {path}", hint="check the path")
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _Ingestion(unit, configuration, source, path, actor, declared_format, observed_at, dry_run).run()
        except ConflictError:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


@dataclass(slots=True)
class _Ingestion:
    """One attempt at one file."""

    unit: Unit
    configuration: Configuration
    source: SourceConfig
    path: Path
    actor: Actor
    declared_format: str | None
    observed_at: datetime | None
    dry_run: bool

    def run(self) -> IngestReport:
        """Read, classify, and unless it is a dry run, commit."""
        if self.dry_run:
            with tempfile.TemporaryDirectory(prefix="tieout-") as scratch:
                return self._dry(Path(scratch))
        with self.unit.bookkeeping("ingest") as connection:
            now = self.unit.now()
            part_store.sweep(connection, self.unit.workspace, self.unit.parts_directory, now)
            intent, batch = part_store.begin(connection, self.unit.workspace, now, batch=True)
        sha256, size = keep_raw(self.unit.raw_directory, self.path)
        return self._keep(intent, batch or 0, sha256, size)

    def _dry(self, scratch: Path) -> IngestReport:
        with engine_for(self.configuration.engine, scratch) as engine:
            staged = self._stage(engine, self.path, 0, scratch)
            prior = self._prior()
            classified = classify(engine, staged, prior, 0, scratch)
            return self._report(engine, staged, classified, None)

    def _keep(self, intent: str, batch: int, sha256: str, size: int) -> IngestReport:
        options = ReadingOptions(self.source, self.declared_format, self.observed_at)
        directory = part_store.intent_directory(self.unit.parts_directory, intent)
        header = {
            "batch": batch,
            "source": self.source.name,
            "file_name": self.path.name,
            "raw_sha256": sha256,
            "raw_bytes": size,
            "options_digest": options.digest,
        }
        with self.unit.read() as connection:
            seen = self._deliveries(connection)
        with engine_for(self.configuration.engine, self.unit.cache_directory / "spill") as engine:
            try:
                kept = raw_path(self.unit.raw_directory, sha256)
                staged = self._stage(engine, kept, batch, directory)
            except InputError as error:
                self._refuse(intent, header, refusal(error))
                raise
            if staged.violations:
                return self._refuse_staged(intent, header, staged, engine)
            classified = classify(engine, staged, self._prior(), batch, directory)
            settled = part_store.settle(classified.drafts)
            with self.unit.change(self.actor, "batch.accept") as change:
                if self._deliveries(change.connection) != seen:
                    raise ConflictError("another process took in this source at the same time", hint="repeat the call")
                keep_options(change, options)
                write_batch(change, {**header, "format": staged.format, "state": "accepted"}, staged, classified)
                part_store.publish(change.connection, self.unit.workspace, intent, settled, change.now)
                details = {"source": self.source.name, "raw": sha256, "parts": [part.sha256 for part in settled]}
                change.audit(f"batch/{batch}", {**details, **classified.counts})
            return self._report(engine, staged, classified, batch)

    def _stage(self, engine: DuckEngine, path: Path, batch: int, directory: Path) -> Staged:
        options = ReadingOptions(self.source, self.declared_format, self.observed_at)
        return stage_file(engine, options, path, shown_name=self.path.name, batch=batch, directory=directory)

    def _prior(self) -> list[Path]:
        with self.unit.read() as connection:
            return prior_paths(self.unit, connection, self.source.name)

    def _deliveries(self, connection: Connection) -> tuple[object, ...]:
        """What must not have moved between classifying and committing."""
        return deliveries_of(connection, self.unit.workspace, self.source.name)

    def _refuse(self, intent: str, header: Mapping[str, object], reason: str) -> None:
        """Record that a delivery was refused, so that it is seen and audited."""
        with self.unit.change(self.actor, "batch.refuse") as change:
            zero = dict.fromkeys(("read", "accepted", "duplicate", "superseding", "stale", "quarantined"), 0)
            values = {
                **header,
                **zero,
                "workspace": self.unit.workspace,
                "format": self.declared_format or self.source.format or "",
                "state": "refused",
                "reason": reason,
                "received_at": change.at,
                "actor": self.actor.name,
                "digest_a": "0",
                "digest_b": "0",
            }
            change.connection.execute(insert(batches), values)
            part_store.end(change.connection, self.unit.workspace, intent, change.now)
            change.audit(f"batch/{header['batch']}", {"source": self.source.name, "refused": reason})

    def _refuse_staged(
        self, intent: str, header: Mapping[str, object], staged: Staged, engine: DuckEngine
    ) -> IngestReport:
        """A readable delivery that breaks its contract: refused whole, with every violation named."""
        self._refuse(intent, header, "; ".join(staged.violations))
        place = Place(self.path.name, field=f"sources.{self.source.name}.contract")
        hint = "mend the delivery, or change the contract if the change is wanted; the batch was refused whole"
        raise IncompleteError("; ".join(staged.violations), hint=hint, place=place, code="contract")

    def _report(self, engine: DuckEngine, staged: Staged, classified: Classified, batch: int | None) -> IngestReport:
        return IngestReport(
            file=self.path.name,
            source=self.source.name,
            format=staged.format,
            batch=batch,
            state="accepted" if batch is not None else "dry-run",
            reason=None,
            counts=classified.counts,
            totals=classified.totals,
            duplicates_of=classified.duplicates_of,
            statements=staged.statements,
            quarantined=tuple(quarantine_rows(engine, classified.quarantine_paths, SHOWN_REJECTIONS)),
            inferred=staged.inferred,
            undated=classified.undated,
        )

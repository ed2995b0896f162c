"""Runs of match reconciliations: open on the head, take slices, close. One path for batch, stream and dry run.

A slice and a close execute the same plan over the same inputs; a close also moves the head, once, by
compare-and-swap on its fence. What a run computes lives in core/matching; how findings are written in projection.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import Connection, func, insert, select, update

from tieout import __version__
from tieout.adapters import parts as part_store
from tieout.adapters.store.tables import heads, parts, proofs, runs, slices
from tieout.core.checks import dispute_draft, dispute_fingerprint, dispute_is_over, disputes_plan
from tieout.core.config.parsing import rules_digest
from tieout.core.findings import FindingDraft, draft_of_break, group_drafts
from tieout.core.matching.opening import source_names
from tieout.core.matching.plan import FINDING_COLUMNS, OUTPUTS, match_plan
from tieout.core.matching.proof import proof_lines, result_hash
from tieout.model.audit import JSON, Actor
from tieout.model.clock import instant_text
from tieout.model.configuration import Configuration, ReconciliationConfig
from tieout.model.dataset import DraftPart
from tieout.model.errors import ConflictError, IncompleteError, UsageError
from tieout.model.finding import Kind
from tieout.model.plan import Results, Row
from tieout.model.run import Manifest, ProofLine
from tieout.service.datasets import (
    EARLIER,
    PartNames,
    batch_refs,
    changed_batches,
    key_map_version,
    paths_of,
    record_parts,
    run_parts,
)
from tieout.service.projection import Occasion, Projected, close_absent, converge, due_query, open_due, project
from tieout.service.run_records import COUNTS, FIGURES, load_manifest, load_proof
from tieout.service.staging import engine_for
from tieout.service.unit import Change, Unit

_LEASE_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did. `status` is closed, slice, unchanged or dry-run; `codes` counts open items by code."""

    reconciliation: str
    run: int | None
    status: str
    as_of: date
    proof: tuple[ProofLine, ...]
    matched_records: int
    open_items: int
    codes: Mapping[str, int]
    findings: Projected
    result_hash: str | None
    manifest_digest: str | None
    batches: int


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a run stands on: the head, the open run if there is one, the batches, and what changed."""

    opening_run: int | None
    opening_manifest: Manifest | None
    opening_proof: Mapping[tuple[str, str], ProofLine]
    fence: int
    open_run: int | None
    open_slices: int
    manifest: Manifest
    inputs: PartNames


@dataclass(frozen=True, slots=True)
class _Decided:
    """What the plan gave."""

    results: Results
    lines: tuple[ProofLine, ...]
    hash: str
    drafts: tuple[FindingDraft, ...]
    gone: tuple[str, ...]


def run_reconciliation(
    unit: Unit,
    configuration: Configuration,
    name: str,
    actor: Actor,
    *,
    as_of: date | None = None,
    slice_only: bool = False,
    dry_run: bool = False,
) -> RunReport:
    """Run one reconciliation over what has arrived: open (or reuse the open run), decide, and close.

    With `slice_only` the run stays open; with `dry_run` nothing is written. An unchanged reconciliation writes
    nothing. Raises UsageError for an unknown name, ConflictError when another process is running it, and
    IncompleteError when the proof leaves something unexplained.
    """
    config = configuration.reconciliations.get(name)
    if config is None:
        known = ", ".join(sorted(configuration.reconciliations)) or "none"
        raise UsageError(f"unknown reconciliation {name!r}", hint=f"reconciliations in tieout.yaml: {known}")
    day = as_of or unit.now().date()
    with unit.read() as connection:
        ground = _ground(unit, connection, config, day)
    if _is_unchanged(ground):
        return _tick(unit, config, ground, actor, day, dry_run=dry_run)
    if dry_run:
        return _dry_run(unit, configuration, config, ground)
    return _Run(unit, configuration, config, actor, day, ground).take(slice_only=slice_only)


def _ground(unit: Unit, connection: Connection, config: ReconciliationConfig, day: date) -> _Ground:
    workspace = unit.workspace
    head = connection.execute(
        select(heads).where(heads.c.workspace == workspace, heads.c.reconciliation == config.name)
    ).one_or_none()
    opening_run = None if head is None else head.run
    opened = connection.execute(
        select(runs.c.run, runs.c.slices).where(
            runs.c.workspace == workspace, runs.c.reconciliation == config.name, runs.c.state == "open"
        )
    ).one_or_none()
    before = None if opening_run is None else load_manifest(connection, workspace, opening_run)[0]
    sources = source_names(config)
    watched = sorted({*sources, *([config.disputes] if config.disputes else [])})
    refs = batch_refs(connection, workspace, watched)
    changed = changed_batches(refs, before.accepted if before else ())
    renewed = before is not None and before.rules_digest != rules_digest(config)
    manifest = Manifest(
        reconciliation=config.name,
        rules_digest=rules_digest(config),
        opening_run=opening_run,
        accepted=refs,
        changed=changed,
        as_of=day,
        key_map_version=key_map_version(connection, workspace),
        code_version=__version__,
        settings={"renewed": True} if renewed else {},
    )
    return _Ground(
        opening_run=opening_run,
        opening_manifest=before,
        opening_proof={} if opening_run is None else load_proof(connection, workspace, opening_run),
        fence=0 if head is None else head.fence,
        open_run=None if opened is None else opened.run,
        open_slices=0 if opened is None else opened.slices,
        manifest=manifest,
        inputs=_inputs(connection, workspace, config, manifest),
    )


def _inputs(connection: Connection, workspace: str, config: ReconciliationConfig, manifest: Manifest) -> PartNames:
    """The parts that the plan's inputs consist of, by name."""
    accepted = [ref.batch for ref in manifest.accepted]
    found: PartNames = {}
    for place, source in enumerate(source_names(config)):
        found[f"records_{place}"] = record_parts(connection, workspace, source, accepted)
        found[f"contested_{place}"] = record_parts(
            connection, workspace, source, accepted, dataset="contested", withdrawn=True
        )
        if manifest.opening_run is not None:
            changed = record_parts(connection, workspace, source, manifest.changed, withdrawn=True)
            found[f"changed_{place}"] = changed
    if manifest.opening_run is not None:
        for name, dataset in EARLIER.items():
            found[name] = run_parts(connection, workspace, config.name, dataset, manifest.opening_run)
    if config.disputes:
        found["records"] = record_parts(connection, workspace, config.disputes, accepted)
        found["contested"] = record_parts(connection, workspace, config.disputes, accepted, dataset="contested")
    return found


def _is_unchanged(ground: _Ground) -> bool:
    """Whether the last closed run already says all there is to say."""
    before = ground.opening_manifest
    same_rules = before is not None and before.rules_digest == ground.manifest.rules_digest
    return same_rules and not ground.manifest.changed and ground.open_run is None


def _tick(
    unit: Unit, config: ReconciliationConfig, ground: _Ground, actor: Actor, day: date, *, dry_run: bool
) -> RunReport:
    """Nothing arrived: only time has passed. Findings whose grace is over open; otherwise no row is written."""
    with unit.read() as connection:
        due = connection.execute(due_query(unit.workspace, config.name, day)).all()
        row = connection.execute(
            select(runs).where(runs.c.workspace == unit.workspace, runs.c.run == ground.opening_run)
        ).one()
    if due and not dry_run:
        with unit.change(actor, "run.tick") as change:
            opened = open_due(change, Occasion(config.name, row.run, ground.manifest.rules_digest), day)
            change.audit(f"reconciliation/{config.name}", {"opened": opened, "as_of": day.isoformat()})
    return RunReport(
        reconciliation=config.name,
        run=row.run,
        status="unchanged",
        as_of=day,
        proof=tuple(ground.opening_proof.values()),
        matched_records=0,
        open_items=row.open_items,
        codes={},
        findings=Projected(kept=len(due)),
        result_hash=row.result_hash,
        manifest_digest=row.manifest_digest,
        batches=0,
    )


def _decide(
    unit: Unit,
    configuration: Configuration,
    config: ReconciliationConfig,
    ground: _Ground,
    run: int,
    directory: Path,
) -> _Decided:
    """Execute the plan over the ground's inputs, writing outputs into a directory."""
    opening = ground.opening_run is not None
    renewed = bool(ground.manifest.settings.get("renewed"))
    # A withdrawal closes findings of its batch; where another batch says the same record, they must come back.
    withdrawn = not {ref.batch for ref in ground.manifest.accepted}.issuperset(ground.manifest.changed)
    complete = ground.open_slices > 0 or withdrawn
    plan = match_plan(config, run, opening=opening, complete=complete, renewed=renewed)
    with unit.read() as connection:
        inputs = paths_of(unit, connection, ground.inputs)
    outputs = {name: directory / f"{dataset}.parquet" for name, dataset in OUTPUTS.items()}
    with engine_for(configuration.engine, unit.cache_directory / "spill") as engine:
        results = engine.run(plan, inputs, outputs)
        disputes: list[Row] = []
        if config.disputes:
            disputes = engine.run(disputes_plan(), inputs, {}).measured["disputes"]
    lines = proof_lines(results.measured["movements"], ground.opening_proof)
    unexplained = [line for line in lines if line.unexplained_minor]
    if unexplained:
        sides = ", ".join(f"{line.side} {line.currency}" for line in unexplained)
        hint = "nothing was closed; run `tieout verify` and report this"
        raise IncompleteError(f"the proof of {config.name} leaves an unexplained difference in {sides}", hint=hint)
    drafts, gone = _findings(config, results, disputes, ground.manifest.as_of)
    return _Decided(results, tuple(lines), result_hash(results.measured, lines), drafts, gone)


def _findings(
    config: ReconciliationConfig, results: Results, disputes: Sequence[Row], as_of: date
) -> tuple[tuple[FindingDraft, ...], tuple[str, ...]]:
    """What the run sees as findings, and the fingerprints of those that converged."""
    rows = [dict(zip(FINDING_COLUMNS, row, strict=True)) for row in results.measured["breaks"]]
    drafts = [draft_of_break(row, config, as_of) for row in rows]
    drafts += group_drafts(results.measured["groups"], config, as_of)
    source = config.disputes or ""
    drafts += [dispute_draft(config.name, source, row, config.severity) for row in disputes if not dispute_is_over(row)]
    gone = [
        draft_of_break(dict(zip(FINDING_COLUMNS, row, strict=True)), config, as_of).fingerprint
        for row in results.measured.get("converged", [])
    ]
    gone += [dispute_fingerprint(config.name, source, row) for row in disputes if dispute_is_over(row)]
    return tuple(drafts), tuple(gone)


def _dry_run(unit: Unit, configuration: Configuration, config: ReconciliationConfig, ground: _Ground) -> RunReport:
    """The same work into a scratch directory; nothing is opened, written or moved."""
    with unit.read() as connection:
        run = ground.open_run or _next_run(connection, unit.workspace)
    with tempfile.TemporaryDirectory(prefix="tieout-") as scratch:
        decided = _decide(unit, configuration, config, ground, run, Path(scratch))
    return _report(config, ground, decided, None, "dry-run", Projected(new=len(decided.drafts)))


def _next_run(connection: Connection, workspace: str) -> int:
    return (connection.scalar(select(func.max(runs.c.run)).where(runs.c.workspace == workspace)) or 0) + 1


def _report(
    config: ReconciliationConfig,
    ground: _Ground,
    decided: _Decided,
    run: int | None,
    status: str,
    projected: Projected,
) -> RunReport:
    return RunReport(
        reconciliation=config.name,
        run=run,
        status=status,
        as_of=ground.manifest.as_of,
        proof=decided.lines,
        matched_records=sum(line.matched_count for line in decided.lines),
        open_items=sum(line.closing_count for line in decided.lines),
        codes={str(code): int(str(count)) for code, count, _ in decided.results.measured["codes"]},
        findings=projected,
        result_hash=decided.hash,
        manifest_digest=ground.manifest.digest,
        batches=len(ground.manifest.changed),
    )


@dataclass(slots=True)
class _Run:
    """One run being taken: open, decide, slice or close."""

    unit: Unit
    configuration: Configuration
    config: ReconciliationConfig
    actor: Actor
    day: date
    ground: _Ground

    def take(self, *, slice_only: bool) -> RunReport:
        """Open, decide and commit, as a slice or as the close."""
        run, fence, intent = self._open()
        directory = part_store.intent_directory(self.unit.parts_directory, intent)
        decided = _decide(self.unit, self.configuration, self.config, self.ground, run, directory)
        number = self.ground.open_slices + 1 if slice_only else None
        drafts = [
            DraftPart(dataset, directory / f"{dataset}.parquet", decided.results.written[name],
                      reconciliation=self.config.name, run=run, slice=number)
            for name, dataset in OUTPUTS.items()
            if decided.results.written.get(name)
        ]  # fmt: skip
        settled = part_store.settle(drafts)
        action = "run.slice" if slice_only else "run.close"
        with self.unit.change(self.actor, action) as change:
            self._move_head(change, run, fence, close=not slice_only)
            self._retire_slices(change, run)
            part_store.publish(change.connection, self.unit.workspace, intent, settled, change.now)
            projected = self._project(change, run, decided)
            if slice_only:
                self._write_slice(change, run, number or 1, decided)
            else:
                self._write_close(change, run, decided)
            details = {**self._audited(decided, projected), "parts": [part.sha256 for part in settled]}
            change.audit(f"run/{run}", details)
        status = "slice" if slice_only else "closed"
        return _report(self.config, self.ground, decided, run, status, projected)

    def _open(self) -> tuple[int, int, str]:
        """Take the lease, open a run or reuse the open one, and announce the files to come."""
        unit, name = self.unit, self.config.name
        with unit.change(self.actor, "run.open") as change:
            connection, workspace = change.connection, unit.workspace
            part_store.sweep(connection, workspace, unit.parts_directory, change.now)
            head = connection.execute(
                select(heads).where(heads.c.workspace == workspace, heads.c.reconciliation == name)
            ).one_or_none()
            if head is not None and _leased(head.lease_owner, head.lease_expires_at, change):
                raise ConflictError(f"{name} is being run by {head.lease_owner}", hint="wait for it, then repeat")
            if (0 if head is None else head.fence) != self.ground.fence:
                raise ConflictError(f"{name} was run in between", hint="repeat the command")
            fence = self.ground.fence + 1
            lease = {
                "fence": fence,
                "lease_owner": part_store.process_owner(),
                "lease_expires_at": instant_text(change.now + timedelta(seconds=_LEASE_SECONDS)),
            }
            if head is None:
                values = {"workspace": workspace, "reconciliation": name, "run": None, **lease}
                connection.execute(insert(heads), values)
            else:
                where = (heads.c.workspace == workspace, heads.c.reconciliation == name)
                connection.execute(update(heads).where(*where).values(**lease))
            run = self.ground.open_run or _next_run(connection, workspace)
            if self.ground.open_run is None:
                values = {
                    "workspace": workspace,
                    "run": run,
                    "reconciliation": name,
                    "state": "open",
                    "as_of": self.day.isoformat(),
                    "opened_at": change.at,
                    "opening_run": self.ground.opening_run,
                    "fence": fence,
                    "actor": self.actor.name,
                }
                connection.execute(insert(runs), values)
            intent, _ = part_store.begin(connection, workspace, change.now)
            change.audit(f"run/{run}", {"reconciliation": name, "reused": self.ground.open_run is not None})
        return run, fence, intent

    def _move_head(self, change: Change, run: int, fence: int, *, close: bool) -> None:
        """The compare-and-swap: only who still holds the fence may commit."""
        values: dict[str, object] = {"lease_owner": None, "lease_expires_at": None}
        if close:
            values["run"] = run
        moved = change.connection.execute(
            update(heads)
            .where(
                heads.c.workspace == self.unit.workspace,
                heads.c.reconciliation == self.config.name,
                heads.c.fence == fence,
            )
            .values(**values)
        )
        if moved.rowcount != 1:
            raise ConflictError(f"{self.config.name} was taken over by another process", hint="repeat the command")

    def _retire_slices(self, change: Change, run: int) -> None:
        """What earlier slices of this run wrote was a preview; the newer decision replaces it."""
        if not self.ground.open_slices:
            return
        where = (parts.c.workspace == self.unit.workspace, parts.c.run == run, parts.c.slice.is_not(None))
        change.connection.execute(update(parts).where(*where).values(state="withdrawn"))

    def _project(self, change: Change, run: int, decided: _Decided) -> Projected:
        occasion = Occasion(self.config.name, run, self.ground.manifest.rules_digest)
        reason = f"the sides agree as of {self.day}"
        projected = project(change, occasion, decided.drafts)
        open_due(change, occasion, self.day)
        if self.ground.open_slices:
            present = [draft.fingerprint for draft in decided.drafts]
            return projected + close_absent(change, occasion, present, reason)
        groups = {draft.fingerprint for draft in decided.drafts if draft.kind is Kind.GROUP}
        return (
            projected
            + converge(change, occasion, decided.gone, reason)
            + close_absent(change, occasion, groups, reason, kind=Kind.GROUP)
        )

    def _write_slice(self, change: Change, run: int, number: int, decided: _Decided) -> None:
        batches = json.dumps(list(self.ground.manifest.changed))
        counts = self._counts(decided)
        key = {"workspace": self.unit.workspace, "run": run}
        values = {**key, "slice": number, "taken_at": change.at, "reason": "requested", "batches": batches, **counts}
        change.connection.execute(insert(slices), values)
        where = (runs.c.workspace == self.unit.workspace, runs.c.run == run)
        change.connection.execute(update(runs).where(*where).values(slices=number, **counts))

    def _write_close(self, change: Change, run: int, decided: _Decided) -> None:
        rows = [_proof_values(self.unit.workspace, run, line) for line in decided.lines]
        if rows:
            change.connection.execute(insert(proofs), rows)
        manifest = self.ground.manifest
        kept = {
            "manifest": json.loads(manifest.as_json()),
            "parts": self.ground.inputs,
            "rules": asdict(self.config),
        }
        where = (runs.c.workspace == self.unit.workspace, runs.c.run == run)
        values = {
            "state": "closed",
            "as_of": self.day.isoformat(),
            "closed_at": change.at,
            "manifest": json.dumps(kept, sort_keys=True),
            "manifest_digest": manifest.digest,
            "result_hash": decided.hash,
            "slices": self.ground.open_slices + 1,
            **self._counts(decided),
        }
        change.connection.execute(update(runs).where(*where).values(**values))

    def _counts(self, decided: _Decided) -> dict[str, int]:
        open_items = sum(line.closing_count for line in decided.lines)
        matched = sum(line.matched_count for line in decided.lines)
        return {"matched": matched, "open_items": open_items, "breaks": open_items}

    def _audited(self, decided: _Decided, projected: Projected) -> dict[str, JSON]:
        return {
            "reconciliation": self.config.name,
            "manifest": self.ground.manifest.digest,
            "result": decided.hash,
            "new_findings": projected.new,
            "closed_findings": projected.closed,
            **self._counts(decided),
        }


def _leased(owner: str | None, expires_at: str | None, change: Change) -> bool:
    """Whether somebody else is at work on the reconciliation right now."""
    if owner is None or expires_at is None or owner == part_store.process_owner():
        return False
    return expires_at > change.at and part_store.owner_alive(owner)


def _proof_values(workspace: str, run: int, line: ProofLine) -> dict[str, object]:
    figures = {name: str(getattr(line, f"{name}_minor")) for name in FIGURES}
    counts = {name: getattr(line, name) for name in COUNTS}
    return {"workspace": workspace, "run": run, "side": line.side, "currency": line.currency, **figures, **counts}

"""What closed runs left in the control plane: manifest, rules, proof; and computing a run again from them.

Ground for runs, replays, exports and verification. What a run computes lives in core/matching.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from tieout.adapters.store.tables import parts, proofs, runs
from tieout.core.matching.plan import OUTPUTS, match_plan
from tieout.core.matching.proof import proof_lines, result_hash
from tieout.core.replaying import reconciliation_from
from tieout.model.configuration import Configuration, ReconciliationConfig
from tieout.model.errors import IncompleteError, UsageError
from tieout.model.run import Manifest, ProofLine
from tieout.service.datasets import PartNames, paths_of
from tieout.service.staging import engine_for
from tieout.service.unit import Unit

FIGURES = ("opening", "new", "amended", "reopened", "withdrawn", "matched", "written_off", "closing", "unexplained")
"""Figures of a proof line, as the columns of `proofs` name them; the dataclass adds `_minor`."""

COUNTS = ("opening_count", "new_count", "matched_count", "closing_count")
"""Counts of a proof line."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A closed run computed again: the hash it was closed with, and the one that its inputs give now."""

    reconciliation: str
    stored_hash: str
    recomputed_hash: str


def load_proof(connection: Connection, workspace: str, run: int) -> dict[tuple[str, str], ProofLine]:
    """The proof of a closed run by side and currency."""
    query = select(proofs).where(proofs.c.workspace == workspace, proofs.c.run == run).order_by(
        proofs.c.side, proofs.c.currency
    )  # fmt: skip
    lines = {}
    for row in connection.execute(query):
        figures = {f"{name}_minor": int(getattr(row, name)) for name in FIGURES if name != "unexplained"}
        counts = {name: int(getattr(row, name)) for name in COUNTS}
        lines[(row.side, row.currency)] = ProofLine(side=row.side, currency=row.currency, **figures, **counts)
    return lines


def load_manifest(connection: Connection, workspace: str, run: int) -> tuple[Manifest, PartNames]:
    """The manifest of a closed run, and the parts its inputs consisted of. Raises UsageError when there is none."""
    kept = _kept(connection, workspace, run)
    return Manifest.from_json(json.dumps(kept["manifest"])), kept["parts"]


def load_rules(connection: Connection, workspace: str, run: int) -> ReconciliationConfig:
    """The rules that a closed run decided by. Raises UsageError when there is no such run."""
    return reconciliation_from(_kept(connection, workspace, run)["rules"])


def _kept(connection: Connection, workspace: str, run: int) -> dict[str, dict[str, list[str]]]:
    """What a run kept of itself when it closed: `manifest`, `parts` (input name to part names) and `rules`."""
    text = connection.scalar(select(runs.c.manifest).where(runs.c.workspace == workspace, runs.c.run == run))
    if text is None:
        raise UsageError(f"there is no closed run {run}", hint="`tieout runs` lists them")
    kept: dict[str, dict[str, list[str]]] = json.loads(text)
    return kept


def recompute(unit: Unit, connection: Connection, configuration: Configuration, run: int) -> Recomputed:
    """Decide a closed run again from the parts and rules it was closed with, in a scratch directory.

    Of the configuration only the engine's bounds are used. Raises UsageError when there is no such run, and
    IncompleteError when something it stood on is gone.
    """
    manifest, names = load_manifest(connection, unit.workspace, run)
    rules = load_rules(connection, unit.workspace, run)
    stored = connection.scalar(select(runs.c.result_hash).where(runs.c.workspace == unit.workspace, runs.c.run == run))
    _require(connection, unit.workspace, run, names)
    inputs = paths_of(unit, connection, names)
    opening = manifest.opening_run
    before = {} if opening is None else load_proof(connection, unit.workspace, opening)
    renewed = bool(manifest.settings.get("renewed"))
    plan = match_plan(rules, run, opening=opening is not None, renewed=renewed)
    with (
        tempfile.TemporaryDirectory(prefix="tieout-") as scratch,
        engine_for(configuration.engine, unit.cache_directory / "spill") as engine,
    ):
        measured = engine.run(plan, inputs, {name: Path(scratch) / f"{name}.parquet" for name in OUTPUTS}).measured
    lines = proof_lines(measured["movements"], before)
    return Recomputed(manifest.reconciliation, str(stored), result_hash(measured, lines))


def _require(connection: Connection, workspace: str, run: int, names: PartNames) -> None:
    """Parts that the catalogue does not know any more would silently be read as nothing."""
    wanted = {part for listed in names.values() for part in listed}
    query = select(parts.c.part).where(parts.c.workspace == workspace, parts.c.part.in_(sorted(wanted)))
    gone = sorted(wanted - set(connection.scalars(query)))
    if gone:
        hint = "restore the database, then `tieout verify`"
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        message = f"part {gone[0]}{more}, which run {run} read, is not in the catalogue any more"
        raise IncompleteError(message, hint=hint)

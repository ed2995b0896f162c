"""`verify`: does everything hold that must always hold? One snapshot of a workspace, every check, every breach named.

To add a check: write one function `(evidence, subject) -> breaches` in `verification_rows` (control plane) or
`verification_columns` (parts), and give it a line in CHECKS. Nothing here writes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tieout.model.audit import Breach
from tieout.model.configuration import Configuration
from tieout.model.errors import TieoutError
from tieout.service import verification_columns as columns
from tieout.service import verification_rows as rows
from tieout.service.evidence import (
    Check,
    Evidence,
    each_reconciliation,
    each_source,
    whole_workspace,
)
from tieout.service.staging import engine_for
from tieout.service.unit import Unit

CHECKS: tuple[Check, ...] = (
    Check(1, "counts of every batch add up", whole_workspace, rows.batch_counts),
    Check(1, "amounts read are the sum over outcomes, per currency", whole_workspace, rows.batch_sums),
    Check(1, "visible parts hold what each batch accepted and quarantined", whole_workspace, rows.batch_parts),
    Check(1, "record parts add up to their batches, per currency and digest", whole_workspace, columns.record_sums),
    Check(2, "the sides of every match are equal, typed residuals counted", each_reconciliation, columns.match_sums),
    Check(2, "no proof leaves anything unexplained, each opens where one closed", each_reconciliation,
          rows.proof_lines_hold),
    Check(2, "runs count what their proofs count", each_reconciliation, rows.run_counts),
    Check(2, "proofs agree with the matches and open items in the parts", each_reconciliation, columns.proof_figures),
    Check(3, "no record is allocated beyond its amount, or used twice", each_reconciliation, columns.allocations_fit),
    Check(6, "the latest closed runs give the same result again", each_reconciliation, columns.replays_agree),
    Check(7, "every record has one current version", each_source, columns.versions),
    Check(8, "parts have the bytes and rows they were published with", whole_workspace, columns.part_files),
    Check(8, "raw files are kept byte for byte", whole_workspace, columns.raw_files),
    Check(10, "closed runs keep manifest, rules, inputs and result", each_reconciliation, rows.manifests_hold),
    Check(11, "the audit chain is whole", whole_workspace, rows.audit_chain),
    Check(12, "every finding's history ends in its state", whole_workspace, rows.finding_states),
    Check(12, "findings moved by legal transitions only", whole_workspace, rows.finding_transitions_are_legal),
    Check(15, "no part leaves the workspace's directory", whole_workspace, rows.part_places),
    Check(15, "every reference stays inside the workspace", whole_workspace, rows.references),
    Check(16, "no column of a part is floating", whole_workspace, columns.exact_columns),
    Check(16, "no record exceeds 10^15 minor units", whole_workspace, columns.amounts_in_range),
    Check(16, "totals in rows are whole minor units", whole_workspace, rows.proof_figures_are_whole),
    Check(17, "every open item that is due has its finding", each_reconciliation, columns.open_items_are_found),
)  # fmt: skip
"""All checks, in the order of the list of invariants."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was looked at and what is wrong. `checked` maps an invariant's number to what was asked of it; `state`
    maps a source to its state text (rows and a hash), equal wherever the same deliveries were taken in."""

    breaches: tuple[Breach, ...]
    checked: Mapping[int, str]
    state: Mapping[str, str]


def verify(unit: Unit, configuration: Configuration, *, replay_runs: int = 1) -> VerifyReport:
    """Check every invariant on one snapshot of a workspace; `replay_runs` closed runs a reconciliation are recomputed.

    Damage never raises: a check that cannot run is a breach that names what stopped it. Of the configuration only
    the engine's bounds are used.
    """
    breaches: list[Breach] = []
    state: dict[str, str] = {}
    with (
        unit.read() as connection,
        tempfile.TemporaryDirectory(prefix="tieout-") as scratch,
        engine_for(configuration.engine, unit.cache_directory / "spill") as engine,
    ):
        evidence = Evidence(unit, configuration, connection, engine, Path(scratch), replay_runs)
        for check in CHECKS:
            _carry_out(check, evidence, breaches)
        with _noted(7, "sources", breaches):
            for source in each_source(evidence):
                with _noted(7, source, breaches):
                    state[source] = columns.state_of(evidence, source)
    return VerifyReport(tuple(breaches), _checked(), state)


def _checked() -> dict[int, str]:
    """The invariants that are checked, and by what, in words."""
    said: dict[int, list[str]] = {}
    for check in CHECKS:
        said.setdefault(check.invariant, []).append(check.says)
    return {number: "; ".join(texts) for number, texts in said.items()}


def _carry_out(check: Check, evidence: Evidence, breaches: list[Breach]) -> None:
    """One check over all its subjects; what one subject's damage stops, it does not stop for the others."""
    with _noted(check.invariant, check.says, breaches):
        for subject in check.over(evidence):
            with _noted(check.invariant, subject, breaches):
                breaches.extend(check.find(evidence, subject))


@contextmanager
def _noted(invariant: int, subject: str, breaches: list[Breach]) -> Iterator[None]:
    """Turn whatever stops a check into a breach. Damaged rows and files fail in ways that nobody can list, hence
    `Exception`; `list.extend` keeps what was found before."""
    try:
        yield
    except TieoutError as error:
        breaches.append(Breach(invariant, subject, f"could not be checked: {error.message}"))
    except Exception as error:
        text = str(error).strip() or type(error).__name__
        breaches.append(Breach(invariant, subject, f"could not be checked: {text.splitlines()[0]}"))

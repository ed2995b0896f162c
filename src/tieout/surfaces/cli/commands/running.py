"""Running reconciliations and judging the outcome, for `run`, `plan` and `demo`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from tieout.model.errors import IncompleteError, UsageError
from tieout.service.checks import CheckReport, check_source
from tieout.service.customers import refresh_key_map
from tieout.service.listing import AgeRow, FindingCounts, count_findings, open_items_by_age
from tieout.service.runs import RunReport, run_reconciliation
from tieout.surfaces.cli.session import Session


@dataclass(frozen=True, slots=True)
class Ran:
    """One reconciliation and what became of it: its report and open items by age, or why it did not finish."""

    name: str
    threshold: int
    report: RunReport | None = None
    ages: tuple[AgeRow, ...] = ()
    error: IncompleteError | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything one call did. `counts` are the findings that stand afterwards, by reconciliation."""

    key_map_version: int | None
    checks: tuple[CheckReport, ...]
    ran: tuple[Ran, ...]
    counts: dict[str, FindingCounts] = field(default_factory=dict)

    @property
    def limits(self) -> dict[str, int]:
        """How many open findings each reconciliation, and each checked source, may have: a source none."""
        return {one.name: one.threshold for one in self.ran} | {f"source:{one.source}": 0 for one in self.checks}

    @property
    def over_threshold(self) -> list[str]:
        """Reconciliations and checked sources with more open findings than they may have."""
        return [name for name, limit in self.limits.items() if self.counts.get(name, FindingCounts()).open > limit]

    @property
    def is_incomplete(self) -> bool:
        """Whether a reconciliation could not be run to its end."""
        return any(one.error is not None for one in self.ran)


def run_all(
    opened: Session,
    names: Sequence[str],
    tell: Callable[[str], None],
    *,
    as_of: date | None = None,
    slice_only: bool = False,
    dry_run: bool = False,
) -> Outcome:
    """Run the named reconciliations; without names refresh the key map, check every source, then run all.

    One that does not finish does not stop the others. Raises UsageError for an unknown name before anything is run.
    """
    configuration = opened.configuration
    for name in names:
        if name not in configuration.reconciliations:
            known = ", ".join(configuration.reconciliations) or "none"
            raise UsageError(f"unknown reconciliation {name!r}", hint=f"reconciliations in tieout.yaml: {known}")
    version: int | None = None
    checks: list[CheckReport] = []
    if not names:
        if not dry_run:
            tell("reading the key map …")
            version = refresh_key_map(opened.unit, configuration, opened.base, opened.actor)
        for source in configuration.sources:
            tell(f"checking {source} …")
            checks.append(check_source(opened.unit, configuration, source, opened.actor, as_of=as_of, dry_run=dry_run))
    ran = []
    for name in dict.fromkeys(names or configuration.reconciliations):
        tell(f"reconciling {name} …")
        ran.append(_run_one(opened, name, as_of=as_of, slice_only=slice_only, dry_run=dry_run))
    return Outcome(version, tuple(checks), tuple(ran), count_findings(opened.unit))


def _run_one(opened: Session, name: str, *, as_of: date | None, slice_only: bool, dry_run: bool) -> Ran:
    threshold = opened.configuration.reconciliations[name].threshold
    try:
        report = run_reconciliation(
            opened.unit,
            opened.configuration,
            name,
            opened.actor,
            as_of=as_of,
            slice_only=slice_only,
            dry_run=dry_run,
        )
    except IncompleteError as error:
        return Ran(name, threshold, error=error)
    ages: list[AgeRow] = []
    if report.status in ("closed", "unchanged"):
        ages = open_items_by_age(opened.unit, opened.configuration, name, report.as_of)
    return Ran(name, threshold, report, tuple(ages))

"""`tieout run`: reconcile what has arrived, prove it, and say what disagrees."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from tieout.service.listing import FindingCounts, FindingQuery, FindingRow, list_findings
from tieout.surfaces.cli.commands.options import Json, day_of, single_command
from tieout.surfaces.cli.commands.running import Outcome, run_all
from tieout.surfaces.cli.failures import CLEAN, FINDINGS, INCOMPLETE, error_document, say
from tieout.surfaces.cli.invocation import invocation_of
from tieout.surfaces.cli.output import console, progress, write_json
from tieout.surfaces.cli.render.runs import (
    check_document,
    print_checks,
    print_next,
    print_report,
    print_summary,
    report_document,
)
from tieout.surfaces.cli.session import Session, session

SHOWN_FINDINGS = 5
"""Findings that are spelt out for each reconciliation; `tieout findings` has them all."""

app = single_command()

Names = Annotated[list[str] | None, typer.Argument(help="Reconciliations in tieout.yaml; absent: all of them.")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="The day to judge grace and age at, YYYY-MM-DD; default today.")
]


@app.command()
def command(
    context: typer.Context,
    reconciliations: Names = None,
    as_of: AsOf = None,
    slice_only: Annotated[bool, typer.Option("--slice", help="Take a slice only: the run stays open.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would come of it; nothing is written.")] = False,
    as_json: Json = False,
) -> None:
    """Reconcile what has arrived, prove the result, and show what disagrees.

    Without names the key map is refreshed, every source is checked, and all reconciliations run. Ends with 1 when a
    reconciliation has more open findings than its `threshold`, or a checked source has any; a dry run judges nothing.
    """
    execute(context, reconciliations or [], as_of, slice_only=slice_only, dry_run=dry_run, as_json=as_json)


def execute(
    context: typer.Context, names: list[str], as_of: str | None, *, slice_only: bool, dry_run: bool, as_json: bool
) -> None:
    """Run, show, and end with the exit code that the outcome asks for. The one path of `run` and `plan`."""
    with session(context) as opened:
        with progress() as tell:
            outcome = run_all(opened, names, tell, as_of=day_of(as_of), slice_only=slice_only, dry_run=dry_run)
        code = exit_code(outcome, dry_run=dry_run)
        if as_json:
            write_json(_document(outcome, code))
        else:
            print_outcome(opened, outcome, invocation_of(context).words, dry_run=dry_run)
    for one in outcome.ran:
        if one.error is not None:
            say(f"{one.name}: {one.error}", error=True)
    raise typer.Exit(code)


def exit_code(outcome: Outcome, *, dry_run: bool) -> int:
    """3 where something did not finish, 1 where there are findings over a threshold, else 0."""
    if outcome.is_incomplete:
        return INCOMPLETE
    return FINDINGS if outcome.over_threshold and not dry_run else CLEAN


def _document(outcome: Outcome, code: int) -> dict[str, object]:
    counts = outcome.counts
    nothing = FindingCounts()
    ran: list[dict[str, Any]] = []
    for one in outcome.ran:
        if one.report is None:
            error = None if one.error is None else error_document(one.error)
            ran.append({"reconciliation": one.name, "status": "failed", "error": error})
        else:
            ran.append(report_document(one.report, one.ages, counts.get(one.name, nothing), one.threshold))
    return {
        "reconciliations": ran,
        "sources": [check_document(one, counts.get(f"source:{one.source}", nothing)) for one in outcome.checks],
        "key_map_version": outcome.key_map_version,
        "over_threshold": outcome.over_threshold,
        "exit_code": code,
    }


def print_outcome(
    opened: Session, outcome: Outcome, words: str, *, dry_run: bool, shown_findings: int = SHOWN_FINDINGS
) -> None:
    """The whole outcome on a terminal; `words` is how Tieout was called."""
    out = console()
    print_checks(out, outcome.checks, outcome.counts)
    for one in outcome.ran:
        if one.report is None:
            continue
        shown = [] if one.report.status == "dry-run" else _gravest(opened, one.name, shown_findings)
        counts = outcome.counts.get(one.name, FindingCounts())
        print_report(out, one.report, one.ages, counts, shown, one.threshold, words)
    if dry_run:
        print_next(out, " ".join([words, "run", *(one.name for one in outcome.ran if len(outcome.ran) == 1)]))
        return
    print_verdict(out, outcome)
    rows, _ = list_findings(opened.unit, FindingQuery(reconciliations=tuple(outcome.limits), limit=1))
    if rows:
        print_next(out, f"{words} findings", f"{words} findings show {rows[0].finding}")
    else:
        print_next(out, f"{words} proof", f"{words} export proof --output proof.csv")


def print_verdict(out: Console, outcome: Outcome) -> None:
    """Every reconciliation, and every source with findings, on a line."""
    limits = {name: limit for name, limit in outcome.limits.items()
              if not name.startswith("source:") or name in outcome.counts}  # fmt: skip
    print_summary(out, limits, outcome.counts, [one.name for one in outcome.ran if one.error is not None])


def _gravest(opened: Session, name: str, limit: int) -> list[FindingRow]:
    return list_findings(opened.unit, FindingQuery(reconciliations=(name,), limit=limit))[0]

"""`tieout findings`: list disagreements, and tell all about one of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tieout.service.listing import FindingQuery, count_findings, list_findings, show_finding
from tieout.surfaces.cli.commands.options import Json, Limit
from tieout.surfaces.cli.invocation import invocation_of
from tieout.surfaces.cli.output import console, text, write_json
from tieout.surfaces.cli.render.figures import counted
from tieout.surfaces.cli.render.findings import finding_document, finding_view, findings_view
from tieout.surfaces.cli.render.runs import print_next
from tieout.surfaces.cli.session import session

SHOWN = 50
ALL_STATES = ("pending", "open", "acknowledged", "in_progress", "pending_approval", "resolved", "ignored")

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def command(
    context: typer.Context,
    state: Annotated[
        list[str] | None, typer.Option("--state", "-s", help="A state, or `all`; default: all that wait for somebody.")
    ] = None,
    severity: Annotated[list[str] | None, typer.Option("--severity", help="warning, high or critical.")] = None,
    code: Annotated[
        list[str] | None, typer.Option("--code", "-c", help="What is wrong, such as AMOUNT_MISMATCH.")
    ] = None,
    reconciliation: Annotated[
        list[str] | None, typer.Option("--reconciliation", "-r", help="A reconciliation, or source:NAME.")
    ] = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """List findings, the gravest and oldest first. Each option may be given several times.

    `tieout findings show ID` tells all about one.
    """
    if context.invoked_subcommand is not None:
        return
    states = ALL_STATES if state and "all" in state else tuple(word.lower() for word in state or ())
    shown = limit if limit is not None or as_json else SHOWN
    query = FindingQuery(
        states=states,
        severities=tuple(word.lower() for word in severity or ()),
        codes=tuple(word.upper() for word in code or ()),
        reconciliations=tuple(reconciliation or ()),
        limit=shown,
    )
    with session(context) as opened:
        rows, total = list_findings(opened.unit, query)
        pending = sum(counts.pending for counts in count_findings(opened.unit).values())
    if as_json:
        write_json({"findings": [finding_document(row) for row in rows], "total": total})
        return
    out = console()
    out.print(findings_view(rows))
    words = counted(total, "finding") if len(rows) == total else f"{len(rows):,} of {counted(total, 'finding')} shown"
    out.print(text(words if total else "no findings", "bold" if total else "green"))
    if pending and not states:
        out.print(text(f"{pending:,} more are pending, inside grace: --state pending", "dim"))
    if rows:
        print_next(out, f"{invocation_of(context).words} findings show {rows[0].finding}")


@app.command()
def show(
    context: typer.Context,
    finding: Annotated[int, typer.Argument(metavar="ID", help="The finding's number.")],
    as_json: Json = False,
) -> None:
    """Tell all about one finding: what each side says, what it is worth, evidence and history."""
    with session(context) as opened:
        row, history = show_finding(opened.unit, finding)
    if as_json:
        write_json({"finding": finding_document(row), "history": [asdict(event) for event in history]})
        return
    console().print(finding_view(row, history))

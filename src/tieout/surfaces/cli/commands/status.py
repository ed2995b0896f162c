"""`tieout status`: where every source and reconciliation stands."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.text import Text

from tieout.service.status import ReconciliationStatus, reconciliation_statuses, source_statuses
from tieout.surfaces.cli.commands.options import Json, single_command
from tieout.surfaces.cli.invocation import invocation_of
from tieout.surfaces.cli.output import console, table, text, write_json
from tieout.surfaces.cli.render.figures import counted, instant
from tieout.surfaces.cli.render.findings import counts_line
from tieout.surfaces.cli.render.runs import counts_document, print_next
from tieout.surfaces.cli.session import session

app = single_command()


@app.command()
def command(context: typer.Context, as_json: Json = False) -> None:
    """Show where every source and reconciliation stands, and what to do next."""
    with session(context) as opened:
        sources = source_statuses(opened.unit, opened.configuration)
        reconciliations = reconciliation_statuses(opened.unit, opened.configuration)
        workspace = opened.unit.workspace
    if as_json:
        write_json(
            {
                "workspace": workspace,
                "sources": [asdict(one) for one in sources],
                "reconciliations": [_document(one) for one in reconciliations],
            }
        )
        return
    out, words = console(), invocation_of(context).words
    out.print(text(f"workspace {workspace}", "bold"))
    made = table("source", ">batches", ">records", ">quarantined", ">refused", "last received")
    for one in sources:
        made.add_row(
            text(one.source), f"{one.batches:,}", f"{one.records:,}", _alarming(one.quarantined),
            _alarming(one.refused), instant(one.last_received)[:16],
        )  # fmt: skip
    out.print(made)
    any_remark = any(_remark(status) for status in reconciliations)
    shown = table("!reconciliation", ">run", "as of", ">open items", "findings", *(["to do"] if any_remark else []))
    for status in reconciliations:
        run = "" if status.run is None else str(status.run)
        shown.add_row(
            text(status.reconciliation), run, status.as_of or "", f"{status.open_items:,}",
            counts_line(status.findings), *([_remark(status)] if any_remark else []),
        )  # fmt: skip
    if reconciliations:
        out.print(shown)
    if any_remark:
        print_next(out, f"{words} run")
    elif any(one.findings.open for one in reconciliations):
        print_next(out, f"{words} findings")


def _alarming(count: int) -> Text:
    return Text(f"{count:,}", style="red" if count else "")


def _remark(status: ReconciliationStatus) -> Text:
    """What there is to do, in a few words."""
    remarks = []
    if status.waiting:
        remarks.append(f"{counted(status.waiting, 'batch')} waiting")
    if status.rules_changed:
        remarks.append("rules changed")
    if status.open_run is not None:
        remarks.append(f"run {status.open_run} is open")
    return Text(", ".join(remarks), style="yellow")


def _document(status: ReconciliationStatus) -> dict[str, object]:
    return {**asdict(status), "findings": counts_document(status.findings)}

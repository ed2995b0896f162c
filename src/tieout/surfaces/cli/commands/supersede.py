"""`tieout supersede`: withdraw a faulty batch as a whole; nothing is deleted, and what it hid comes back."""

from __future__ import annotations

from typing import Annotated

import typer

from tieout.service.withdrawal import supersede
from tieout.surfaces.cli.commands.options import Json, single_command
from tieout.surfaces.cli.invocation import invocation_of
from tieout.surfaces.cli.output import console, progress, text, write_json
from tieout.surfaces.cli.render.figures import counted
from tieout.surfaces.cli.render.runs import print_next
from tieout.surfaces.cli.session import session

app = single_command()


@app.command()
def command(
    context: typer.Context,
    batch: Annotated[int, typer.Argument(metavar="BATCH", help="The batch's number; `tieout batches` lists them.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the batch and in the audit.")],
    as_json: Json = False,
) -> None:
    """Withdraw a faulty batch. Rows that later batches repeated come back from those; the next run shows the change."""
    with session(context) as opened, progress() as tell:
        tell(f"withdrawing batch {batch} …")
        report = supersede(opened.unit, opened.configuration, batch, opened.actor, reason)
    if as_json:
        reread = [{"batch": number, "rows": rows} for number, rows in report.reread]
        write_json(
            {
                "batch": report.batch,
                "source": report.source,
                "rows": report.rows,
                "reread": reread,
                "findings_closed": report.findings_closed,
            }
        )
        return
    out = console()
    out.print(
        text(f"batch {report.batch} of {report.source} is withdrawn with its {counted(report.rows, 'row')}", "green")
    )
    for number, rows in report.reread:
        out.print(text(f"  batch {number} was read again and now brings {counted(rows, 'row')}"))
    if report.findings_closed:
        out.print(text(f"  {counted(report.findings_closed, 'finding')} closed with it"))
    print_next(out, f"{invocation_of(context).words} run")

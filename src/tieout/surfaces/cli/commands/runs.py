"""`tieout runs`: what was run, and with what result."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from tieout.service.listing import list_runs
from tieout.surfaces.cli.commands.options import Json, Limit, single_command
from tieout.surfaces.cli.output import console, table, text, write_json
from tieout.surfaces.cli.render.figures import instant, short_hash
from tieout.surfaces.cli.session import session

SHOWN = 50
WIDE = 100
"""Columns of a terminal from which the time of closing is shown, too."""

app = single_command()


@app.command()
def command(
    context: typer.Context,
    reconciliation: Annotated[
        str | None, typer.Option("--reconciliation", "-r", help="Of one reconciliation only.")
    ] = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """List runs, the latest first. Equal results have equal hashes."""
    with session(context) as opened:
        shown = limit if limit is not None or as_json else SHOWN
        rows = list_runs(opened.unit, reconciliation=reconciliation, limit=shown)
    if as_json:
        write_json({"runs": [asdict(row) for row in rows]})
        return
    out = console()
    closed = ["closed"] if out.width >= WIDE else []
    made = table(">run", "!reconciliation", "!state", "!as of", *closed, ">matched", ">open", "result")
    for row in rows:
        when = [instant(row.closed_at)[:16]] if closed else []
        made.add_row(
            str(row.run), text(row.reconciliation), row.state, row.as_of, *when, f"{row.matched:,}",
            f"{row.open_items:,}", short_hash(row.result_hash)[: 12 if closed else 8],
        )  # fmt: skip
    out.print(made if rows else Text("no runs"))

"""`tieout batches`: what was delivered, and what became of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from tieout.service.listing import list_batches
from tieout.surfaces.cli.commands.options import Json, Limit, single_command
from tieout.surfaces.cli.output import console, table, text, write_json
from tieout.surfaces.cli.render.figures import instant
from tieout.surfaces.cli.session import session

SHOWN = 50
_STYLES = {"refused": "red", "withdrawn": "yellow"}
app = single_command()


@app.command()
def command(
    context: typer.Context,
    source: Annotated[str | None, typer.Option("--source", help="Of one source only.")] = None,
    state: Annotated[str | None, typer.Option("--state", "-s", help="accepted, withdrawn or refused.")] = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """List batches, the latest first: read = accepted + duplicate + superseding + stale + quarantined."""
    with session(context) as opened:
        shown = limit if limit is not None or as_json else SHOWN
        rows = list_batches(opened.unit, source=source, state=state, limit=shown)
    if as_json:
        write_json({"batches": [asdict(row) for row in rows]})
        return
    out = console()
    extra = [
        name for name in ("duplicate", "superseding", "stale", "quarantined") if any(getattr(row, name) for row in rows)
    ]
    made = table(">batch", "source", "file", "received", ">read", ">accepted", *(f">{name}" for name in extra), "state")
    for row in rows:
        figures = [f"{getattr(row, name):,}" for name in extra]
        made.add_row(
            str(row.batch), text(row.source), text(row.file), instant(row.received_at)[:16], f"{row.read:,}",
            f"{row.accepted:,}", *figures, Text(row.state, style=_STYLES.get(row.state, "")),
        )  # fmt: skip
    out.print(made if rows else Text("no batches"))
    for row in rows:
        if row.reason:
            out.print(text(f"batch {row.batch} {row.state}: {row.reason}", "dim"))

"""`tieout batches`: what was delivered, and what became of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from tieout.service.listing import BatchRow, list_batches
from tieout.surfaces.cli.commands.options import Json, Limit, single_command
from tieout.surfaces.cli.output import console, table, text, write_json
from tieout.surfaces.cli.render.figures import instant
from tieout.surfaces.cli.session import session

SHOWN = 50
WIDE = 100
"""Columns of a terminal from which the time of day is shown, too."""
OUTCOMES = ("accepted", "duplicate", "superseding", "stale", "quarantined")

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
    made = table(">batch", "!source", "file", "!received", "what became of it")
    for row in rows:
        received = instant(row.received_at)
        made.add_row(
            str(row.batch), text(row.source), text(row.file), received[: 16 if out.width >= WIDE else 10], _outcome(row)
        )
    out.print(made if rows else Text("no batches"))
    for row in rows:
        if row.reason:
            out.print(text(f"batch {row.batch} {row.state}: {row.reason}", "dim"))


def _outcome(row: BatchRow) -> Text:
    if row.state == "refused":
        return Text("refused", style="red")
    parts = [f"{count:,} {name}" for name in OUTCOMES if (count := getattr(row, name))]
    words = Text(", ".join(parts) or "nothing in it")
    return words.append("; withdrawn", style="yellow") if row.state == "withdrawn" else words

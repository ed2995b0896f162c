"""`tieout replay`: compute a closed run again from its manifest; the hashes must be equal."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tieout.service.replays import replay
from tieout.surfaces.cli.commands.options import Json, single_command
from tieout.surfaces.cli.failures import CLEAN, INCOMPLETE
from tieout.surfaces.cli.output import console, progress, text, write_json
from tieout.surfaces.cli.session import session

app = single_command()


@app.command()
def command(
    context: typer.Context,
    run: Annotated[int, typer.Argument(metavar="RUN", help="A closed run's number; `tieout runs` lists them.")],
    as_json: Json = False,
) -> None:
    """Compute a closed run again from its stored manifest, parts and rules. Writes nothing.

    Ends with 3 when the result is another one.
    """
    with session(context) as opened, progress() as tell:
        tell(f"computing run {run} again …")
        report = replay(opened.unit, opened.configuration, run)
    if as_json:
        write_json(asdict(report))
    else:
        out = console()
        out.print(text(f"run {report.run} of {report.reconciliation}"))
        out.print(text(f"stored      {report.stored_hash}"))
        out.print(text(f"recomputed  {report.recomputed_hash}"))
        out.print(text("equal", "bold green") if report.equal else text("not equal", "bold red"))
    raise typer.Exit(CLEAN if report.equal else INCOMPLETE)

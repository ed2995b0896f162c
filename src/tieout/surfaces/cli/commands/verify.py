"""`tieout verify`: check every invariant of the workspace; a breach names the row."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.text import Text

from tieout.service.verification import verify
from tieout.surfaces.cli.commands.options import Json, single_command
from tieout.surfaces.cli.failures import CLEAN, INCOMPLETE
from tieout.surfaces.cli.output import console, progress, text, write_json
from tieout.surfaces.cli.render.figures import counted
from tieout.surfaces.cli.session import session

app = single_command()


@app.command()
def command(context: typer.Context, as_json: Json = False) -> None:
    """Check what must always hold: completeness, conservation, allocations, hashes, the audit chain.

    Ends with 3 when something does not, naming the row.
    """
    with session(context) as opened, progress() as tell:
        tell("verifying …")
        report = verify(opened.unit, opened.configuration)
    if as_json:
        write_json(
            {
                "breaches": [asdict(breach) for breach in report.breaches],
                "checked": {str(number): words for number, words in sorted(report.checked.items())},
            }
        )
    else:
        out = console()
        broken = {breach.invariant for breach in report.breaches}
        for number, words in sorted(report.checked.items()):
            mark = Text("✗ ", style="bold red") if number in broken else Text("✓ ", style="green")
            out.print(mark.append(f"{number:>2}  ", style="dim").append_text(text(words)))
        for breach in report.breaches:
            out.print(text(f"invariant {breach.invariant}, {breach.subject}: {breach.message}", "red"))
        verdict = counted(len(report.breaches), "breach") if report.breaches else "everything holds"
        out.print(text(verdict, "bold red" if report.breaches else "bold green"))
    raise typer.Exit(INCOMPLETE if report.breaches else CLEAN)

"""`tieout check`: is tieout.yaml in order? Every problem at once, with file, line, key and the likely fix."""

from __future__ import annotations

import typer

from tieout.model.configuration import Configuration
from tieout.surfaces.cli.commands.options import Json, single_command
from tieout.surfaces.cli.output import console, table, text, write_json
from tieout.surfaces.cli.render.figures import counted
from tieout.surfaces.cli.session import configuration_of

app = single_command()


@app.command()
def command(context: typer.Context, as_json: Json = False) -> None:
    """Check tieout.yaml and what it includes. Nothing else is opened or written.

    Ends with 2 when there are problems; each is told with file, line, key and the likely fix.
    """
    configuration, base = configuration_of(context)
    if as_json:
        write_json(_document(configuration, str(base)))
        return
    out = console()
    out.print(text(f"workspace {configuration.workspace}: the configuration is in order", "green"))
    made = table("!reconciliation", "sides", "passes")
    for name, config in configuration.reconciliations.items():
        sides = ", ".join(f"{side.name} ({side.source})" for side in config.sides)
        made.add_row(text(name), text(sides), text(", ".join(step.name for step in config.passes)))
    if configuration.reconciliations:
        out.print(made)
    out.print(text(f"{counted(len(configuration.sources), 'source')}: {', '.join(configuration.sources)}"))


def _document(configuration: Configuration, base: str) -> dict[str, object]:
    return {
        "workspace": configuration.workspace,
        "directory": base,
        "digest": configuration.digest,
        "sources": list(configuration.sources),
        "reconciliations": list(configuration.reconciliations),
        "problems": [],
    }

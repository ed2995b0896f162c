"""`tieout export`: write what a workspace holds to a file that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tieout.model.errors import UsageError
from tieout.service.exports import export
from tieout.surfaces.cli.commands.options import Json, single_command
from tieout.surfaces.cli.output import console, progress, text, write_json
from tieout.surfaces.cli.render.figures import counted
from tieout.surfaces.cli.session import session

WHAT = ("matches", "open-items", "findings", "proof", "quarantine")
FORMATS = ("csv", "jsonl", "parquet")

app = single_command()


@app.command()
def command(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="WHAT", help=f"One of: {', '.join(WHAT)}.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    chosen: Annotated[
        str | None, typer.Option("--format", "-f", help="csv, jsonl or parquet; default: by the file's name.")
    ] = None,
    reconciliation: Annotated[
        str | None, typer.Option("--reconciliation", "-r", help="Of one reconciliation only.")
    ] = None,
    run: Annotated[
        int | None, typer.Option("--run", help="What one closed run wrote; default: what holds now.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write matches, open items, findings, proof or quarantined rows to a file."""
    file_format = chosen or _by_name(output)
    with session(context) as opened, progress() as tell:
        tell(f"writing {output} …")
        rows = export(
            opened.unit,
            opened.configuration,
            what,
            file_format,
            output,
            reconciliation=reconciliation,
            run=run,
            actor=opened.actor,
        )
    if as_json:
        write_json({"what": what, "format": file_format, "file": str(output), "rows": rows})
    else:
        console().print(text(f"wrote {counted(rows, 'row')} to {output}", "green"))


def _by_name(path: Path) -> str:
    """The format that a file's name asks for. Raises UsageError when it asks for none."""
    suffix = path.suffix.lower().removeprefix(".")
    found = "jsonl" if suffix in ("json", "ndjson") else suffix
    if found not in FORMATS:
        raise UsageError(f"the name {path.name!r} tells no format", hint=f"add --format {'|'.join(FORMATS)}")
    return found

"""`tieout export`: write what a workspace holds to a file that other programs read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tieout.model.errors import UsageError
from tieout.service.exports import export
from tieout.surfaces.cli.commands.options import Json, single_command
from tieout.surfaces.cli.output import console, progress, text, write_json
from tieout.surfaces.cli.render.figures import counted
from tieout.surfaces.cli.session import session


class What(StrEnum):
    """What can be exported."""

    MATCHES = "matches"
    OPEN_ITEMS = "open-items"
    FINDINGS = "findings"
    PROOF = "proof"
    QUARANTINE = "quarantine"


class ExportFormat(StrEnum):
    """How it can be written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


app = single_command()


@app.command()
def command(
    context: typer.Context,
    what: Annotated[What, typer.Argument(metavar="WHAT", help=f"One of: {', '.join(What)}.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    chosen: Annotated[
        ExportFormat | None, typer.Option("--format", "-f", help="csv, jsonl or parquet; default: by the file's name.")
    ] = None,
    reconciliation: Annotated[
        str | None, typer.Option("--reconciliation", "-r", help="Of one reconciliation only.")
    ] = None,
    run: Annotated[int | None, typer.Option("--run", help="As of one closed run; default: the last one.")] = None,
    as_json: Json = False,
) -> None:
    """Write matches, open items, findings, proof or quarantined rows to a file."""
    file_format = chosen or _by_name(output)
    with session(context) as opened, progress() as tell:
        tell(f"writing {output} …")
        rows = export(
            opened.unit,
            opened.configuration,
            what.value,
            file_format.value,
            output,
            reconciliation=reconciliation,
            run=run,
        )
    if as_json:
        write_json({"what": what.value, "format": file_format.value, "file": str(output), "rows": rows})
    else:
        console().print(text(f"wrote {counted(rows, 'row')} to {output}", "green"))


def _by_name(path: Path) -> ExportFormat:
    """The format that a file's name asks for. Raises UsageError when it asks for none."""
    suffix = path.suffix.lower().removeprefix(".")
    if suffix in ("json", "ndjson"):
        return ExportFormat.JSONL
    try:
        return ExportFormat(suffix)
    except ValueError:
        raise UsageError(f"the name {path.name!r} tells no format", hint=f"--format {'|'.join(ExportFormat)}") from None

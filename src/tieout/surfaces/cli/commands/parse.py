"""`tieout parse`: read files without a workspace and show what they say. Its JSON is documented and stable."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO, Annotated

import typer

from tieout.model.configuration import SourceConfig
from tieout.model.errors import IncompleteError, InputError
from tieout.model.reading import SourceOptions
from tieout.service.preview import preview
from tieout.surfaces.cli.commands.options import Format, existing, single_command
from tieout.surfaces.cli.failures import CLEAN, INCOMPLETE, error_document, say, shown_path
from tieout.surfaces.cli.output import console, encode
from tieout.surfaces.cli.render.preview import preview_document, print_preview

SHOWN_RECORDS = 20
SPOOL_BYTES = 16_000_000

app = single_command()


@app.command()
def command(
    files: Annotated[list[Path], typer.Argument(help="Files to read; each by its own format.")],
    declared_format: Format = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Kind of rows that do not say their own.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Currency of rows that carry none.")] = None,
    zone: Annotated[str, typer.Option("--zone", help="Time zone of instants that carry none.")] = "UTC",
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=0, help="Records to show of each file; with --json default all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout (docs/parse-json.md).")] = False,
) -> None:
    """Read files and show records, totals, statements and unreadable rows. Nothing is kept, no workspace is needed.

    A file that cannot be read at all is named with the reason, the others are still shown; the call then ends with 3.
    """
    options = SourceOptions(kind=kind, currency=currency, zone=zone)
    source = SourceConfig(name="preview", options=options, format=declared_format)
    paths = existing(files)
    code = _write(paths, source, limit) if as_json else _print(paths, source, limit)
    raise typer.Exit(code)


def _print(paths: list[Path], source: SourceConfig, limit: int | None) -> int:
    out, code = console(), CLEAN
    for number, path in enumerate(paths):
        if number:
            out.print()
        try:
            with preview(path, source) as shown:
                print_preview(out, shown, SHOWN_RECORDS if limit is None else limit)
        except (InputError, IncompleteError) as error:
            say(str(error), error=True)
            code = max(code, INCOMPLETE)
    return code


def _write(paths: list[Path], source: SourceConfig, limit: int | None) -> int:
    """Write the document to a spool first: stdout gets all of it, or nothing when this fails half way."""
    code = CLEAN
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES, mode="w+", encoding="utf-8", newline="") as spool:
        spool.write('{"files": [')
        for number, path in enumerate(paths):
            spool.write(",\n" if number else "\n")
            code = max(code, _write_file(spool, path, source, limit))
        spool.write("\n]}\n")
        spool.seek(0)
        shutil.copyfileobj(spool, sys.stdout)
        sys.stdout.flush()
    return code


def _write_file(spool: IO[str], path: Path, source: SourceConfig, limit: int | None) -> int:
    name = encode(shown_path(path))
    start = spool.tell()
    try:
        with preview(path, source) as shown:
            spool.write(f'{{"file": {name}, "format": {encode(shown.format)}, "records": [')
            for number, record in enumerate(shown.records(limit)):
                spool.write(",\n" if number else "\n")
                spool.write(encode(record))
            rest = encode(preview_document(shown))
            spool.write(f"], {rest[1:]}")
    except (InputError, IncompleteError) as error:
        spool.seek(start)
        spool.truncate()
        spool.write(f'{{"file": {name}, "error": {encode(error_document(error))}}}')
        say(str(error), error=True)
        return INCOMPLETE
    return CLEAN

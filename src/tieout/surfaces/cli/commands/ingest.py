"""`tieout ingest`: take in files, each as one batch that is accepted or refused as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from tieout.model.configuration import Configuration
from tieout.model.errors import Place, UsageError
from tieout.surfaces.cli.commands.deliveries import Delivered, deliver
from tieout.surfaces.cli.commands.options import Format, Json, existing, single_command
from tieout.surfaces.cli.failures import CLEAN, INCOMPLETE, error_document, nearby, say
from tieout.surfaces.cli.invocation import invocation_of
from tieout.surfaces.cli.output import console, progress, remark, text, write_json
from tieout.surfaces.cli.render.deliveries import ingest_document, print_ingested
from tieout.surfaces.cli.render.runs import print_next
from tieout.surfaces.cli.session import Session, session

app = single_command()


@app.command()
def command(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Argument(help="A source in tieout.yaml; absent: every source that declares `files`.")
    ] = None,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files to take in; absent: those that the source declares.")
    ] = None,
    declared_format: Format = None,
    observed_at: Annotated[
        str | None,
        typer.Option(help="When the source said this, for rows it does not version: 2026-10-05 or 2026-10-05T12:00Z."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and report all of it, but keep nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Take in files of a source, or all files that tieout.yaml declares. Each file is one batch.

    What was taken in before is recognised row by row, so repeating a call changes nothing. A file that cannot be
    read, or breaks its source's contract, is refused whole and recorded as such; the others are still taken in, and
    the call ends with 3.
    """
    observed = None if observed_at is None else _instant(observed_at)
    with session(context) as opened:
        chosen = _chosen(opened, source, files or [])
        with progress() as tell:
            done = list(
                deliver(opened, chosen, tell, declared_format=declared_format, observed_at=observed, dry_run=dry_run)
            )
    refused = [one for one in done if one.error is not None]
    if as_json:
        write_json({"files": [_document(one) for one in done]})
    else:
        _print(console(), done, invocation_of(context).words, dry_run=dry_run)
    for one in refused:
        say(str(one.error), error=True)
    raise typer.Exit(INCOMPLETE if refused else CLEAN)


def _instant(words: str) -> datetime:
    """An instant as a person writes it; without a zone it is UTC. Raises UsageError for anything else."""
    try:
        moment = datetime.fromisoformat(words)
    except ValueError:
        hint = "write it like 2026-10-05 or 2026-10-05T12:00Z"
        raise UsageError(f"{words!r} is no instant", hint=hint, place=Place(field="--observed-at")) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _chosen(opened: Session, source: str | None, files: list[Path]) -> list[tuple[str, Path]]:
    """(source, file) in the order of the configuration. Raises UsageError when there is nothing to take in."""
    configuration = opened.configuration
    if source is not None and source not in configuration.sources:
        known = ", ".join(configuration.sources) or "none"
        raise UsageError(f"unknown source {source!r}", hint=f"sources in tieout.yaml: {known}")
    if source is not None and files:
        return [(source, path) for path in existing(files)]
    names = list(configuration.sources) if source is None else [source]
    found: list[tuple[str, Path]] = []
    for name in names:
        paths = declared_files(configuration, opened.base, name)
        if configuration.sources[name].files and not paths:
            remark(f"source {name}: no file matches {', '.join(configuration.sources[name].files)}")
        found += [(name, path) for path in paths]
    if not found:
        what = "no source declares" if source is None else f"source {source} does not declare"
        hint = "name them: tieout ingest SOURCE FILE…, or declare sources.<name>.files"
        raise UsageError(f"{what} any files that exist", hint=hint)
    return found


def declared_files(configuration: Configuration, base: Path, source: str) -> list[Path]:
    """The files that a source's patterns name, sorted within each pattern; each file once."""
    found: dict[Path, None] = {}
    for pattern in configuration.sources[source].files:
        anchored = Path(pattern)
        try:
            root, rest = (
                (Path(anchored.anchor), anchored.relative_to(anchored.anchor)) if anchored.anchor else (base, anchored)
            )
            matches = sorted(path for path in root.glob(str(rest)) if path.is_file())
        except (ValueError, NotImplementedError):
            raise UsageError(f"{pattern!r} is not a file pattern", hint=f"see sources.{source}.files") from None
        found |= dict.fromkeys(matches)
    return existing([nearby(path) for path in found])


def _document(one: Delivered) -> dict[str, object]:
    if one.report is not None:
        return ingest_document(one.name, one.report)
    error = None if one.error is None else error_document(one.error)
    return {"file": one.name, "source": one.source, "batch": None, "state": "refused", "error": error}


def _print(out: Console, done: list[Delivered], words: str, *, dry_run: bool) -> None:
    for one in done:
        if one.report is not None:
            print_ingested(out, one.name, one.report)
        else:
            head = Text(f"{one.source:<10} ", style="bold").append_text(text(one.name))
            out.print(head.append("  refused", style="bold red"))
    if any(one.report is not None for one in done) and not dry_run:
        print_next(out, f"{words} run")

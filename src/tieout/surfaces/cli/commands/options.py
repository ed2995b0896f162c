"""Options that several commands share."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from tieout.model.errors import UsageError
from tieout.surfaces.cli.failures import shown_path

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; everything else on stderr.")]
Format = Annotated[str | None, typer.Option("--format", "-f", help="The files' format; default: detected.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=0, help="Show at most so many.")]


def day_of(text: str | None) -> date | None:
    """A day as typed. Raises UsageError for anything but YYYY-MM-DD."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a day", hint="write it like 2026-09-30") from None


def existing(paths: list[Path]) -> list[Path]:
    """Files as typed. Raises UsageError for one that is missing, or whose name is no text."""
    for path in paths:
        name = shown_path(path)
        if not path.exists():
            raise UsageError(f"there is no file {name}", hint="check the path")
        if not path.is_file():
            raise UsageError(f"{name} is not a file", hint="name the files in it, such as exports/*.csv")
        if name != str(path):
            raise UsageError(f"the name of {name} is not plain text", hint="rename the file")
    return paths


def single_command() -> typer.Typer:
    """The application of a module that offers one command."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

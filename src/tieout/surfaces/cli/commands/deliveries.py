"""Taking in files one after the other, for `ingest` and `demo`: one that is refused does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tieout.model.errors import TieoutError
from tieout.service.intake import IngestReport, ingest
from tieout.surfaces.cli.failures import shown_path
from tieout.surfaces.cli.session import Session


@dataclass(frozen=True, slots=True)
class Delivered:
    """One file and what became of it: a report, or the error for which it was refused."""

    name: str
    source: str
    report: IngestReport | None
    error: TieoutError | None


def deliver(
    opened: Session,
    files: Iterable[tuple[str, Path]],
    tell: Callable[[str], None],
    *,
    declared_format: str | None = None,
    observed_at: datetime | None = None,
    dry_run: bool = False,
) -> Iterable[Delivered]:
    """Take in (source, file) after (source, file), yielding each as it is done."""
    for source, path in files:
        name = shown_path(path)
        tell(f"reading {name} …")
        try:
            report = ingest(
                opened.unit,
                opened.configuration,
                source,
                path,
                opened.actor,
                declared_format=declared_format,
                observed_at=observed_at,
                dry_run=dry_run,
            )
        except TieoutError as error:
            yield Delivered(name, source, None, error)
        else:
            yield Delivered(name, source, report, None)

"""Which source reads a file: by its declared format, or by asking every source how sure it is.

Formats are imported only when asked for, so that a command that reads CSV does not load an XML parser.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from tieout.model.errors import InputError, Place, UsageError
from tieout.model.reading import Source

HEAD_BYTES = 65_536
LEAST_SCORE = 10

BUILT_IN = {
    "bai2": "tieout.adapters.sources.bai2.source",
    "camt": "tieout.adapters.sources.camt.source",
    "csv": "tieout.adapters.sources.csv.source",
    "json": "tieout.adapters.sources.json_rows.source",
    "mt940": "tieout.adapters.sources.mt940.source",
    "ofx": "tieout.adapters.sources.ofx.source",
    "parquet": "tieout.adapters.sources.parquet",
    "qif": "tieout.adapters.sources.qif.source",
    "stripe": "tieout.adapters.sources.stripe.source",
}
"""Format name to module; each module offers a `SOURCE`."""


def format_names() -> list[str]:
    """Every format that can be asked for, built in or installed by entry point."""
    return sorted({*BUILT_IN, *(entry.name for entry in entry_points(group="tieout.sources"))})


def source_named(name: str) -> Source:
    """The source of a format. Raises UsageError, naming those there are."""
    if name in BUILT_IN:
        source: Source = import_module(BUILT_IN[name]).SOURCE
        return source
    for entry in entry_points(group="tieout.sources", name=name):
        plugged: Source = entry.load()
        return plugged
    raise UsageError(f"unknown format {name!r}", hint=f"use one of: {', '.join(format_names())}")


def source_for(path: Path, declared: str | None = None, *, name: str | None = None) -> Source:
    """The source that reads this file; `name` is what the user calls it. Raises InputError when none recognises it."""
    if declared is not None:
        return source_named(declared)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise InputError("the file is empty", hint="check the export", place=Place(name or str(path)))
    shown = name or path.name
    scores = [(source_named(known).sniff(head, shown), known) for known in format_names()]
    score, best = max(scores)
    if score < LEAST_SCORE:
        hint = f"name it with --format, one of: {', '.join(format_names())}"
        raise InputError("no format recognises this file", hint=hint, place=Place(shown))
    return source_named(best)

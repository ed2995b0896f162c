"""What a source reader hands over: drafts, and what it noticed on the way. And the `Source` protocol itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tieout.model.record import Rejection, Statement

DraftChunk = Mapping[str, list[str | None] | list[int]]
"""Some thousand drafts by column: `line` (integers) and any of DRAFT_COLUMNS (text), all of one length. A column
that is left out is None throughout."""

CHUNK_ROWS = 20_000
"""Drafts a chunk holds at most, so that a reader's memory does not follow the file's size."""


@dataclass(frozen=True, slots=True)
class DraftQuery:
    """Drafts that the engine can read by itself: one SELECT over the file (DuckDB dialect).

    Yields a BIGINT `line` and text columns named from DRAFT_COLUMNS (any subset); `parameters` are bound by name.
    This is how CSV and Parquet reach the columns without a row ever passing through Python.
    """

    sql: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How one source declares its files (the `sources.<name>` section), independent of format.

    `mapping` maps draft columns to column names, paths or {"from": …, "pattern": …, "value": …} entries; `kind`
    is the kind of rows that do not say their own; `zone` the IANA zone of instants without one; `currency`
    the default currency. `settings` holds what only one format understands (delimiter, sheet, date_format …).
    """

    kind: str | None = None
    mapping: Mapping[str, object] = field(default_factory=dict)
    currency: str | None = None
    zone: str = "UTC"
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Reading:
    """One file being read. `statements` and `rejections` are complete once `drafts` has been consumed.

    `drafts` is a DraftQuery or an iterator of chunks. `inferred` says in plain words what the reader concluded by
    itself (delimiter, encoding, date order, columns …). `derived_ids` tells that some drafts carry no native id.
    """

    format: str
    drafts: DraftQuery | Iterator[DraftChunk]
    inferred: dict[str, str] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    derived_ids: bool = False


class Source(Protocol):
    """One file format. A newcomer adds a source by adding one module with such an object and its cases."""

    @property
    def name(self) -> str:
        """The format's name in configuration and in `--format`."""

    def sniff(self, head: bytes, filename: str) -> int:
        """How surely a file is of this format, 0 (no) to 100, from its first 64 KiB and its name."""

    def read(self, path: Path, options: SourceOptions) -> Reading:
        """Read a file. Raises InputError when it cannot be framed at all; bad rows become rejections."""

"""The columnar datasets that parts belong to, and what a part is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SEGMENT_BYTES = 1_000_000
"""Parts below this size live inside the committing transaction instead of a file of their own."""


@dataclass(frozen=True, slots=True)
class DraftPart:
    """A Parquet file that was written but is not visible yet. `totals` is what the catalogue says of it."""

    dataset: str
    path: Path
    rows: int
    batch: int | None = None
    reconciliation: str | None = None
    run: int | None = None
    slice: int | None = None
    totals: Mapping[str, object] = field(default_factory=dict)

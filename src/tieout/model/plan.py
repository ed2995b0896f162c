"""Plans as data: what an engine is asked to do, in named SQL steps. And the `Engine` protocol.

A plan is written in DuckDB's dialect; another engine translates it. Values never stand in the text of a step: they
are the plan's `parameters`, read as `getvariable('name')`. Identifiers pass through `identifier`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Columns = tuple[tuple[str, str], ...]
"""Column names and engine types of a dataset, in order."""

Row = tuple[object, ...]

_WORD = re.compile(r"[A-Za-z0-9_-]{1,63}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def identifier(name: str) -> str:
    """A quoted SQL identifier. Raises ValueError for anything but letters, digits and underscore."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"not an identifier: {name!r}")
    return f'"{name}"'


def words_type(words: Iterable[str]) -> str:
    """The engine's type for a column of a few known words: written and compared as numbers, read back as text.

    Raises ValueError for anything but letters, digits, underscore and hyphen.
    """
    known = sorted(set(words))
    for word in known:
        if not _WORD.fullmatch(word):
            raise ValueError(f"not a word: {word!r}")
    quoted = ", ".join(f"'{word}'" for word in known)
    return f"ENUM({quoted})"


def columns_sql(columns: Columns) -> str:
    """The column names of a dataset as a SQL list."""
    return ", ".join(identifier(name) for name, _ in columns)


@dataclass(frozen=True, slots=True)
class Step:
    """One named SQL step.

    view     a name for a SELECT, evaluated where it is used
    table    a SELECT kept in the engine's memory for later steps
    output   a SELECT written to the file given for its name (Parquet); gives the number of rows
    measure  a SELECT whose few rows come back to Python
    """

    name: str
    sql: str
    shape: Literal["view", "table", "output", "measure"] = "table"


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order, and the values they read. `inputs` names the datasets a plan expects and their columns."""

    steps: tuple[Step, ...]
    parameters: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, Columns] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Results:
    """What a plan gave: rows written per output, rows fetched per measure."""

    written: Mapping[str, int]
    measured: Mapping[str, list[Row]]


class Engine(Protocol):
    """Executes plans. It translates and runs; what to compute is decided in core."""

    def run(self, plan: Plan, inputs: Mapping[str, Sequence[Path]], outputs: Mapping[str, Path]) -> Results:
        """Run a plan over Parquet files. An input without files is an empty table of its columns."""

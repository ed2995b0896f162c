"""DuckDB, in process: runs a plan's steps over Parquet files and writes Parquet. It decides nothing.

Values reach SQL as session variables or bound parameters, never as text; file lists likewise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb

from tieout.adapters.patterns import exact_path
from tieout.model.errors import IncompleteError, InputError
from tieout.model.plan import Columns, Plan, Results, Row, Step, identifier
from tieout.model.reading import DraftQuery

_PARQUET = "(FORMAT parquet, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1000)"


class DuckEngine:
    """One DuckDB connection in memory, closed with the `with` block.

    `memory` bounds it ("4GB"; what exceeds it spills to `spill_directory`), `threads` as many as the machine has
    when None. Results never depend on either.
    """

    def __init__(self, *, memory: str | None = None, threads: int | None = None, spill_directory: Path | None = None):
        self._connection = duckdb.connect(":memory:")
        self._set("TimeZone", "UTC")
        self._set("enable_progress_bar", False)
        self._set("autoinstall_known_extensions", False)
        self._set("autoload_known_extensions", False)
        if memory is not None:
            self._set("memory_limit", memory)
        if threads is not None:
            self._set("threads", threads)
        if spill_directory is not None:
            self._set("temp_directory", str(spill_directory))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def _set(self, name: str, value: object) -> None:
        text = str(value).replace("'", "''")
        self._connection.execute(f"SET {identifier(name)} = '{text}'")

    def run(
        self,
        plan: Plan,
        inputs: Mapping[str, Sequence[Path]],
        outputs: Mapping[str, Path],
        queries: Mapping[str, DraftQuery] | None = None,
        *,
        hold: bool = False,
    ) -> Results:
        """Run a plan; see the protocol. `queries` are relations the engine reads by itself (drafts of a file).

        With `hold` they are read into memory first: numbering a file's lines is the work of one thread, and what
        stands above it in one statement would be too.

        Raises InputError when a query's file cannot be read, IncompleteError when a part cannot, or when memory or
        disk run out.
        """
        written: dict[str, int] = {}
        measured: dict[str, list[Row]] = {}
        prefix: list[str] = []
        if not hold:
            prefix += [
                f"{identifier(name)} AS NOT MATERIALIZED ({query.sql})" for name, query in (queries or {}).items()
            ]
        bound = {name: value for query in (queries or {}).values() for name, value in query.parameters.items()}
        try:
            for name, value in plan.parameters.items():
                self._connection.execute(f"SET VARIABLE {identifier(name)} = $1", [value])
            for name, columns in plan.inputs.items():
                self._bind(name, columns, inputs.get(name, ()))
            if hold:
                for name, query in (queries or {}).items():
                    held = f"CREATE OR REPLACE TEMP TABLE {identifier(name)} AS {query.sql}"
                    self._connection.execute(held, dict(query.parameters))
            for step in plan.steps:
                if step.shape == "view" and prefix:
                    prefix.append(f"{identifier(step.name)} AS NOT MATERIALIZED ({step.sql})")
                else:
                    self._step(step, ", ".join(prefix), bound, outputs, written, measured)
        except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException) as error:
            if queries:
                raise InputError(_first_line(error), hint="the file could not be read as declared") from error
            hint = "a part is damaged, or a total is too large; `tieout verify` says which"
            raise IncompleteError(_first_line(error), hint=hint) from error
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            hint = "free disk space or raise engine.memory, then repeat the command"
            raise IncompleteError(_first_line(error), hint=hint) from error
        finally:
            self._forget(plan, queries if hold else ())
        return Results(written, measured)

    def columns(self, query: DraftQuery) -> list[str]:
        """The column names of a query, without reading its file through. Raises InputError as `run` does."""
        try:
            cursor = self._connection.execute(f"DESCRIBE {query.sql}", dict(query.parameters))
            return [str(row[0]) for row in cursor.fetchall()]
        except duckdb.Error as error:
            raise InputError(_first_line(error), hint="the file could not be read as declared") from error

    def fetch(self, query: DraftQuery) -> list[Row]:
        """All rows of a small query."""
        return self._connection.execute(query.sql, dict(query.parameters)).fetchall()

    def rows(
        self, paths: Sequence[Path], columns: Columns, *, order: Sequence[str] = (), limit: int | None = None
    ) -> list[Row]:
        """Some columns of Parquet files as Python rows, in order: for people to look at, never for whole datasets."""
        self._bind("shown", columns, paths)
        names = ", ".join(identifier(name) for name, _ in columns)
        ordered = f" ORDER BY {', '.join(identifier(name) for name in order)}" if order else ""
        bounded = " LIMIT $limit" if limit is not None else ""
        parameters = {"limit": limit} if limit is not None else {}
        return self._connection.execute(f"SELECT {names} FROM shown{ordered}{bounded}", parameters).fetchall()

    def _step(
        self,
        step: Step,
        prefix: str,
        bound: Mapping[str, object],
        outputs: Mapping[str, Path],
        written: dict[str, int],
        measured: dict[str, list[Row]],
    ) -> None:
        select = f"WITH {prefix} {step.sql}" if prefix else step.sql
        parameters = {name: value for name, value in bound.items() if f"${name}" in select}
        name = identifier(step.name)
        if step.shape == "view":
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {select}")
        elif step.shape == "table":
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {select}", parameters)
        elif step.shape == "measure":
            measured[step.name] = self._connection.execute(select, parameters).fetchall()
        elif step.name in outputs:
            target = str(outputs[step.name]).replace("'", "''")
            cursor = self._connection.execute(f"COPY ({select}) TO '{target}' {_PARQUET}", parameters)
            (rows,) = cursor.fetchall()[0]
            written[step.name] = rows
            self._files(step.name, [outputs[step.name]])
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {_read_sql(step.name)}")

    def _files(self, name: str, paths: Sequence[Path]) -> None:
        """Name some files for a view. A path is that file, never a pattern."""
        exact = [exact_path(path) for path in paths]
        self._connection.execute(f"SET VARIABLE {identifier('files_' + name)} = $1", [exact])

    def _bind(self, name: str, columns: Columns, paths: Sequence[Path]) -> None:
        """A view of some columns over Parquet files; a column that a file does not have is NULL there."""
        select = f"SELECT {', '.join(f'NULL::{kind} AS {identifier(column)}' for column, kind in columns)} WHERE false"
        if paths:
            self._files(name, paths)
            select += f" UNION ALL BY NAME {_read_sql(name)}"
        self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {identifier(name)} AS {select}")

    def _forget(self, plan: Plan, held: Iterable[str] | None = None) -> None:
        """Drop what a finished plan left behind: the next one starts clean, whatever names it uses."""
        views = [step.name for step in plan.steps if step.shape in ("view", "output")] + list(plan.inputs)
        tables = [step.name for step in plan.steps if step.shape == "table"] + list(held or ())
        for kind, names in (("VIEW", views), ("TABLE", tables)):
            for name in names:
                self._connection.execute(f"DROP {kind} IF EXISTS {identifier(name)}")


def _read_sql(name: str) -> str:
    """A SELECT of the files named for a view. A directory called `currency=USD` is no column of its files."""
    return f"SELECT * FROM read_parquet(getvariable('files_{name}'), hive_partitioning = false, union_by_name = true)"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]

"""What is measured: the tasks of ingestion and of a run, in the order in which a round takes them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.rounds import Series, Task

Variant = Literal["easy", "hard"]
FileFormat = Literal["parquet", "csv"]
Measurement = Literal["ingest-parquet", "ingest-csv", "run"]

COPY = "DuckDB COPY"
PLAIN = "DuckDB, plain"
TIEOUT_INGEST = "Tieout ingest"
TIEOUT_RUN = "Tieout run"
TIEOUT_RUN_ONE = "Tieout run, no source checks"
AGAIN = "Tieout run again, nothing new"
MORE_INGESTED = "Tieout ingest, 1,000 more payments"
MORE_RUN = "Tieout run after 1,000 more"
STEPS = (TIEOUT_RUN, AGAIN, MORE_INGESTED, MORE_RUN)
"""The life of one workspace within a round, in order."""
ALONE = "work alone: "
"""Begins the names of the same steps measured inside the process."""
PER_ROW = "SQLAlchemy ORM, per row"
RECONCILIATION = "invoices-to-payments"
CLEAN_OR_FINDINGS = (0, 1)
"""`tieout run` ends with 1 when there are findings, as there are in every world here."""
PER_ROW_RUNS = 2

OTHERS = (
    ("DuckDB, tuned", "duckdb_tuned", ("duckdb",)),
    ("Polars, lazy", "polars_lazy", ("polars",)),
    ("pandas", "pandas_merge", ("pandas", "pyarrow")),
    ("datacompy, Polars", "datacompy_polars", ("datacompy", "polars")),
)
"""Name, module below `contenders`, and the modules it needs."""


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement at one size: its series in order; ratios refer to the series named `reference`."""

    measurement: Measurement
    variant: Variant
    rows: int
    payments: int | None
    reference: str
    series: list[Series]


@dataclass(frozen=True, slots=True)
class Place:
    """The directory of one world and of what is prepared and written for it; see prepare.py."""

    directory: Path
    sample: Path

    @property
    def world(self) -> Path:
        """The files of the world."""
        return self.directory / "world"

    def output(self, name: str) -> Path:
        """Where a contender writes."""
        return self.directory / f"output-{name}.parquet"


def ingestion_tasks(place: Place, file_format: FileFormat) -> list[Task]:
    """One file of payments: DuckDB's copy of it, and Tieout's ingestion into a new workspace."""
    source, copied = place.world / f"payments.{file_format}", place.output("copy")
    directory = place.directory / "tieout"
    configuration = directory / ("tieout.yaml" if file_format == "parquet" else "tieout-csv.yaml")
    ingest = (*_tieout(), "--config", str(configuration), "ingest", "payments", str(source), "--json")
    return [
        Task(COPY, (*_module("contenders.duckdb_copy"), str(source), str(copied)), _without(copied), ("duckdb",)),
        Task(TIEOUT_INGEST, ingest, _restored(place.directory / "empty", directory), status="accepted"),
    ]


def run_tasks(place: Place, rows: int, sample_rows: int) -> list[Task]:
    """Everything that reconciles, with Tieout's later steps right after its run, in the same workspace."""
    tasks = [_contender(place, PLAIN, "duckdb_plain", ("duckdb",)), *_steps(place), _without_checks(place)]
    tasks += [_contender(place, *other) for other in OTHERS]
    return [*tasks, _per_row(place, rows / sample_rows), *_steps_alone(place)]


def _contender(place: Place, name: str, module: str, needs: tuple[str, ...]) -> Task:
    output = place.output(module)
    command = (*_module(f"contenders.{module}"), str(place.world), str(output))
    judge = (*_module("scoring"), "table", str(place.world), str(output))
    return Task(name, command, _without(output), needs, judge=judge)


def _steps(place: Place) -> list[Task]:
    """Tieout's steps as whole processes of the command line."""
    directory = place.directory / "tieout"
    base = (*_tieout(), "-C", str(directory))
    run, judge = (*base, "run", "--json"), (*_module("scoring"), "tieout", str(place.world), str(directory))
    ingest = (*base, "ingest", "payments", str(place.directory / "more.parquet"), "--json")
    restored = _restored(place.directory / "ingested", directory)
    judged = Task(TIEOUT_RUN, run, restored, accepted=CLEAN_OR_FINDINGS, status="closed", judge=judge)
    return [judged, *_later(run, ingest, prefix="")]


def _later(run: tuple[str, ...], ingest: tuple[str, ...], prefix: str) -> list[Task]:
    """The steps after the first run; each goes on where the one before has left off."""
    commands = ((run, "unchanged"), (ingest, "accepted"), (run, "closed"))
    names = [prefix + name for name in STEPS]
    return [
        Task(name, command, _nothing, accepted=CLEAN_OR_FINDINGS, status=status, follows=before)
        for before, name, (command, status) in zip(names, names[1:], commands, strict=False)
    ]


def _without_checks(place: Place) -> Task:
    """A run of the one reconciliation by name, which leaves out the checks of every source."""
    directory = place.directory / "tieout"
    command = (*_tieout(), "-C", str(directory), "run", RECONCILIATION, "--json")
    restored = _restored(place.directory / "ingested", directory)
    return Task(TIEOUT_RUN_ONE, command, restored, accepted=CLEAN_OR_FINDINGS, status="closed")


def _steps_alone(place: Place) -> list[Task]:
    """The same steps through the services, which tell the seconds of the work alone."""
    directory, work = place.directory / "tieout", _module("tieout_work")
    run = (*work, "run", str(directory))
    ingest = (*work, "ingest", str(directory), str(place.directory / "more.parquet"))
    restored = _restored(place.directory / "ingested", directory)
    return [Task(ALONE + TIEOUT_RUN, run, restored, status="closed"), *_later(run, ingest, ALONE)]


def _per_row(place: Place, scale: float) -> Task:
    database = place.directory / "per-row.db"

    def prepare() -> None:
        shutil.copy(place.sample / "sample.db", database)

    judge = (*_module("scoring"), "orm", str(place.sample / "world"), str(database))
    command = (*_module("contenders.orm_per_row"), str(database))
    needs = ("sqlalchemy",)
    return Task(PER_ROW, command, prepare, needs, judge=judge, scale=scale, most_runs=PER_ROW_RUNS)


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"benchmarks.{name}")


def _tieout() -> tuple[str, ...]:
    """The console script beside this interpreter, or what it would do."""
    script = Path(sys.executable).with_name("tieout")
    if script.exists():
        return (str(script),)
    return (sys.executable, "-c", "from tieout.surfaces.cli.main import main; main()")


def _nothing() -> None:
    """Nothing is prepared: the step goes on where the one before has left off."""


def _without(output: Path) -> Callable[[], None]:
    return lambda: output.unlink(missing_ok=True)


def _restored(source: Path, target: Path) -> Callable[[], None]:
    """A fresh copy of a prepared directory in place of what the last round left."""

    def prepare() -> None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)

    return prepare

"""Where the time of a run goes: seconds of each step of the match plan. For whoever makes it faster, not for ratios.

`python -m benchmarks.profile_run --rows 100000 [--hard]` simulates, ingests and runs; then it executes the plans of
the first run and of one over 1,000 later payments again, from the parts they were closed with, step by step. With
`--workspace DIRECTORY` (where a tieout.yaml lies) it takes the closed runs that are there instead.

A view costs nothing by itself: its work shows in the steps that read it. Steps of one plan run one after another.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from benchmarks.prepare import ACTOR, prepare_world
from benchmarks.report import table
from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.store.tables import runs
from tieout.core.matching.plan import OUTPUTS, match_plan
from tieout.model.clock import system_clock
from tieout.model.configuration import Configuration, EngineConfig
from tieout.model.plan import Plan, Step, identifier
from tieout.service.configuration import data_directory, load_configuration
from tieout.service.datasets import paths_of
from tieout.service.intake import ingest
from tieout.service.run_records import load_manifest, load_rules
from tieout.service.runs import run_reconciliation
from tieout.service.unit import Unit
from tieout.service.workspace import open_workspace


@dataclass(frozen=True, slots=True)
class StepTime:
    """One execution of one step; `rows` of a table, output or measure, None for a view."""

    name: str
    shape: str
    seconds: float
    rows: int | None


class TimingEngine(DuckEngine):
    """An engine that notes how long each step takes; the rows of tables are counted outside of that time."""

    def __init__(self, settings: EngineConfig, spill_directory: Path):
        super().__init__(memory=settings.memory, threads=settings.threads, spill_directory=spill_directory)
        self.times: list[StepTime] = []

    def _step(
        self,
        step: Step,
        prefix: str,
        bound: Mapping[str, object],
        outputs: Mapping[str, Path],
        written: dict[str, int],
        measured: dict[str, list[tuple[object, ...]]],
    ) -> None:
        begun = time.perf_counter()
        super()._step(step, prefix, bound, outputs, written, measured)
        seconds = time.perf_counter() - begun
        rows: int | None = None
        if step.shape == "table":
            counted = self._connection.execute(f"SELECT count(*) FROM {identifier(step.name)}").fetchall()
            rows = int(counted[0][0])
        elif step.shape == "measure":
            rows = len(measured[step.name])
        elif step.shape == "output":
            rows = written.get(step.name)
        self.times.append(StepTime(step.name, step.shape, seconds, rows))


def main(arguments: Sequence[str] | None = None) -> None:
    """Profile as the arguments ask, and print a table for each run."""
    parser = argparse.ArgumentParser(prog="profile_run", description="Seconds of each step of a run's plan.")
    parser.add_argument("--rows", type=int, default=100_000, metavar="N", help="invoices of the simulated world")
    parser.add_argument("--hard", action="store_true")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="executions, of which the least counts")
    parser.add_argument("--least", type=float, default=0.5, metavar="PERCENT", help="leave out steps below this share")
    parser.add_argument("--workspace", type=Path, metavar="DIRECTORY", help="profile the closed runs of a workspace")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tieout-profile-") as scratch:
        directory = chosen.workspace
        if directory is None:
            directory = _simulated(Path(scratch), chosen)
        configuration, base = load_configuration(directory)
        unit = open_workspace(data_directory(configuration, base), configuration.workspace, system_clock)
        try:
            for run in _closed_runs(unit):
                _profile(unit, configuration, run, chosen)
        finally:
            unit.close()


def _simulated(place: Path, chosen: argparse.Namespace) -> Path:
    """A workspace with two closed runs: the first, and one over 1,000 more payments. Prints their seconds."""
    prepare_world(place, chosen.rows, chosen.seed, hard=chosen.hard, csv=False)
    shutil.rmtree(place / "world")
    configuration, base = load_configuration(place / "ingested")
    (name,) = configuration.reconciliations
    unit = open_workspace(data_directory(configuration, base), configuration.workspace, system_clock)
    try:
        seconds = [_seconds(lambda: run_reconciliation(unit, configuration, name, ACTOR))]
        ingest(unit, configuration, "payments", place / "more.parquet", ACTOR)
        seconds.append(_seconds(lambda: run_reconciliation(unit, configuration, name, ACTOR)))
    finally:
        unit.close()
    print(f"whole runs as services, commit included: {seconds[0]:.2f} s, then {seconds[1]:.2f} s\n")
    return base


def _seconds(call: Any) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _closed_runs(unit: Unit) -> list[int]:
    with unit.read() as connection:
        query = select(runs.c.run).where(runs.c.workspace == unit.workspace, runs.c.state == "closed")
        return sorted(connection.scalars(query))


def _profile(unit: Unit, configuration: Configuration, run: int, chosen: argparse.Namespace) -> None:
    """Execute a closed run's plan again and again, and print the least seconds of each step."""
    with unit.read() as connection:
        manifest, names = load_manifest(connection, unit.workspace, run)
        rules = load_rules(connection, unit.workspace, run)
        inputs = paths_of(unit, connection, names)
    plan = match_plan(rules, run, opening=manifest.opening_run is not None)
    executions = [list(_execute(unit, configuration.engine, plan, inputs)) for _ in range(chosen.repeat)]
    least = [min(same, key=lambda one: one.seconds) for same in zip(*executions, strict=True)]
    total = sum(one.seconds for one in least)
    rows = [
        (one.name, one.shape, f"{one.seconds:.3f}", f"{one.seconds / total * 100:.1f}%", _count(one.rows))
        for one in sorted(least, key=lambda one: -one.seconds)
        if one.seconds / total * 100 >= chosen.least
    ]
    print(f"run {run} of {rules.name}: {total:.2f} s in {len(least)} steps; those of {chosen.least}% or more\n")
    print(table(("step", "shape", "seconds", "share", "rows"), rows) + "\n")


def _execute(
    unit: Unit, settings: EngineConfig, plan: Plan, inputs: Mapping[str, Sequence[Path]]
) -> Iterator[StepTime]:
    with (
        tempfile.TemporaryDirectory(prefix="tieout-profile-") as scratch,
        TimingEngine(settings, unit.cache_directory / "spill") as engine,
    ):
        engine.run(plan, inputs, {name: Path(scratch) / f"{name}.parquet" for name in OUTPUTS})
        yield from engine.times


def _count(rows: int | None) -> str:
    return "-" if rows is None else f"{rows:,}"


if __name__ == "__main__":
    main()

"""Prepares, unmeasured and in a process of its own, what the measured ones read.

`python -m benchmarks.prepare PLACE --rows N --seed S [--hard]` leaves in PLACE:

    world/      invoices and payments as Parquet and CSV, the truth, tieout.yaml and tieout-csv.yaml
    empty/      a directory with the configurations and a new workspace
    ingested/   the same with both Parquet files taken in, not yet run
    more.parquet    1,000 payments that arrive later

With `--sample` only a world/ and sample.db, the per-row worker's database. Prints counts as JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import duckdb

from benchmarks.contenders.orm_per_row import load
from benchmarks.contenders.statement import text
from tieout.model.audit import Actor
from tieout.model.clock import system_clock
from tieout.service.configuration import data_directory, load_configuration
from tieout.service.intake import ingest
from tieout.service.workspace import initialise, open_workspace
from tieout.simulate.benchmark import simulate_benchmark
from tieout.simulate.world import BenchmarkWorld

MORE = 1_000
"""Payments that arrive later: first for invoices that had none, then second ones for invoices that were paid."""
ACTOR = Actor("benchmark", "cli")


def main() -> None:
    """Prepare as the arguments ask."""
    parser = argparse.ArgumentParser()
    parser.add_argument("place", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--hard", action="store_true")
    parser.add_argument("--sample", action="store_true")
    chosen = parser.parse_args()
    if chosen.sample:
        world = simulate_benchmark(chosen.place / "world", chosen.rows, chosen.seed, chosen.hard)
        load(world.directory, chosen.place / "sample.db")
    else:
        world = prepare_world(chosen.place, chosen.rows, chosen.seed, hard=chosen.hard)
    print(json.dumps({"invoices": world.invoice_rows, "payments": world.payment_rows, "classes": world.counts}))


def prepare_world(place: Path, rows: int, seed: int, *, hard: bool, csv: bool = True) -> BenchmarkWorld:
    """Everything that this module's first lines list, in `place`; without CSV files where `csv` is False."""
    world = simulate_benchmark(place / "world", rows, seed, hard, csv=csv)
    _workspaces(place, world)
    _more(world, place / "more.parquet")
    return world


def _workspaces(place: Path, world: BenchmarkWorld) -> None:
    empty, ingested = place / "empty", place / "ingested"
    empty.mkdir()
    for file in world.directory.glob("*.yaml"):
        shutil.copy(file, empty)
    configuration, base = load_configuration(empty)
    initialise(data_directory(configuration, base), configuration.workspace, system_clock, actor=ACTOR)
    shutil.copytree(empty, ingested)
    configuration, base = load_configuration(ingested)
    unit = open_workspace(data_directory(configuration, base), configuration.workspace, system_clock)
    try:
        ingest(unit, configuration, "invoices", world.invoices, ACTOR)
        ingest(unit, configuration, "payments", world.payments, ACTOR)
    finally:
        unit.close()


def _more(world: BenchmarkWorld, target: Path) -> None:
    directory = world.directory
    query = f"""
        SELECT 'PAY-LATE-' || lpad((row_number() OVER (ORDER BY class IS NULL, number))::VARCHAR, 6, '0') AS id,
            number AS invoice, customer, date + 40 AS date, amount, currency
        FROM read_parquet({text(directory / "invoices.parquet")})
        LEFT JOIN (SELECT invoice, class FROM read_parquet({text(directory / "truth.parquet")})
                   WHERE class = 'missing_payment') ON invoice = number
        ORDER BY 1 LIMIT {MORE}"""
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO {text(target)} (FORMAT parquet)")


if __name__ == "__main__":
    main()

"""`tieout simulate`: write a made-up month, or invoices and payments by the million, with their truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from tieout.model.errors import UsageError
from tieout.simulate.benchmark import simulate_benchmark
from tieout.simulate.month import simulate_month
from tieout.surfaces.cli.commands.options import Json, day_of
from tieout.surfaces.cli.output import console, progress, text, write_json
from tieout.surfaces.cli.render.figures import counted
from tieout.surfaces.cli.render.runs import print_next

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True,
    help="Write a made-up month or a benchmark, with its truth. See docs/simulator.md.",
)  # fmt: skip

World = TypeVar("World")

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; created where it is missing.")]
Seed = Annotated[int, typer.Option("--seed", help="Equal seeds give equal files.")]


@app.command()
def month(
    directory: Directory,
    customers: Annotated[int, typer.Option("--customers", help="How many customers the company has.")] = 200,
    seed: Seed = 7,
    start: Annotated[str, typer.Option("--start", help="The month's first day, YYYY-MM-DD.")] = "2026-09-01",
    clean: Annotated[bool, typer.Option("--clean", help="Plant no fault: everything agrees to the cent.")] = False,
    as_json: Json = False,
) -> None:
    """Write one month of a made-up software company: what its systems deliver, and what is wrong with it."""
    first = day_of(start)
    assert first is not None
    with progress() as tell:
        tell(f"writing {directory} …")
        world = _write(lambda: simulate_month(directory, seed, customers, faults=not clean, start=first))
    if as_json:
        write_json(
            {
                "directory": str(directory),
                "configuration": str(world.configuration),
                "truth": str(world.truth_file),
                "files": [
                    {"file": str(file.path), "source": file.source, "delivery": file.delivery} for file in world.files
                ],
                "truths": len(world.truths),
            }
        )
        return
    out = console()
    out.print(
        text(f"wrote {counted(len(world.files), 'file')} and {counted(len(world.truths), 'truth')} to {directory}")
    )
    print_next(out, f"tieout init {directory}", f"tieout -C {directory} ingest", f"tieout -C {directory} run")


@app.command()
def benchmark(
    directory: Directory,
    rows: Annotated[int, typer.Option("--rows", help="How many invoices.")] = 1_000_000,
    seed: Seed = 7,
    hard: Annotated[
        bool, typer.Option("--hard", help="Repeat prices and days, so that they tell nothing apart.")
    ] = False,
    partner_missing: Annotated[
        int, typer.Option("--partner-missing", help="Percent of payments without an id whose invoice is nowhere.")
    ] = 10,
    csv: Annotated[bool, typer.Option("--csv", help="Write both sides as CSV, too.")] = False,
    memory: Annotated[str, typer.Option("--memory", help="How much memory the engine may use.")] = "1GB",
    as_json: Json = False,
) -> None:
    """Write invoices and payments by the million, as Parquet, with the truth about which belong together."""
    with progress() as tell:
        tell(f"writing {directory} …")
        world = _write(lambda: simulate_benchmark(directory, rows, seed, hard, partner_missing, csv, memory))
    if as_json:
        write_json(
            {
                "directory": str(directory),
                "configuration": str(world.configuration),
                "invoices": world.invoice_rows,
                "payments": world.payment_rows,
                "classes": dict(world.counts),
            }
        )
        return
    out = console()
    what = f"{counted(world.invoice_rows, 'invoice')} and {counted(world.payment_rows, 'payment')}"
    out.print(text(f"wrote {what} to {directory}"))
    print_next(out, f"tieout init {directory}", f"tieout -C {directory} ingest", f"tieout -C {directory} run")


def _write(write: Callable[[], World]) -> World:
    """What a simulation wrote. Raises UsageError where the directory cannot be written."""
    try:
        return write()
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}", hint="choose another directory") from error

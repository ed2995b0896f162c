"""`python -m benchmarks`: measure, print the tables, and write them where asked. See docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine, report
from benchmarks.cases import COPY, PLAIN, Measurement, Place, Result, Variant, ingestion_tasks, run_tasks
from benchmarks.process import ROOT, ask
from benchmarks.rounds import Clock, Task, run_rounds

WORK = Path(__file__).resolve().parent / "work"
DEFAULT_ROWS = (100_000, 1_000_000)
FULL_ROWS = 10_000_000
LEAST_ROWS = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything that is asked for. Returns 0, or 1 when a contender failed or no time was left for one."""
    chosen = _parser().parse_args(arguments)
    sizes = sorted({*chosen.rows, *([FULL_ROWS] if chosen.full else [])})
    directories = [str(ROOT / name) for name in ("src", "benchmarks") if (ROOT / name).is_dir()]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *directories], check=True)
    facts = machine.facts()
    work = WORK / str(os.getpid())
    work.mkdir(parents=True)
    try:
        results = _measure(chosen, sizes, work)
    finally:
        if not chosen.keep:
            shutil.rmtree(work, ignore_errors=True)
    facts["load average at the end"] = machine.load_average()
    options = {
        "rows": sizes, "variants": chosen.variants, "runs": chosen.runs, "seed": chosen.seed,
        "warm_up": not chosen.no_warm_up, "sample_rows": chosen.sample_rows, "minutes": chosen.minutes,
    }  # fmt: skip
    _hand_out(chosen, facts, options, results)
    complete = all(one.status in ("measured", "not installed") for result in results for one in result.series)
    return 0 if complete else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Tieout beside others, over the same files.")
    add = parser.add_argument
    add("--rows", type=_rows, nargs="+", default=DEFAULT_ROWS, metavar="N", help="invoices; several sizes show growth")
    add("--full", action="store_true", help=f"also {FULL_ROWS:,} invoices")
    add("--variants", nargs="+", choices=("easy", "hard"), default=("easy", "hard"), help="of the simulated data")
    add("--runs", type=_count, default=5, metavar="N", help="measured rounds after the warm-up (default 5)")
    add("--no-warm-up", action="store_true", help="measure the first round too")
    add("--minutes", type=float, default=60, metavar="N", help="begin no round that would end after them (default 60)")
    add("--sample-rows", type=_rows, default=20_000, metavar="N", help="rows of the per-row worker, scaled up")
    add("--seed", type=int, default=7, help="of the simulated data")
    add("--json", action="store_true", help="print one JSON document instead of tables")
    add("--write", type=Path, metavar="FILE", help="write the tables to a Markdown file as well")
    add("--keep", action="store_true", help="leave benchmarks/work as it is at the end")
    return parser


def _rows(text: str) -> int:
    rows = int(text)
    if rows < LEAST_ROWS:
        raise argparse.ArgumentTypeError(f"at least {LEAST_ROWS}")
    return rows


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _measure(chosen: argparse.Namespace, sizes: Sequence[int], work: Path) -> list[Result]:
    clock = Clock.of_minutes(chosen.minutes)
    results = []
    for rows in sizes:
        for variant in chosen.variants:
            sample_rows = min(rows, chosen.sample_rows)
            place = Place(work / f"{variant}-{rows}", work / f"{variant}-sample-{sample_rows}")
            results += _measure_place(chosen, place, variant, rows, sample_rows, clock)
            if not chosen.keep:
                shutil.rmtree(place.directory, ignore_errors=True)
    return results


def _measure_place(
    chosen: argparse.Namespace, place: Place, variant: Variant, rows: int, sample_rows: int, clock: Clock
) -> list[Result]:
    """All three measurements over one world."""
    payments = None
    if clock.left_seconds:
        say(f"{variant}, {rows:,} invoices: preparing")
        payments = _prepare(chosen, place, variant, rows, sample_rows)
    cases: tuple[tuple[Measurement, str, list[Task]], ...] = (
        ("ingest-parquet", COPY, ingestion_tasks(place, "parquet")),
        ("ingest-csv", COPY, ingestion_tasks(place, "csv")),
        ("run", PLAIN, run_tasks(place, rows, sample_rows)),
    )
    results = []
    for measurement, reference, tasks in cases:
        say(f"{variant}, {rows:,} invoices: {measurement}; {clock.left_seconds / 60:.0f} minutes left")
        series = run_rounds(tasks, runs=chosen.runs, warm_up=not chosen.no_warm_up, clock=clock)
        results.append(Result(measurement, variant, rows, payments, reference, series))
    return results


def _prepare(chosen: argparse.Namespace, place: Place, variant: Variant, rows: int, sample_rows: int) -> int:
    """Prepare a world, and the per-row worker's sample unless it is there; returns the payments."""
    command = [sys.executable, "-m", "benchmarks.prepare", "--seed", str(chosen.seed)]
    command += ["--hard"] if variant == "hard" else []
    if not place.sample.exists():
        ask([*command, str(place.sample), "--rows", str(sample_rows), "--sample"])
    return int(ask([*command, str(place.directory), "--rows", str(rows)])["payments"])


def _hand_out(
    chosen: argparse.Namespace, facts: dict[str, str], options: dict[str, object], results: Sequence[Result]
) -> None:
    rendered = report.render(facts, results)
    if chosen.write is not None:
        day = datetime.now(UTC).date().isoformat()
        words = f"`python -m benchmarks`, {day}: medians (least-greatest) of the rounds named under `runs`."
        chosen.write.write_text(f"# Benchmark results\n\n{words}\n\n{rendered}", encoding="utf-8", newline="\n")
        say(f"wrote {chosen.write}")
    if chosen.json:
        print(json.dumps(report.document(facts, options, results), indent=2))
    else:
        print(rendered)


def say(words: str) -> None:
    """Progress, on stderr."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

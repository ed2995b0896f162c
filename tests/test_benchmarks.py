"""The benchmark at tiny sizes: contenders agree on counts, rounds interleave, and the tables hold every figure."""

# ruff: noqa: E402
from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks/ lies beside src/ and is not installed

from benchmarks import report
from benchmarks.cases import ALONE, COPY, OTHERS, PER_ROW, PLAIN, STEPS, TIEOUT_INGEST, TIEOUT_RUN, Result
from benchmarks.contenders.orm_per_row import load
from benchmarks.figures import growth, ratios, spread
from benchmarks.prepare import ACTOR, prepare_world
from benchmarks.process import Measurement, environment, measure
from benchmarks.rounds import Clock, Series, Task, run_rounds
from benchmarks.scoring import score

from tieout.model.clock import system_clock
from tieout.service.configuration import data_directory, load_configuration
from tieout.service.runs import run_reconciliation
from tieout.service.workspace import open_workspace

ROWS = 1_200
PAIRS_BY_ORDER = "datacompy_polars"
"""Pairs repeated references by their order; every other contender gives a row to each."""
NEEDS = {module: needs for _, module, needs in OTHERS} | {"duckdb_plain": ("duckdb",)}


def is_installed(module: str) -> bool:
    return all(find_spec(name) is not None for name in NEEDS[module])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("benchmark")
    prepare_world(directory, ROWS, 7, hard=True, csv=False)
    return directory


@pytest.fixture(scope="module")
def expected(place: Path) -> dict[str, Any]:
    """The verdict on bare DuckDB, which every other row-by-row comparison must equal."""
    return verdict(place, "duckdb_plain")


def verdict(place: Path, module: str) -> dict[str, Any]:
    output = place / f"{module}.parquet"
    command = [sys.executable, "-m", f"benchmarks.contenders.{module}", str(place / "world"), str(output)]
    subprocess.run(command, check=True, cwd=ROOT, env=environment(), capture_output=True)
    return score("table", place / "world", output)


def test_bare_duckdb_finds_what_was_written(expected: dict[str, Any]) -> None:
    counts = expected["counts"]
    assert counts.keys() == {"matched", "amount_mismatch", "missing", "unexpected"}
    assert counts["matched"] == expected["matched"] > ROWS * 9 // 10
    duplicates = expected["matched"] - expected["matched_right"]
    assert duplicates == expected["linked"] - expected["linked_right"] > 0


@pytest.mark.parametrize("module", [module for _, module, _ in OTHERS if module != PAIRS_BY_ORDER])
def test_row_by_row_comparisons_agree(place: Path, expected: dict[str, Any], module: str) -> None:
    if not is_installed(module):
        pytest.skip(f"{module} needs {', '.join(NEEDS[module])}: not installed")
    assert verdict(place, module) == expected


def test_the_per_row_worker_agrees(place: Path, expected: dict[str, Any]) -> None:
    database = place / "per-row.db"
    load(place / "world", database)
    done = measure((sys.executable, "-m", "benchmarks.contenders.orm_per_row", str(database)), timeout_seconds=120)
    assert done.exit_code == 0, done.errors
    assert done.work_seconds is not None
    assert 0 < done.work_seconds < done.wall_seconds
    assert score("orm", place / "world", database) == expected


def test_datacompy_differs_by_repeated_keys_only(place: Path, expected: dict[str, Any]) -> None:
    if not is_installed(PAIRS_BY_ORDER):
        pytest.skip(f"{PAIRS_BY_ORDER} needs {', '.join(NEEDS[PAIRS_BY_ORDER])}: not installed")
    found = verdict(place, PAIRS_BY_ORDER)
    assert found["counts"]["missing"] == expected["counts"]["missing"]
    repeated = expected["linked"] - found["linked"]
    assert repeated > 0
    assert found["counts"]["unexpected"] == expected["counts"]["unexpected"] + repeated


def test_tieout_agrees_on_what_nobody_names_and_is_right(place: Path, expected: dict[str, Any]) -> None:
    directory = place / "tieout"
    shutil.copytree(place / "ingested", directory)
    configuration, base = load_configuration(directory)
    (name,) = configuration.reconciliations
    unit = open_workspace(data_directory(configuration, base), configuration.workspace, system_clock)
    try:
        run_reconciliation(unit, configuration, name, ACTOR)
    finally:
        unit.close()
    found = score("tieout", place / "world", directory)
    assert found["counts"]["MISSING_RECORD"] == expected["counts"]["missing"]
    assert found["counts"]["MISSING_INVOICE"] == expected["counts"]["unexpected"]
    assert found["matched"] == found["matched_right"] > expected["matched_right"]
    assert found["linked"] == found["linked_right"] == expected["linked_right"]


def test_rounds_interleave_and_the_warm_up_is_not_counted(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    tasks = [Task(name, noting(trace, name), lambda: None) for name in ("A", "B")]
    every = run_rounds(tasks, runs=2, warm_up=True, clock=Clock.of_minutes(5))
    assert trace.read_text() == "ABABAB"
    assert [(one.status, len(one.measured)) for one in every] == [("measured", 2), ("measured", 2)]


def noting(trace: Path, name: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"open({str(trace)!r}, 'a').write({name!r})")


def test_what_is_missing_or_fails_is_said(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    stop = (sys.executable, "-c", "raise SystemExit('no such luck')")
    tasks = [
        Task("absent", noting(trace, "x"), lambda: None, needs=("no_such_library",)),
        Task("broken", stop, lambda: None),
        Task("after", noting(trace, "x"), lambda: None, follows="broken"),
        Task("wrong", (sys.executable, "-c", 'print(\'{"status": "closed"}\')'), lambda: None, status="unchanged"),
        Task("well", noting(trace, "w"), lambda: None),
    ]
    every = {one.name: one for one in run_rounds(tasks, runs=2, warm_up=False, clock=Clock.of_minutes(5))}
    assert trace.read_text() == "ww"
    assert (every["absent"].status, every["absent"].remark) == ("not installed", "no_such_library")
    assert (every["broken"].status, every["broken"].remark) == ("failed", "no such luck")
    assert (every["after"].status, every["after"].remark) == ("failed", "broken failed before it")
    assert every["wrong"].remark == "it says 'closed' instead of 'unchanged'"
    assert len(every["well"].measured) == 2


def test_no_time_no_measurement(tmp_path: Path) -> None:
    (one,) = run_rounds([Task("late", (), lambda: None)], runs=3, warm_up=True, clock=Clock.of_minutes(0))
    assert (one.status, one.remark) == ("not measured", "no time was left")


def test_a_process_is_measured_from_outside() -> None:
    program = (
        "x = bytearray(200_000_000); import json; print(json.dumps({'work_seconds': 0.5, 'work_cpu_seconds': 0.5}))"
    )
    done = measure((sys.executable, "-c", program), timeout_seconds=60)
    assert done.exit_code == 0
    assert done.peak_bytes > 200_000_000
    scaled = measure((sys.executable, "-c", program), timeout_seconds=60, scale=100)
    assert scaled.work_seconds == 50
    assert 49.5 < scaled.wall_seconds < 60
    killed = measure((sys.executable, "-c", "import time; time.sleep(60)"), timeout_seconds=0.2)
    assert killed.exit_code == -9


def test_figures() -> None:
    assert growth({1_000: 2.0, 10_000: 20.0, 100_000: 200.0}) == pytest.approx(1)
    assert growth({10: 1.0, 100: 100.0}) == pytest.approx(2)
    assert growth({10: 1.0}) is None
    assert spread([]) is None
    found = ratios(series("ours", [9.0, None, 8.0]), series("theirs", [3.0, 1.0, 2.0]))
    assert found is not None
    assert (found.least, found.median, found.greatest) == (3, 3.5, 4)


def series(name: str, seconds: list[float | None]) -> Series:
    rounds = [None if one is None else Measurement(one, one, 50_000_000, 0, one / 2) for one in seconds]
    return Series(name, "measured", rounds=rounds)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_the_tables_hold_everything() -> None:
    verdict = {"true": 10_000, "matched": 9_999, "matched_right": 9_998, "linked": 9_999, "linked_right": 9_998}
    results = []
    for rows, seconds in ((1_000, 1.0), (10_000, 10.0)):
        every = [series(name, [seconds, seconds]) for name in (PLAIN, *STEPS, *(ALONE + step for step in STEPS))]
        every += [Series("pandas", "not installed", "pandas"), Series("Polars, lazy", "failed", "out of memory")]
        every[1].verdict = verdict
        results.append(Result("run", "hard", rows, rows + 1, PLAIN, every))
    shown = report.render({"cores": "2"}, results)
    assert "## Reconciling: hard, 10,000 invoices, 10,001 payments" in shown
    absent = [cells(line)[:2] for line in shown.splitlines() if line.startswith("| pandas")]
    assert absent == [["pandas", "not installed"]] * 3
    assert "Polars, lazy: failed: out of memory" in shown
    assert "99.98%" in shown  # cut off, not rounded to 99.99%
    growing = [cells(line) for line in shown.splitlines() if line.startswith(f"| Reconciling: {PLAIN}")]
    assert growing == [[f"Reconciling: {PLAIN}", "1.00"]]
    for block in shown.split("\n\n"):
        if block.startswith("|"):
            assert len({len(line) for line in block.splitlines()}) == 1, block
    document = json.loads(json.dumps(report.document({}, {}, results)))
    assert document["results"][0]["series"][0]["rounds"][0]["wall_seconds"] == 1


@pytest.mark.slow
def test_the_whole_benchmark(tmp_path: Path) -> None:
    written = tmp_path / "results.md"
    sizes = ["--rows", "600", "1200", "--sample-rows", "600", "--variants", "easy"]
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        *sizes,
        "--runs",
        "1",
        "--no-warm-up",
        "--json",
        "--write",
        str(written),
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [(one["measurement"], one["rows"]) for one in document["results"]] == [
        (measurement, rows) for rows in (600, 1_200) for measurement in ("ingest-parquet", "ingest-csv", "run")
    ]
    text = written.read_text(encoding="utf-8")
    for name in (COPY, TIEOUT_INGEST, PLAIN, TIEOUT_RUN, PER_ROW, *(name for name, _, _ in OTHERS), *STEPS):
        assert f"| {name}" in text

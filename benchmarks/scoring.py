"""How right a contender was: its pairs of invoice and payment against the truth. Unmeasured, a process of its own.

`python -m benchmarks.scoring table|orm|tieout WORLD OUTCOME` prints JSON: `true` pairs there are; `matched` pairs that
the contender calls settled and `matched_right` of them; `linked` pairs that it names together at all, settled or
with a difference, and `linked_right`; and `counts`, its own count of each class or code.

A true pair is a payment and an invoice that it pays, wholly or in part. A second payment of the same sum is no true
pair: who calls it matched is wrong.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.contenders.orm_per_row import export
from benchmarks.contenders.statement import text
from tieout.model.clock import system_clock
from tieout.service.configuration import data_directory, load_configuration
from tieout.service.datasets import paths_of, run_parts
from tieout.service.workspace import open_workspace

DATASETS = ("pairs", "allocations", "open_items")


def score(kind: str, world: Path, outcome: Path) -> dict[str, Any]:
    """The figures that this module's first lines list, of one outcome."""
    with duckdb.connect() as connection, tempfile.TemporaryDirectory() as scratch:
        if kind == "tieout":
            _claims_of_tieout(connection, outcome)
        else:
            if kind == "orm":
                export(outcome, Path(scratch) / "matches.csv")
                outcome = Path(scratch) / "matches.csv"
            _claims_of_table(connection, outcome)
        counts = dict(connection.execute("SELECT class, count FROM counts ORDER BY class").fetchall())
        return {**_score(connection, world), "counts": counts}


def _claims_of_table(connection: duckdb.DuckDBPyConnection, outcome: Path) -> None:
    connection.execute(f"CREATE VIEW outcome AS FROM {text(outcome)}")
    connection.execute("""
        CREATE TABLE claims AS SELECT DISTINCT invoice, payment, class = 'matched' AS settled
        FROM outcome WHERE class IN ('matched', 'amount_mismatch')""")
    connection.execute("CREATE VIEW counts AS SELECT class, count(*) AS count FROM outcome GROUP BY class")


def _claims_of_tieout(connection: duckdb.DuckDBPyConnection, directory: Path) -> None:
    """Pairs are settled; of a group every invoice goes with every payment, settled unless it was paid in part."""
    for name, paths in _parts(directory).items():
        if not paths:
            raise SystemExit(f"the run wrote no {name}")
        files = ", ".join(text(path) for path in paths)
        connection.execute(f"CREATE VIEW {name} AS FROM read_parquet([{files}])")
    connection.execute("""
        CREATE TABLE claims AS
        SELECT left_native_id AS invoice, right_native_id AS payment, true AS settled FROM pairs
        UNION
        SELECT i.native_id, p.native_id, i.type <> 'partial'
        FROM allocations AS i JOIN allocations AS p USING (run, match_id, type)
        WHERE i.side = 'invoices' AND p.side = 'payments'""")
    connection.execute("CREATE VIEW counts AS SELECT code AS class, count(*) AS count FROM open_items GROUP BY code")


def _parts(directory: Path) -> dict[str, Sequence[Path]]:
    configuration, base = load_configuration(directory)
    (name,) = configuration.reconciliations
    unit = open_workspace(data_directory(configuration, base), configuration.workspace, system_clock)
    try:
        with unit.read() as connection:
            names = {dataset: run_parts(connection, unit.workspace, name, dataset, upto_run=1) for dataset in DATASETS}
            return {dataset: list(paths) for dataset, paths in paths_of(unit, connection, names).items()}
    finally:
        unit.close()


def _score(connection: duckdb.DuckDBPyConnection, world: Path) -> dict[str, int]:
    connection.execute(f"""
        CREATE TABLE true_pairs AS SELECT DISTINCT invoice, payment FROM {text(world / "truth.parquet")}
        WHERE invoice IS NOT NULL AND payment IS NOT NULL AND class <> 'duplicate'""")
    (figures,) = connection.execute("""
        SELECT (SELECT count(*) FROM true_pairs), count(*) FILTER (WHERE settled),
            count(*) FILTER (WHERE settled AND t.invoice IS NOT NULL), count(*), count(t.invoice)
        FROM claims AS c LEFT JOIN true_pairs AS t USING (invoice, payment)""").fetchall()
    return dict(zip(("true", "matched", "matched_right", "linked", "linked_right"), figures, strict=True))


if __name__ == "__main__":
    print(json.dumps(score(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))

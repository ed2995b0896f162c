"""The benchmark world: shares of classes, what each class means in the data, and determinism."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tieout.core.config.parsing import parse_configuration
from tieout.model.errors import UsageError
from tieout.simulate.benchmark import simulate_benchmark
from tieout.simulate.world import BenchmarkWorld

ROWS = 60_000
SHARES_PERCENT = {
    "exact": 90, "without_id": 4, "partial": 2, "one_to_many": 1, "off_by_fee": 0.5, "off_by_exchange": 0.5,
    "missing_payment": 1, "duplicated": 1, "duplicate": 1, "partner_missing": 0.4,
}  # fmt: skip


@pytest.fixture(scope="module", params=[False, True], ids=["easy", "hard"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BenchmarkWorld:
    return simulate_benchmark(tmp_path_factory.mktemp("benchmark"), ROWS, 5, hard=request.param)


def query(world: BenchmarkWorld, sql: str) -> list[tuple[object, ...]]:
    """Rows of a query over views invoices, payments and truth."""
    with duckdb.connect() as connection:
        for path in (world.invoices, world.payments, world.truth):
            connection.execute(f"CREATE VIEW {path.stem} AS SELECT * FROM read_parquet('{path}')")
        return connection.execute(sql).fetchall()


def test_shares_are_as_stated(world: BenchmarkWorld) -> None:
    assert set(world.counts) == set(SHARES_PERCENT)
    for name, share in SHARES_PERCENT.items():
        assert world.counts[name] == pytest.approx(ROWS * share / 100, rel=0.1), name


def test_rows_are_as_stated(world: BenchmarkWorld) -> None:
    assert world.invoice_rows == ROWS
    counts = world.counts
    assert world.payment_rows == query(world, "SELECT count(DISTINCT payment) FROM truth")[0][0]
    assert world.payment_rows == pytest.approx(ROWS, rel=0.05)
    assert counts["partner_missing"] == ROWS * 4 // 100 * 10 // 100
    assert query(world, "SELECT count(*), count(DISTINCT id) FROM payments") == [(world.payment_rows,) * 2]
    assert query(world, "SELECT count(DISTINCT number) FROM invoices") == [(ROWS,)]


def test_columns(world: BenchmarkWorld) -> None:
    invoices = query(world, "SELECT column_name, column_type FROM (DESCRIBE invoices)")
    assert invoices == [
        ("number", "VARCHAR"),
        ("customer", "VARCHAR"),
        ("date", "DATE"),
        ("amount", "DECIMAL(18,2)"),
        ("currency", "VARCHAR"),
    ]
    payments = query(world, "SELECT column_name, column_type FROM (DESCRIBE payments)")
    assert payments == [("id", "VARCHAR"), ("invoice", "VARCHAR"), *invoices[1:]]


def test_each_class_means_what_it_says(world: BenchmarkWorld) -> None:
    """Every pair shares customer and currency; names and amounts are as the class has them."""
    found = query(
        world,
        """SELECT class, bool_and(p.invoice = t.invoice), count(p.invoice), bool_and(i.amount = p.amount),
               bool_or(i.amount = p.amount), bool_and(i.customer = p.customer AND i.currency = p.currency)
           FROM truth AS t JOIN payments AS p ON p.id = t.payment JOIN invoices AS i ON i.number = t.invoice
           GROUP BY class""",
    )
    named = {"exact", "duplicated", "duplicate", "partial", "off_by_fee", "off_by_exchange"}
    equal = {"exact", "duplicated", "duplicate", "without_id"}
    for name, names_own, names, all_equal, some_equal, same_customer in found:
        assert same_customer, name
        if name in named:
            assert names_own, name
        if name == "without_id":
            assert names == 0
        assert all_equal == (name in equal), name
        assert some_equal == (name in equal), name


def test_partial_and_common_payments_add_up(world: BenchmarkWorld) -> None:
    partial = """SELECT count(*) FROM (SELECT t.invoice FROM truth AS t JOIN payments AS p ON p.id = t.payment
        JOIN invoices AS i ON i.number = t.invoice WHERE class = 'partial'
        GROUP BY t.invoice HAVING sum(p.amount) <> any_value(i.amount) OR count(*) <> 2 OR min(p.amount) <= 0)"""
    assert query(world, partial) == [(0,)]
    common = """SELECT count(*) FILTER (WHERE billed <> paid), min(invoices), max(invoices), count(named)
            BETWEEN 0.2 * count(*) AND 0.8 * count(*), bool_and(named = first)
        FROM (SELECT sum(i.amount) AS billed, any_value(p.amount) AS paid, count(*) AS invoices,
                  any_value(p.invoice) AS named, min(t.invoice) AS first
              FROM truth AS t JOIN payments AS p ON p.id = t.payment JOIN invoices AS i ON i.number = t.invoice
              WHERE class = 'one_to_many' GROUP BY t.payment)"""
    assert query(world, common) == [(0, 2, 3, True, True)]


def test_missing_partners_are_nowhere(world: BenchmarkWorld) -> None:
    orphans = "SELECT count(*), count(p.invoice), count(t.invoice) FROM truth AS t JOIN payments AS p"
    found = query(world, f"{orphans} ON p.id = t.payment WHERE class = 'partner_missing'")
    assert found == [(world.counts["partner_missing"], 0, 0)]
    assert query(world, "SELECT count(*) FROM truth WHERE class = 'missing_payment' AND payment IS NOT NULL") == [(0,)]
    everything = "SELECT count(DISTINCT invoice) FROM truth"
    assert query(world, everything) == [(ROWS,)]


def test_yen_have_no_decimals_and_amounts_are_positive(world: BenchmarkWorld) -> None:
    for side in ("invoices", "payments"):
        fractions = f"SELECT count(*) FROM {side} WHERE amount <= 0 OR (currency = 'JPY' AND amount <> trunc(amount))"
        assert query(world, fractions) == [(0,)]


def test_hard_repeats_prices_customers_and_days(tmp_path: Path) -> None:
    hard = simulate_benchmark(tmp_path / "hard", ROWS, 5, hard=True)
    easy = simulate_benchmark(tmp_path / "easy", ROWS, 5, hard=False)
    distinct = "SELECT count(DISTINCT amount) <= 24, count(DISTINCT date) <= 12, count(DISTINCT customer) FROM invoices"
    assert query(hard, distinct)[0][:2] == (True, True)
    assert query(easy, distinct)[0][:2] == (False, False)
    twins = """SELECT count(*) FROM (SELECT customer, amount, currency, date FROM invoices
        GROUP BY ALL HAVING count(*) > 1)"""
    assert query(hard, twins)[0][0] > ROWS / 20  # type: ignore[operator]
    assert query(easy, twins)[0][0] < ROWS / 1_000  # type: ignore[operator]


def test_csv_holds_the_same_rows(tmp_path: Path) -> None:
    world = simulate_benchmark(tmp_path, 5_000, 9, hard=False, partner_missing=0, csv=True)
    assert "partner_missing" not in world.counts
    types = "columns={'number': 'VARCHAR', 'customer': 'VARCHAR', 'date': 'DATE', 'amount': 'DECIMAL(18,2)'," \
        " 'currency': 'VARCHAR'}"  # fmt: skip
    path = world.invoices.with_suffix(".csv")
    assert query(world, f"SELECT * FROM invoices EXCEPT ALL SELECT * FROM read_csv('{path}', {types})") == []
    assert len(path.read_text().splitlines()) == 5_001
    for name in ("tieout.yaml", "tieout-csv.yaml"):
        configuration = parse_configuration((tmp_path / name).read_text())
        assert list(configuration.reconciliations) == ["invoices-to-payments"]


def test_equal_seeds_give_equal_bytes_whatever_the_environment(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom tieout.simulate.benchmark import simulate_benchmark\n"
        "simulate_benchmark(Path(sys.argv[1]), 20000, 3, hard=True)\n"
    )
    digests = []
    for number, (hash_seed, zone) in enumerate((("0", "UTC"), ("4242", "Asia/Tokyo"))):
        target = tmp_path / str(number)
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone}
        subprocess.run([sys.executable, "-c", program, str(target)], env=environment, check=True)
        files = sorted(path for path in target.iterdir())
        digests.append([(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files])
    assert digests[0] == digests[1]
    other = simulate_benchmark(tmp_path / "other", 20_000, 4, hard=True)
    assert hashlib.sha256(other.invoices.read_bytes()).hexdigest() not in dict(digests[0]).values()


def test_impossible_worlds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 rows"):
        simulate_benchmark(tmp_path, 1, 1, hard=False)
    with pytest.raises(UsageError, match="percentage"):
        simulate_benchmark(tmp_path, 100, 1, hard=False, partner_missing=101)


@pytest.mark.parametrize("rows", [6, 7, 100])
def test_small_benchmarks_hold_together(tmp_path: Path, rows: int) -> None:
    world = simulate_benchmark(tmp_path, rows, 1, hard=True)
    assert world.invoice_rows == rows
    assert query(world, "SELECT count(DISTINCT invoice) FROM truth") == [(rows,)]

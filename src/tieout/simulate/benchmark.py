"""`simulate_benchmark`: invoices and payments by the million, written by the engine from arithmetic alone.

Row i of everything is a function of i and the seed: no generator state, no hash function, no order of execution.
Classes are dealt by a Weyl sequence (a step coprime to the modulus), so that their shares are exact; amounts,
customers and dates by a quadratic residue modulo a prime, so that they follow no pattern of the classes.
"""

from __future__ import annotations

from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

from tieout.model.errors import UsageError
from tieout.simulate.benchmark_configuration import benchmark_configuration
from tieout.simulate.world import BenchmarkWorld

if TYPE_CHECKING:
    import duckdb

PRIME = 2**31 - 1
BLOCK = 6
"""Invoices are dealt in blocks: a block paid in common is two payments of three invoices or three of two."""
MOST_ROWS = 100_000_000
DEFAULT_PARTNER_MISSING = 10
EASY_ROWS_PER_CUSTOMER = 8
HARD_ROWS_PER_CUSTOMER = 48
SHARES = (
    ("exact", 9_000),
    ("without_id", 400),
    ("partial", 200),
    ("off_by_fee", 50),
    ("off_by_exchange", 50),
    ("missing_payment", 100),
    ("duplicated", 100),
)
"""Shares of invoices in hundredths of a percent; what is missing to 100% is `one_to_many`."""
HARD_PRICES = (4_900, 9_900, 11_880, 19_900, 29_900, 49_900, 58_800, 99_900, 118_800, 238_800, 478_800, 960_000)


def simulate_benchmark(
    directory: Path,
    rows: int,
    seed: int,
    hard: bool,
    partner_missing: int = DEFAULT_PARTNER_MISSING,
    csv: bool = False,
    memory: str = "1GB",
) -> BenchmarkWorld:
    """Write `rows` invoices, their payments, the truth and a tieout.yaml into `directory`.

    invoices.parquet   number, customer VARCHAR, date DATE, amount DECIMAL(18,2), currency VARCHAR
    payments.parquet   id, invoice (NULL where it names none), customer VARCHAR, date, amount, currency
    truth.parquet      invoice, payment, class: one row for each pair; NULL where there is no partner

    `partner_missing` is a percentage of the payments without an invoice id: so many more of them are written whose
    own invoice is nowhere in the data. `hard` repeats a dozen prices among few customers on the first of each month.
    `csv` writes both sides as CSV too, with tieout-csv.yaml. `memory` bounds the engine. Raises UsageError for
    counts out of bounds.
    """
    if not BLOCK <= rows <= MOST_ROWS:
        raise UsageError(f"cannot simulate {rows} rows", hint=f"between {BLOCK} and {MOST_ROWS}")
    if not 0 <= partner_missing <= 100:
        raise UsageError(f"{partner_missing} is not a percentage", hint="between 0 and 100")
    directory.mkdir(parents=True, exist_ok=True)
    orphans = rows * dict(SHARES)["without_id"] // 10_000 * partner_missing // 100
    connection = _connect(memory)
    try:
        _define(connection, rows, seed, hard)
        _write(connection, _invoices_sql(rows), directory / "invoices.parquet", csv)
        _write(connection, _payments_sql(rows + orphans, seed), directory / "payments.parquet", csv)
        _write(connection, _truth_sql(rows + orphans), directory / "truth.parquet", csv=False)
        return _world(connection, directory, csv)
    finally:
        connection.close()


def _connect(memory: str) -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(":memory:")
    connection.execute("SET memory_limit = ?", [memory])
    connection.execute("SET enable_progress_bar = false")
    return connection


def _define(connection: duckdb.DuckDBPyConnection, rows: int, seed: int, hard: bool) -> None:
    """Define the columns as macros of the row number."""
    for name, body in _macros(rows, seed % PRIME, hard).items():
        connection.execute(f"CREATE MACRO {name} AS {body}")


def _macros(rows: int, seed: int, hard: bool) -> dict[str, str]:
    """Macro heads and bodies; every literal is an integer of this module or of the checked arguments.

    Amounts are hundredths of a major unit; `unit` is the least amount of a currency in them (100 for yen).
    """
    rows_per_customer = HARD_ROWS_PER_CUSTOMER if hard else EASY_ROWS_PER_CUSTOMER
    customers = max(1, rows // rows_per_customer)
    shares, bound = "", 0
    for name, share in SHARES:
        bound += share
        shares += f" WHEN dealt(i) < {bound} THEN '{name}'"
    prices = ", ".join(map(str, HARD_PRICES))
    amount = f"[{prices}][1 + mixed(i, 5) % {len(HARD_PRICES)}]" if hard else "1000 + mixed(i, 5) % 5000000"
    day = "mixed(owner(i), 7) % 12" if hard else "mixed(owner(i), 7) % 365"
    span = f"INTERVAL ({day}) {'MONTH' if hard else 'DAY'}"
    return {
        "residue(x)": f"(x * x % {PRIME} * 48271 + x) % {PRIME}",
        "mixed(i, salt)": f"residue((i * (69621 + 2 * salt) + {seed} * salt + 12345 * salt) % {PRIME})",
        "in_common(i)": f"(i // {BLOCK} * 6181 + {seed}) % 9999 < 100 AND i < {rows // BLOCK * BLOCK}",
        "dealt(i)": f"(i * 6113 + {seed} * 31) % {bound}",
        "class_of(i)": f"CASE WHEN i >= {rows} THEN 'partner_missing' WHEN in_common(i) THEN 'one_to_many'{shares} END",
        "owner(i)": f"CASE WHEN in_common(i) THEN i // {BLOCK} * {BLOCK} ELSE i END",
        "customer_number(i)": f"mixed(owner(i), 3) % {customers}",
        "currency_of(i)": """CASE WHEN customer_number(i) % 100 < 70 THEN 'USD'
            WHEN customer_number(i) % 100 < 90 THEN 'EUR' WHEN customer_number(i) % 100 < 97 THEN 'GBP'
            ELSE 'JPY' END""",
        "unit(i)": "CASE WHEN customer_number(i) % 100 < 97 THEN 1 ELSE 100 END",
        "invoiced(i)": f"({amount}) // unit(i) * unit(i)",
        "invoiced_on(i)": f"(DATE '2026-01-01' + {span})::DATE",
        "paid_on(i)": "invoiced_on(i) + (mixed(i, 9) % 20)::INTEGER",
        "in_group(i)": "CASE WHEN mixed(owner(i), 11) % 2 = 0 THEN 2 ELSE 3 END",
        "leader(i)": f"i - i % {BLOCK} % in_group(i)",
        "fee(i)": "(invoiced(i) // unit(i) * 290 + 5000) // 10000 * unit(i) + CASE unit(i) WHEN 1 THEN 30 ELSE 0 END",
        "exchange(i)": "greatest(1, invoiced(i) // unit(i) * (5 + mixed(i, 13) % 45) // 10000) * unit(i)",
        "signed_exchange(i)": "exchange(i) * (mixed(i, 17) % 2 * 2 - 1)",
        "first_part(i)": "invoiced(i) // unit(i) * (3 + mixed(i, 19) % 5) // 10 * unit(i)",
        "decimal_of(x)": "(x::DECIMAL(18,2) / 100)::DECIMAL(18,2)",
        "number_of(i)": "'INV-' || lpad((i + 1)::VARCHAR, 9, '0')",
        "name_of(i)": "'C' || lpad(customer_number(i)::VARCHAR, 8, '0')",
        "payment_id(i, part)": "'PAY-' || lpad((2 * i + part + 1)::VARCHAR, 10, '0')",
    }


def _invoices_sql(rows: int) -> str:
    return f"""
        SELECT number_of(i) AS number, name_of(i) AS customer, invoiced_on(i) AS date,
            decimal_of(invoiced(i)) AS amount, currency_of(i) AS currency
        FROM range({rows}) AS r(i)"""


def _payments_sql(rows: int, seed: int) -> str:
    """Payments in another order than invoices: j walks the rows by a step coprime to their number."""
    step = rows * 618 // 1_000 + 1
    while gcd(step, rows) != 1:
        step += 1
    paid = """CASE class
        WHEN 'partial' THEN CASE part WHEN 0 THEN first_part(i) ELSE invoiced(i) - first_part(i) END
        WHEN 'one_to_many' THEN invoiced(i) + invoiced(i + 1)
            + CASE in_group(i) WHEN 3 THEN invoiced(i + 2) ELSE 0 END
        WHEN 'off_by_fee' THEN invoiced(i) - fee(i)
        WHEN 'off_by_exchange' THEN invoiced(i) + signed_exchange(i)
        ELSE invoiced(i) END"""
    named = """CASE WHEN class IN ('without_id', 'partner_missing') THEN NULL
        WHEN class = 'one_to_many' AND mixed(i, 23) % 2 = 0 THEN NULL ELSE number_of(i) END"""
    later = "CASE part WHEN 0 THEN 0 ELSE 1 + mixed(i, 29) % 5 END"
    return f"""
        SELECT payment_id(i, part) AS id, {named} AS invoice, name_of(i) AS customer,
            paid_on(i) + ({later})::INTEGER AS date, decimal_of({paid}) AS amount, currency_of(i) AS currency
        FROM (SELECT i, class_of(i) AS class, unnest(CASE WHEN class_of(i) IN ('partial', 'duplicated')
                  THEN [0, 1] ELSE [0] END) AS part
              FROM (SELECT (j * {step} + {seed % rows}) % {rows} AS i FROM range({rows}) AS r(j)))
        WHERE class <> 'missing_payment' AND (class <> 'one_to_many' OR leader(i) = i)"""


def _truth_sql(rows: int) -> str:
    return f"""
        SELECT CASE class WHEN 'partner_missing' THEN NULL ELSE number_of(i) END AS invoice,
            CASE class WHEN 'missing_payment' THEN NULL WHEN 'one_to_many' THEN payment_id(leader(i), 0)
                ELSE payment_id(i, part) END AS payment,
            CASE WHEN class = 'duplicated' AND part = 1 THEN 'duplicate' ELSE class END AS class
        FROM (SELECT i, class_of(i) AS class, unnest(CASE WHEN class_of(i) IN ('partial', 'duplicated')
                  THEN [0, 1] ELSE [0] END) AS part
              FROM range({rows}) AS r(i))"""


def _write(connection: duckdb.DuckDBPyConnection, query: str, target: Path, csv: bool) -> None:
    """COPY takes no parameters in its file name; quotes in the path are doubled."""
    connection.execute(f"COPY ({query}) TO {_text(target)} (FORMAT parquet, COMPRESSION zstd)")
    if csv:
        copied = f"COPY (SELECT * FROM read_parquet({_text(target)})) TO {_text(target.with_suffix('.csv'))}"
        connection.execute(f"{copied} (FORMAT csv, HEADER)")


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _world(connection: duckdb.DuckDBPyConnection, directory: Path, csv: bool) -> BenchmarkWorld:
    """Write the configuration and count what was written."""
    configuration = directory / "tieout.yaml"
    configuration.write_text(benchmark_configuration("parquet"), encoding="utf-8", newline="\n")
    if csv:
        text = benchmark_configuration("csv")
        (directory / "tieout-csv.yaml").write_text(text, encoding="utf-8", newline="\n")

    def count(name: str) -> int:
        counted = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(directory / name)]).fetchall()
        return int(counted[0][0])

    classes = connection.execute(
        "SELECT class, count(DISTINCT coalesce(invoice, payment)) FROM read_parquet(?) GROUP BY class ORDER BY class",
        [str(directory / "truth.parquet")],
    ).fetchall()
    return BenchmarkWorld(
        directory=directory,
        invoices=directory / "invoices.parquet",
        payments=directory / "payments.parquet",
        truth=directory / "truth.parquet",
        configuration=configuration,
        invoice_rows=count("invoices.parquet"),
        payment_rows=count("payments.parquet"),
        counts={str(name): int(number) for name, number in classes},
    )

"""datacompy's Polars comparison, and its three frames written as one file.

It pairs repeated keys by their order, so that a second payment of an invoice is unexpected rather than a second row.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.contenders.statement import COLUMNS

polars: Any = import_module("polars")  # optional extras: looked up by name, so that type checks need them not
datacompy: Any = import_module("datacompy")

COMPARED = ("amount", "currency")


def main(world: Path, output: Path) -> None:
    """Compare the two files of a world: amount and currency under each invoice number."""
    column, literal, nothing = polars.col, polars.lit, polars.lit(None, polars.String)
    invoices = polars.read_parquet(world / "invoices.parquet").rename(
        {"number": "reference", "customer": "invoice_customer", "date": "invoice_date"}
    )
    payments = polars.read_parquet(world / "payments.parquet").rename(
        {"invoice": "reference", "id": "payment", "customer": "payment_customer", "date": "payment_date"}
    )
    compared = datacompy.PolarsCompare(
        invoices, payments, join_columns=["reference"], df1_name="invoice", df2_name="payment"
    )
    both = _named(compared.intersect_rows)
    agreed = column("amount_match") & column("currency_match")
    verdict = polars.when(agreed).then(literal("matched")).otherwise(literal("amount_mismatch"))
    both = both.with_columns(column("reference").alias("invoice"), verdict.alias("class"))
    missing = compared.df1_unq_rows.rename({name: f"invoice_{name}" for name in COMPARED}).with_columns(
        column("reference").alias("invoice"), literal("missing").alias("class")
    )
    unexpected = compared.df2_unq_rows.rename({name: f"payment_{name}" for name in COMPARED}).with_columns(
        nothing.alias("invoice"), literal("unexpected").alias("class")
    )
    written = polars.concat([both, missing, unexpected], how="diagonal")
    written.select(COLUMNS).write_parquet(output)


def _named(frame: Any) -> Any:
    """Columns that only one side has carry its name at their end as well: `payment_date_payment`."""
    ours = {
        name: name.removesuffix(f"_{side}")
        for side in ("invoice", "payment")
        for name in frame.columns
        if name.endswith(f"_{side}") and name.removesuffix(f"_{side}") not in COMPARED
    }
    theirs = {f"{name}_{side}": f"{side}_{name}" for side in ("invoice", "payment") for name in COMPARED}
    return frame.rename(ours | theirs)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

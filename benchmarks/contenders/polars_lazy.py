"""Polars, lazy and streaming: scan, full join, when/then, sink."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.contenders.statement import COLUMNS

polars: Any = import_module("polars")  # an optional extra: looked up by name, so that type checks need it not


def main(world: Path, output: Path) -> None:
    """Compare the two files of a world."""
    column, when, literal = polars.col, polars.when, polars.lit
    invoices = polars.scan_parquet(world / "invoices.parquet").select(
        column("number").alias("invoice"),
        *(column(name).alias(f"invoice_{name}") for name in ("customer", "date", "amount", "currency")),
    )
    payments = polars.scan_parquet(world / "payments.parquet").select(
        column("invoice").alias("named"),
        column("id").alias("payment"),
        *(column(name).alias(f"payment_{name}") for name in ("customer", "date", "amount", "currency")),
    )
    equal = (column("invoice_amount") == column("payment_amount")) & (
        column("invoice_currency") == column("payment_currency")
    )
    joined = invoices.join(payments, left_on="invoice", right_on="named", how="full", coalesce=False)
    classed = joined.with_columns(
        polars.coalesce("invoice", "named").alias("reference"),
        when(column("invoice").is_null())
        .then(literal("unexpected"))
        .when(column("payment").is_null())
        .then(literal("missing"))
        .when(equal)
        .then(literal("matched"))
        .otherwise(literal("amount_mismatch"))
        .alias("class"),
    )
    classed.select(COLUMNS).sink_parquet(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

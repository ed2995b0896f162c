"""pandas: read, outer merge, masks, write. Columns are Arrow's, so that amounts stay decimals."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.contenders.statement import COLUMNS

pandas: Any = import_module("pandas")  # an optional extra: looked up by name, so that type checks need it not

FIELDS = ("customer", "date", "amount", "currency")


def main(world: Path, output: Path) -> None:
    """Compare the two files of a world."""
    invoices = pandas.read_parquet(world / "invoices.parquet", dtype_backend="pyarrow")
    payments = pandas.read_parquet(world / "payments.parquet", dtype_backend="pyarrow")
    invoices = invoices.rename(columns={"number": "invoice"} | {name: f"invoice_{name}" for name in FIELDS})
    named = {"invoice": "named", "id": "payment"} | {name: f"payment_{name}" for name in FIELDS}
    payments = payments.rename(columns=named)
    # merge joins nothing to nothing; here only payments can name none, so no pair comes of it
    joined = invoices.merge(payments, left_on="invoice", right_on="named", how="outer", sort=False)
    joined["reference"] = joined["invoice"].fillna(joined["named"])
    equal = (joined["invoice_amount"] == joined["payment_amount"]) & (
        joined["invoice_currency"] == joined["payment_currency"]
    )
    joined["class"] = "amount_mismatch"
    joined.loc[equal.fillna(value=False), "class"] = "matched"
    joined.loc[joined["payment"].isna(), "class"] = "missing"
    joined.loc[joined["invoice"].isna(), "class"] = "unexpected"
    joined[list(COLUMNS)].to_parquet(output, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

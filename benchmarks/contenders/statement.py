"""What the contenders are asked to write, and the SQL that says so: join, classify, write."""

from __future__ import annotations

from pathlib import Path

COLUMNS = (
    "reference", "invoice", "payment", "invoice_customer", "payment_customer", "invoice_date", "payment_date",
    "invoice_amount", "payment_amount", "invoice_currency", "payment_currency", "class",
)  # fmt: skip
"""The columns of an output, in order. `class` is matched, amount_mismatch, missing or unexpected."""

COMPARISON = """
    SELECT coalesce(i.number, p.invoice) AS reference, i.number AS invoice, p.id AS payment,
        i.customer AS invoice_customer, p.customer AS payment_customer, i.date AS invoice_date,
        p.date AS payment_date, i.amount AS invoice_amount, p.amount AS payment_amount,
        i.currency AS invoice_currency, p.currency AS payment_currency,
        CASE WHEN i.number IS NULL THEN 'unexpected' WHEN p.id IS NULL THEN 'missing'
             WHEN i.amount = p.amount AND i.currency = p.currency THEN 'matched' ELSE 'amount_mismatch' END AS class
    FROM {invoices} AS i FULL OUTER JOIN {payments} AS p ON i.number = p.invoice"""


def text(path: Path) -> str:
    """A path as a SQL literal: COPY takes no parameters in its file name."""
    return "'" + str(path).replace("'", "''") + "'"


def comparison(world: Path) -> str:
    """The comparison over the two Parquet files of a world."""
    invoices, payments = (f"read_parquet({text(world / name)})" for name in ("invoices.parquet", "payments.parquet"))
    return COMPARISON.format(invoices=invoices, payments=payments)

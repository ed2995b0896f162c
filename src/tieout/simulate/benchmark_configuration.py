"""The `tieout.yaml` of a benchmark world: two sources and one reconciliation."""

from __future__ import annotations

_TEXT = """\
workspace: benchmark

sources:
  invoices:
    format: {format}
    kind: invoice
    files: [invoices.{format}]
    mapping:
      native_id: number
      customer_ref: customer
      date: date
      amount: amount
      currency: currency
  payments:
    format: {format}
    kind: payment
    files: [payments.{format}]
    mapping:
      native_id: id
      invoice_ref: invoice
      customer_ref: customer
      date: date
      amount: amount
      currency: currency

reconciliations:
  invoices-to-payments:
    kind: match
    sides:
      invoices: {{source: invoices, kind: invoice}}
      payments: {{source: payments, kind: payment}}
    passes:
      - {{name: by-number, type: exact, on: {{invoices: native_id, payments: invoice_ref}}}}
      - {{name: by-sums, type: grouped, on: {{invoices: native_id, payments: invoice_ref}}}}
"""


def benchmark_configuration(file_format: str) -> str:
    """The YAML text for files of a format: parquet or csv."""
    return _TEXT.format(format=file_format)

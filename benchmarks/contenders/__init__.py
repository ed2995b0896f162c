"""What runs beside Tieout, each a program of its own: `python -m benchmarks.contenders.NAME WORLD OUTPUT`.

All but the copy read invoices.parquet and payments.parquet, join them on the invoice number, call each row matched,
amount_mismatch, missing or unexpected, and write the columns of `statement.COLUMNS`.
"""

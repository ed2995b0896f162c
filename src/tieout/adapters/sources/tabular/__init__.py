"""Columns of a table to draft columns: declared or inferred, for CSV, Parquet and JSON alike."""

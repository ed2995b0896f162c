"""Engines execute plans. DuckDB in process is the first."""

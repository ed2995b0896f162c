"""Benchmarks: Tieout beside DuckDB, Polars, pandas, datacompy and a per-row worker, over the same files.

`python -m benchmarks` measures; docs/benchmarks.md tells what and how. Whatever runs in the measuring process imports
nothing but the standard library, because a child's peak memory begins with its parent's.
"""

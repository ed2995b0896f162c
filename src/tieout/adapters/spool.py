"""From a reading to something the engine can read: drafts that Python yields are spooled to disk, by chunks.

The spool is JSON lines with declared columns: no type is guessed, and memory holds one chunk at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from tieout.adapters.patterns import exact_path
from tieout.model.errors import InputError
from tieout.model.reading import DraftChunk, DraftQuery, Reading
from tieout.model.record import DRAFT_COLUMNS, Rejection

_SPOOL_COLUMNS = {"line": "BIGINT", **dict.fromkeys(DRAFT_COLUMNS, "VARCHAR")}


def as_query(reading: Reading, spool: Path) -> tuple[DraftQuery, list[str] | None]:
    """The reading's drafts as one query, and the draft columns it has (None: ask the engine).

    Chunks are written to `spool`; after that the reading's statements and rejections are complete.
    """
    if isinstance(reading.drafts, DraftQuery):
        return reading.drafts, None
    present = _write(reading.drafts, spool)
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _SPOOL_COLUMNS.items())
    sql = f"""
        SELECT * FROM read_json($spool, format = 'newline_delimited', columns = {{{columns}}},
            maximum_object_size = 67108864, hive_partitioning = false)"""
    return DraftQuery(sql, {"spool": exact_path(spool)}), sorted(present)


def rejections_query(rejections: Sequence[Rejection], spool: Path) -> DraftQuery:
    """Some rejections as a relation (line, field, reason, text); written to `spool` where there are any."""
    if not rejections:
        empty = "SELECT NULL::BIGINT AS line, NULL::VARCHAR AS field, NULL::VARCHAR AS reason, NULL::VARCHAR AS text"
        return DraftQuery(f"{empty} WHERE false")
    with spool.open("wb") as file:
        for rejection in rejections:
            file.write(orjson.dumps(asdict(rejection)))
            file.write(b"\n")
    columns = "{line: 'BIGINT', field: 'VARCHAR', reason: 'VARCHAR', text: 'VARCHAR'}"
    sql = (
        f"SELECT * FROM read_json($spool, format = 'newline_delimited', columns = {columns}, hive_partitioning = false)"
    )
    return DraftQuery(sql, {"spool": exact_path(spool)})


def ids_query(ids: Sequence[str], spool: Path) -> DraftQuery:
    """Some native ids as a relation (native_id); written to `spool` where there are any."""
    if not ids:
        return DraftQuery("SELECT NULL::VARCHAR AS native_id WHERE false")
    with spool.open("wb") as file:
        for native_id in ids:
            file.write(orjson.dumps({"native_id": native_id}))
            file.write(b"\n")
    columns = "columns = {native_id: 'VARCHAR'}"
    sql = f"SELECT * FROM read_json($ids, format = 'newline_delimited', {columns}, hive_partitioning = false)"
    return DraftQuery(sql, {"ids": exact_path(spool)})


def _write(chunks: Iterator[DraftChunk], spool: Path) -> set[str]:
    present: set[str] = set()
    with spool.open("wb") as file:
        for chunk in chunks:
            names = [name for name in chunk if name in _SPOOL_COLUMNS]
            present |= {name for name in names if name != "line" and any(value is not None for value in chunk[name])}
            try:
                for values in zip(*(chunk[name] for name in names), strict=True):
                    file.write(orjson.dumps(dict(zip(names, values, strict=True))))
                    file.write(b"\n")
            except orjson.JSONEncodeError as error:
                raise InputError("text that is not valid Unicode", hint="check the file's encoding") from error
    return present

"""The key map, minimally: (source, native id) to canonical customer, loaded from a file, versioned as a whole.

Governing it (history, merges, suggestions) comes with canonical customers; this room only keeps what a file says.
"""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from sqlalchemy import Connection, func, insert, select, update

from tieout.adapters.store.tables import key_map, key_map_versions
from tieout.model.audit import Actor
from tieout.model.configuration import Configuration
from tieout.model.errors import InputError, Place
from tieout.service.unit import Unit

COLUMNS = ("customer_id", "source", "native_id")
_MAX_ROWS = 5_000_000

Entries = dict[tuple[str, str], str]
"""(source, native id) to customer id."""


def refresh_key_map(unit: Unit, configuration: Configuration, base_directory: Path, actor: Actor) -> int | None:
    """Load the declared key-map file if its content is new; returns the new version, or None when nothing changed.

    Raises InputError for a missing file, a missing column, an empty cell, or a native id claimed by two customers.
    """
    declared = configuration.identity.key_map
    if declared is None:
        return None
    path = base_directory / declared
    if not path.is_file():
        raise InputError("the key map is missing", hint="create it, or drop identity.key_map", place=Place(declared))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with unit.read() as connection:
        latest = _latest(connection, unit.workspace)
    if latest is not None and latest[1] == digest:
        return None
    entries = _read(path, declared)
    with unit.change(actor, "key_map.load") as change:
        latest = _latest(change.connection, unit.workspace)
        if latest is not None and latest[1] == digest:
            change.nothing()
            return None
        version = 1 if latest is None else latest[0] + 1
        values = {"workspace": unit.workspace, "version": version, "recorded_at": change.at, "actor": actor.name}
        change.connection.execute(insert(key_map_versions), values | {"digest": digest, "origin": declared})
        added, ended = _apply(change.connection, unit.workspace, version, entries, declared)
        change.audit(f"key_map/{version}", {"file": declared, "added": added, "ended": ended})
    return version


def _latest(connection: Connection, workspace: str) -> tuple[int, str] | None:
    version = connection.scalar(
        select(func.max(key_map_versions.c.version)).where(key_map_versions.c.workspace == workspace)
    )
    if version is None:
        return None
    where = (key_map_versions.c.workspace == workspace, key_map_versions.c.version == version)
    digest = connection.scalar(select(key_map_versions.c.digest).where(*where))
    return version, str(digest)


def _read(path: Path, declared: str) -> Entries:
    entries: Entries = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            hint = f"the columns are {', '.join(COLUMNS)}"
            raise InputError(f"column {missing[0]} is missing", hint=hint, place=Place(declared, 1))
        for row in reader:
            place = Place(declared, reader.line_num)
            values = [(row[name] or "").strip() for name in COLUMNS]
            if not all(values):
                raise InputError("an empty cell", hint="every row names customer, source and id", place=place)
            customer, source, native_id = values
            if entries.setdefault((source, native_id), customer) != customer:
                message = f"{source} {native_id} is claimed by {entries[source, native_id]} and {customer}"
                raise InputError(message, hint="a native id belongs to one customer at a time", place=place)
            if len(entries) > _MAX_ROWS:
                raise InputError(f"more than {_MAX_ROWS} rows", hint="split the workspace", place=place)
    return entries


def _apply(connection: Connection, workspace: str, version: int, entries: Entries, origin: str) -> tuple[int, int]:
    """Bring the current map to what the file says; returns rows added and rows ended."""
    query = select(key_map.c.source, key_map.c.native_id, key_map.c.customer_id, key_map.c.valid_from_version).where(
        key_map.c.workspace == workspace, key_map.c.valid_to_version.is_(None)
    )
    current = {(row.source, row.native_id): row for row in connection.execute(query)}
    gone = [row for key, row in current.items() if entries.get(key) != row.customer_id]
    for row in gone:
        where = (
            key_map.c.workspace == workspace,
            key_map.c.source == row.source,
            key_map.c.native_id == row.native_id,
            key_map.c.valid_from_version == row.valid_from_version,
        )
        connection.execute(update(key_map).where(*where).values(valid_to_version=version))
    fresh = [
        {
            "workspace": workspace,
            "source": source,
            "native_id": native_id,
            "valid_from_version": version,
            "customer_id": customer,
            "origin": origin,
        }
        for (source, native_id), customer in sorted(entries.items())
        if (known := current.get((source, native_id))) is None or known.customer_id != customer
    ]
    if fresh:
        connection.execute(insert(key_map), fresh)
    return len(fresh), len(gone)

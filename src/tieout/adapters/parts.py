"""Immutable parts: intent, write, fsync, then one transaction that makes them visible. And reading them back.

Every operation writes into a directory of its own, announced by an intent row that is committed first. What a
crash leaves behind is such a directory, and only the sweeper removes it, once the intent has ended or expired.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from tieout.adapters.raw import sha256_of, sync_directory, sync_file
from tieout.adapters.store.tables import batches, intents, parts
from tieout.model.clock import instant_text
from tieout.model.dataset import SEGMENT_BYTES, DraftPart
from tieout.model.errors import IncompleteError

_CHUNK = 500
INTENT_LEASE = timedelta(hours=6)
"""How long an operation may take before its files count as abandoned even if its process cannot be asked."""


def begin(connection: Connection, workspace: str, now: datetime, *, batch: bool = False) -> tuple[str, int | None]:
    """Announce an operation that will write parts; with `batch`, also reserve the next batch number.

    Returns (intent, batch number). The caller commits before it writes a file into `intent_directory`.
    """
    intent = uuid4().hex
    number = None
    if batch:
        greatest = [
            connection.scalar(select(func.max(table.c.batch)).where(table.c.workspace == workspace)) or 0
            for table in (batches, intents)
        ]
        number = max(greatest) + 1
    values = {
        "workspace": workspace,
        "intent": intent,
        "path": intent,
        "owner": process_owner(),
        "batch": number,
        "started_at": instant_text(now),
        "expires_at": instant_text(now + INTENT_LEASE),
    }
    connection.execute(insert(intents), values)
    return intent, number


def intent_directory(parts_directory: Path, intent: str) -> Path:
    """The directory of an operation's files, created durably."""
    directory = parts_directory / intent
    directory.mkdir(parents=True, exist_ok=True)
    sync_directory(parts_directory)
    return directory


@dataclass(frozen=True, slots=True)
class SettledPart:
    """A written part whose bytes are durable, or small enough to travel as a segment in the transaction."""

    draft: DraftPart
    size: int
    sha256: str
    segment: bytes | None


def settle(drafts: Iterable[DraftPart]) -> list[SettledPart]:
    """Force written files and their directories to the disk, before the transaction that makes them visible."""
    settled = []
    for draft in drafts:
        size = draft.path.stat().st_size
        if size < SEGMENT_BYTES:
            content = draft.path.read_bytes()
            settled.append(SettledPart(draft, size, hashlib.sha256(content).hexdigest(), content))
        else:
            sync_file(draft.path)
            settled.append(SettledPart(draft, size, sha256_of(draft.path), None))
    for directory in sorted({part.draft.path.parent for part in settled if part.segment is None}):
        sync_directory(directory)
    return settled


def publish(connection: Connection, workspace: str, intent: str, settled: Iterable[SettledPart], now: datetime) -> None:
    """Make settled parts visible and end the intent, inside the caller's transaction."""
    rows = [
        {
            "workspace": workspace,
            "part": _name(intent, part.draft.path),
            "dataset": part.draft.dataset,
            "batch": part.draft.batch,
            "reconciliation": part.draft.reconciliation,
            "run": part.draft.run,
            "slice": part.draft.slice,
            "rows": part.draft.rows,
            "bytes": part.size,
            "sha256": part.sha256,
            "path": _name(intent, part.draft.path) if part.segment is None else None,
            "segment": part.segment,
            "totals": json.dumps(part.draft.totals, sort_keys=True),
            "state": "visible",
            "recorded_at": instant_text(now),
        }
        for part in settled
    ]
    if rows:
        connection.execute(insert(parts), rows)
    end(connection, workspace, intent, now)


def _name(intent: str, path: Path) -> str:
    """A part's name: its path from the intent's directory on."""
    return "/".join(path.parts[path.parts.index(intent) :])


def end(connection: Connection, workspace: str, intent: str, now: datetime) -> None:
    """End an intent: whatever of its directory is not a visible part may be swept."""
    ended = update(intents).where(intents.c.workspace == workspace, intents.c.intent == intent)
    connection.execute(ended.values(ended_at=instant_text(now)))


def part_paths(
    connection: Connection, workspace: str, parts_directory: Path, cache_directory: Path, *where: ColumnElement[bool]
) -> list[Path]:
    """Files of the parts that a condition selects, withdrawn ones only if it says so. Segments become cache files.

    Raises IncompleteError when a part's file is gone or a segment does not have its digest.
    """
    found = connection.execute(
        select(parts.c.part, parts.c.path, parts.c.sha256, parts.c.rows)
        .where(parts.c.workspace == workspace, *where)
        .order_by(parts.c.recorded_at, parts.c.part)
    ).all()
    paths = []
    for row in found:
        if row.path is None:
            paths.append(_segment_file(connection, workspace, cache_directory, row.part, row.sha256))
            continue
        path = parts_directory / row.path
        if not path.exists():
            raise IncompleteError(f"part {row.part} is missing from the disk", hint="restore it, then `tieout verify`")
        paths.append(path)
    return paths


def _segment_file(connection: Connection, workspace: str, cache: Path, part: str, sha256: str) -> Path:
    """A segment as a file beside the database: content-addressed, rebuilt whenever it is not what it should be."""
    path = cache / f"{sha256}.parquet"
    if path.exists() and sha256_of(path) == sha256:
        return path
    where = (parts.c.workspace == workspace, parts.c.part == part)
    content = connection.scalar(select(parts.c.segment).where(*where))
    if content is None or hashlib.sha256(content).hexdigest() != sha256:
        raise IncompleteError(f"part {part} is damaged", hint="restore the database, then `tieout verify`")
    cache.mkdir(parents=True, exist_ok=True)
    incoming = cache / f".{uuid4().hex}"
    incoming.write_bytes(content)
    os.replace(incoming, path)
    return path


def sweep(connection: Connection, workspace: str, parts_directory: Path, now: datetime) -> list[Path]:
    """Remove what ended or abandoned operations left behind and no visible part needs. Returns what was removed."""
    if not parts_directory.is_dir():
        return []
    present = sorted(entry.name for entry in os.scandir(parts_directory) if entry.is_dir())
    removed = []
    rows: list[Row[*tuple[Any, ...]]] = []
    for start in range(0, len(present), _CHUNK):
        names = present[start : start + _CHUNK]
        query = select(intents).where(intents.c.workspace == workspace, intents.c.intent.in_(names))
        rows += connection.execute(query).all()
    for row in rows:
        if row.ended_at is None and row.expires_at > instant_text(now) and owner_alive(row.owner):
            continue
        directory = parts_directory / row.path
        prefix = f"{row.intent}/"
        kept = set(
            connection.scalars(
                select(parts.c.path).where(parts.c.workspace == workspace, parts.c.path.startswith(prefix))
            )
        )
        files = sorted(entry for entry in directory.rglob("*") if not entry.is_dir())
        leftovers = [entry for entry in files if _name(row.intent, entry) not in kept]
        for entry in leftovers:
            entry.unlink()
        if not kept:
            shutil.rmtree(directory)
        removed += leftovers
    return removed


def process_owner() -> str:
    """This process, as intents and leases name it."""
    return f"{socket.gethostname()}:{os.getpid()}"


def owner_alive(owner: str) -> bool:
    """Whether the process behind an intent or a lease may still be at work; on another host nobody can tell."""
    host, _, process = owner.rpartition(":")
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

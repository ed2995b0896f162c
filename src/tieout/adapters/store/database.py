"""The database behind the control plane: engine, transactions, errors in plain words, and migrating forward.

SQLite only for now, by the one SQLite library that pysqlite3 bundles: a second library on the same file would drop
the first one's locks. What the rows mean lives above; this module knows only the schema's revision.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from tieout.model.errors import ConflictError, IncompleteError, TieoutError, UsageError

FILE_NAME: Final = "control.db"
"""The database's name inside a data directory."""

REVISIONS: Final = ("0001",)
"""Every schema revision this code knows, oldest first; the last is the one it works with (a test keeps it so)."""

BUSY_TIMEOUT_SECONDS: Final = 30
"""How long a change waits for another process's change before it gives up."""

LEAST_SQLITE: Final = (3, 51, 3)
"""WAL in older libraries can lose a commit when a checkpoint meets a reset of the log."""

_BEGIN: Final = {
    "read": ("PRAGMA query_only=ON", "BEGIN DEFERRED"),
    "write": ("PRAGMA query_only=OFF", "BEGIN IMMEDIATE"),
}

_PRAGMAS: Final = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA recursive_triggers=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA fullfsync=ON",
    "PRAGMA checkpoint_fullfsync=ON",
)
"""Set on every connection. recursive_triggers: REPLACE then fires the triggers that forbid deletes."""


def open_engine(path: Path) -> Engine:
    """An engine on a SQLite file. No file is touched before the first transaction.

    Transactions are `reading(engine)` and `writing(engine)` below; the driver begins none by itself.
    """
    import pysqlite3.dbapi2 as driver

    if driver.sqlite_version_info < LEAST_SQLITE:
        wanted = ".".join(map(str, LEAST_SQLITE))
        raise UsageError(
            f"SQLite {driver.sqlite_version} is too old", hint=f"install a pysqlite3 with {wanted} or newer"
        )
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        module=driver,
        connect_args={
            "isolation_level": None,
            "check_same_thread": False,
            "timeout": BUSY_TIMEOUT_SECONDS,
            "cached_statements": 256,
        },
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    """Set up a fresh driver connection. WAL stays in the file; it is asked for again only where it is missing."""
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while not _in_wal_mode(connection):
        if time.monotonic() > deadline:
            raise ConflictError("another process keeps the database from opening", hint="repeat the call")
        time.sleep(0.01)


def _in_wal_mode(connection: Any) -> bool:
    """Whether the file is in WAL mode now. The switch needs the file alone and does not wait for it by itself."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return True
    try:
        return bool(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal")
    except connection.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            return False
        raise


def _begin(connection: Connection) -> None:
    """Begin as the connection's `transaction` option says. Reading connections cannot write by accident."""
    for statement in _BEGIN[connection.get_execution_options().get("transaction", "read")]:
        connection.exec_driver_sql(statement)


def reading(engine: Engine) -> Connection:
    """A connection whose transactions see one state of the database and cannot change it."""
    return engine.connect().execution_options(transaction="read")


def writing(engine: Engine) -> Connection:
    """A connection whose transactions hold the write lock from their first statement on (BEGIN IMMEDIATE)."""
    return engine.connect().execution_options(transaction="write")


def require_transaction(connection: Connection) -> None:
    """Raise IncompleteError when SQLite has given up the transaction by itself, as it does on some disk errors.

    Whoever swallowed that error would otherwise go on outside any transaction, and the commit would say yes.
    """
    if connection.dialect.name == "sqlite" and not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        raise IncompleteError("the database gave up the transaction; nothing was written", hint="repeat the call")


def plain_error(error: DBAPIError) -> TieoutError | None:
    """The error in plain words when its cause lies outside our code: a lock, the disk, the file. Else None."""
    text = str(error.orig)
    if "is locked" in text or "is busy" in text:
        return ConflictError(
            "another process holds the database", hint="wait until it has finished and repeat the call"
        )
    if "is full" in text:
        return IncompleteError("the disk is full; nothing was written", hint="free some space and repeat the call")
    if "readonly" in text or "unable to open" in text:
        return UsageError(f"cannot use the database: {text}", hint="check the data directory's permissions")
    if "malformed" in text or "not a database" in text:
        return IncompleteError(f"the database is damaged: {text}", hint="restore it from a backup", code="damaged")
    if "disk I/O error" in text:
        return IncompleteError("the disk failed; nothing was acknowledged", hint="check the disk and repeat the call")
    return None


def schema_revision(connection: Connection) -> str | None:
    """The schema's revision as stored; None where there is no schema yet."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def is_current(engine: Engine) -> bool:
    """Whether the schema is the one this code works with. Raises UsageError when it is newer."""
    with reading(engine) as connection:
        return _is_current(schema_revision(connection))


def _is_current(revision: str | None) -> bool:
    if revision is not None and revision not in REVISIONS:
        raise UsageError(
            f"the database has schema {revision}, this Tieout knows up to {REVISIONS[-1]}",
            hint="upgrade Tieout to the version that wrote it",
        )
    return revision == REVISIONS[-1]


def migrate(engine: Engine) -> bool:
    """Bring the schema forward to this code's revision, in one transaction under the write lock.

    Returns whether anything was done. Killed at any instant, it has happened wholly or not at all. Raises
    UsageError when the schema is newer than this code.
    """
    with writing(engine) as connection, connection.begin():
        if _is_current(schema_revision(connection)):
            return False
        _upgrade(connection)
        return True


def _upgrade(connection: Connection) -> None:
    """Run Alembic on a connection that already holds the lock. Its import is slow, hence only here."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "tieout.adapters.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def create_directories(*directories: Path) -> None:
    """Create directories with their parents, durably: each new name is on disk before this returns."""
    for directory in directories:
        missing = [path for path in (directory, *directory.parents) if not path.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        for path in missing:
            sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. A system that cannot open directories (Windows) needs no such step."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The SQLite behind the control plane: library, pragmas, transactions, and errors in plain words."""

from __future__ import annotations

from pathlib import Path

import pysqlite3.dbapi2 as driver
import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from tieout.adapters.store import database
from tieout.model.errors import ConflictError, IncompleteError, TieoutError, UsageError

AT = "2026-03-01T12:00:00.000000Z"
CONFIGURATION = "INSERT INTO configurations (workspace, digest, text, recorded_at, actor) VALUES "


def test_sqlite_is_recent_enough() -> None:
    assert driver.sqlite_version_info >= (3, 51, 3)


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(driver, "sqlite_version_info", (3, 51, 2))
    with pytest.raises(UsageError, match="too old"):
        database.open_engine(tmp_path / "control.db")


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("recursive_triggers", 1), ("fullfsync", 1)],
)
def test_pragmas_hold_on_every_connection(engine: Engine, pragma: str, value: object) -> None:
    with database.reading(engine) as one, database.writing(engine) as other:
        for connection in (one, other):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_a_reading_connection_cannot_write(engine: Engine) -> None:
    with database.reading(engine) as connection, pytest.raises(OperationalError, match="readonly"):
        connection.exec_driver_sql("DELETE FROM outbox")
    with database.writing(engine) as connection, connection.begin():
        connection.exec_driver_sql("DELETE FROM outbox")


def test_a_reading_transaction_sees_one_state(engine: Engine) -> None:
    count = "SELECT count(*) FROM configurations"
    with database.reading(engine) as reader, reader.begin():
        assert reader.exec_driver_sql(count).scalar() == 0
        with database.writing(engine) as writer, writer.begin():
            writer.exec_driver_sql(f"{CONFIGURATION} ('acme', 'd', '{{}}', '{AT}', 'ada')")
        assert reader.exec_driver_sql(count).scalar() == 0
    with database.reading(engine) as reader:
        assert reader.exec_driver_sql(count).scalar() == 1


def test_references_are_checked_at_commit(engine: Engine) -> None:
    values = f"('nobody', 'd', '{{}}', '{AT}', 'ada')"
    with database.writing(engine) as connection, pytest.raises(IntegrityError), connection.begin():
        connection.exec_driver_sql(CONFIGURATION + values)
    part = (
        "INSERT INTO parts (workspace, part, dataset, batch, rows, bytes, sha256, path, state, recorded_at) "
        f"VALUES ('acme', 'p', 'records', 7, 1, 1, '', 'x', 'visible', '{AT}')"
    )
    with database.writing(engine) as connection:
        with pytest.raises(IntegrityError), connection.begin():
            connection.exec_driver_sql(part)
        assert not connection.in_transaction()
    with database.reading(engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM parts").scalar() == 0


@pytest.mark.parametrize("name", ["with space", "per%cent", "quest?ion#mark", "ümlaut", "file:x"])
def test_any_directory_name_works(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    engine = database.open_engine(tmp_path / name / database.FILE_NAME)
    assert database.migrate(engine)
    engine.dispose()
    assert [path.name for path in (tmp_path / name).iterdir()] == [database.FILE_NAME]


def test_a_transaction_that_sqlite_gave_up_is_noticed(engine: Engine) -> None:
    with database.writing(engine) as connection, connection.begin():
        database.require_transaction(connection)
        connection.exec_driver_sql("ROLLBACK")
        with pytest.raises(IncompleteError):
            database.require_transaction(connection)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("database is locked", ConflictError),
        ("database or disk is full", IncompleteError),
        ("disk I/O error", IncompleteError),
        ("attempt to write a readonly database", UsageError),
        ("unable to open database file", UsageError),
        ("database disk image is malformed", IncompleteError),
        ("file is not a database", IncompleteError),
        ("no such table: x", type(None)),
        ("CHECK constraint failed: ck_batches_complete", type(None)),
    ],
)
def test_outside_causes_become_plain_errors(text: str, kind: type) -> None:
    plain = database.plain_error(DBAPIError("SELECT 1", {}, Exception(text)))
    assert type(plain) is kind
    if isinstance(plain, TieoutError):
        assert plain.hint


def test_created_directories_stay(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    database.create_directories(deep, tmp_path / "a" / "d")
    database.create_directories(deep)
    assert deep.is_dir()
    assert (tmp_path / "a" / "d").is_dir()

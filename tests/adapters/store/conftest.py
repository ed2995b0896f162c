"""A migrated database in a temporary directory, and rows to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tieout.adapters.store import database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine on a fresh, migrated database with the workspace `acme`."""
    engine = database.open_engine(tmp_path / database.FILE_NAME)
    database.migrate(engine)
    with database.writing(engine) as connection, connection.begin():
        connection.exec_driver_sql("INSERT INTO workspaces (workspace, created_at) VALUES ('acme', ?)", (AT,))
    yield engine
    engine.dispose()


AT = "2026-03-01T12:00:00.000000Z"

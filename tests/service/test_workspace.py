"""Creating and opening workspaces: repeatable, durable, and clear about what is missing or too new."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from tieout.adapters.store import database
from tieout.adapters.store.tables import workspaces
from tieout.core.audit import verify_chain
from tieout.model.audit import Actor
from tieout.model.errors import UsageError
from tieout.service.unit import audit_rows, audit_seals
from tieout.service.workspace import initialise, open_workspace

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def clock() -> datetime:
    return NOON


def rows_of(directory: Path, workspace: str = "acme") -> list[tuple[object, ...]]:
    """All workspaces, as one of them sees them; asserts that its audit verifies and tells of its creation."""
    unit = open_workspace(directory, workspace, clock)
    with unit.read() as connection:
        rows = [tuple(row) for row in connection.execute(select(workspaces).order_by(workspaces.c.workspace))]
        chain = list(audit_rows(connection, workspace))
        assert verify_chain(chain, audit_seals(connection, workspace)) == []
    unit.close()
    assert [(row.action, row.subject) for row in chain] == [("workspace.create", f"workspace/{workspace}")]
    return rows


def test_initialise_creates_everything(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / ".tieout"
    initialise(directory, "acme", clock, actor=Actor("ada", "cli"), one_person=True)
    assert rows_of(directory) == [("acme", "2026-03-01T12:00:00.000000Z", 1)]
    found = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))
    assert found == ["cache", "cache/acme", "control.db", "parts", "parts/acme", "raw", "raw/acme"]
    unit = open_workspace(directory, "acme", clock)
    assert unit.raw_directory == directory / "raw" / "acme"
    assert unit.parts_directory == directory / "parts" / "acme"
    assert unit.cache_directory == directory / "cache" / "acme"
    assert unit.now() == NOON
    unit.close()


def test_initialise_again_changes_nothing(tmp_path: Path) -> None:
    initialise(tmp_path, "acme", clock)
    initialise(tmp_path, "acme", lambda: datetime(2027, 1, 1, tzinfo=UTC), one_person=True)
    assert rows_of(tmp_path) == [("acme", "2026-03-01T12:00:00.000000Z", 0)]


def test_a_second_workspace_stands_beside_the_first(tmp_path: Path) -> None:
    initialise(tmp_path, "acme", clock)
    initialise(tmp_path, "other", clock)
    assert [row[0] for row in rows_of(tmp_path)] == ["acme", "other"]
    assert [row[0] for row in rows_of(tmp_path, "other")] == ["acme", "other"]


def test_a_relative_directory_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    initialise(Path(".tieout"), "acme", clock)
    unit = open_workspace(Path(".tieout"), "acme", clock)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert unit.raw_directory.is_dir()
    with unit.read() as connection:
        assert connection.scalar(select(workspaces.c.workspace)) == "acme"
    unit.close()


def test_a_missing_workspace_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_workspace(tmp_path / "nowhere", "acme", clock)
    assert "tieout init" in caught.value.hint
    assert not (tmp_path / "nowhere").exists()
    initialise(tmp_path, "acme", clock)
    with pytest.raises(UsageError) as caught:
        open_workspace(tmp_path, "other", clock)
    assert "tieout init" in caught.value.hint


NAMES = ["", ".", "..", "a/b", "../a", "A", "a b", "-a", "a-", "a\n", "é", "a" * 64, "a\0", "a.b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    for act in (initialise, open_workspace):
        with pytest.raises(UsageError, match="cannot name a workspace"):
            act(tmp_path / "x", name, clock)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["a", "0", "acme-2_b", "a" * 63])
def test_a_plain_name_is_accepted(tmp_path: Path, name: str) -> None:
    initialise(tmp_path, name, clock)
    assert rows_of(tmp_path, name)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        initialise(tmp_path / "file", "acme", clock)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / database.FILE_NAME).write_text("certainly not a database, but long enough to be looked at " * 20)
    for act in (initialise, open_workspace):
        with pytest.raises(Exception, match="damaged") as caught:
            act(tmp_path, "acme", clock)
        assert getattr(caught.value, "code", "") == "damaged"


def test_an_older_schema_is_brought_forward(tmp_path: Path) -> None:
    (tmp_path / database.FILE_NAME).touch()
    with pytest.raises(UsageError, match="older schema"):
        open_workspace(tmp_path, "acme", clock, migrate=False)
    with pytest.raises(UsageError, match="no workspace 'acme'"):
        open_workspace(tmp_path, "acme", clock)
    initialise(tmp_path, "acme", clock)
    open_workspace(tmp_path, "acme", clock, migrate=False).close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    initialise(tmp_path, "acme", clock)
    engine = database.open_engine(tmp_path / database.FILE_NAME)
    with database.writing(engine) as connection, connection.begin():
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0999'")
    engine.dispose()
    for act in (initialise, open_workspace):
        with pytest.raises(UsageError, match="0999"):
            act(tmp_path, "acme", clock)


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from tieout.model.clock import system_clock
from tieout.service.workspace import initialise

statements = 0

@event.listens_for(Engine, "before_cursor_execute")
def kill(*_):
    global statements
    statements += 1
    if statements == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

initialise(Path(sys.argv[1]), "acme", system_clock)
print(statements)
"""


def run_killed(directory: Path, statement: int) -> subprocess.CompletedProcess[str]:
    """Initialise in a child that dies at one of its statements; at none when that is 0."""
    command = [sys.executable, "-c", KILLED, str(directory), str(statement)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def statements(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many statements a whole initialisation makes."""
    return int(run_killed(tmp_path_factory.mktemp("whole"), 0).stdout)


@pytest.mark.parametrize("share_percent", [0, 5, 30, 60, 85, 92, 96, 100])
def test_initialise_killed_half_way_can_be_repeated(tmp_path: Path, statements: int, share_percent: int) -> None:
    child = run_killed(tmp_path, max(1, statements * share_percent // 100))
    assert child.returncode == -signal.SIGKILL
    initialise(tmp_path, "acme", clock)
    rows_of(tmp_path)


INITIALISE = """
import sys
from pathlib import Path
from tieout.model.clock import system_clock
from tieout.service.workspace import initialise
initialise(Path(sys.argv[1]), "acme", system_clock)
"""


def test_processes_initialise_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INITIALISE, str(tmp_path / "new")]
    children = [subprocess.Popen(command) for _ in range(4)]
    assert [child.wait(timeout=120) for child in children] == [0] * 4
    rows_of(tmp_path / "new")


IMPORTS = """
import sys
from pathlib import Path
from tieout.model.audit import SYSTEM
from tieout.model.clock import system_clock
from tieout.service.workspace import open_workspace
unit = open_workspace(Path(sys.argv[1]), "acme", system_clock)
with unit.change(SYSTEM, "x") as change:
    change.audit("x")
heavy = {"alembic", "duckdb", "pyarrow", "numpy", "sqlglot", "sqlalchemy.orm", "psycopg", "sqlite3"}
print(sorted(heavy & set(sys.modules)))
"""


def test_opening_a_current_workspace_loads_nothing_heavy(tmp_path: Path) -> None:
    initialise(tmp_path, "acme", clock)
    command = [sys.executable, "-c", IMPORTS, str(tmp_path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "[]"

"""The migrations lead to exactly the tables the code works with, once, and never backwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from tieout.adapters.store import database, migrations
from tieout.adapters.store.tables import METADATA
from tieout.model.errors import UsageError
from tieout.model.finding import FIRST_STATES, STATES, TRANSITIONS

SCHEMA = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"


def schema_of(engine: Engine, kinds: tuple[str, ...] = ("table", "index", "trigger")) -> dict[str, list[str]]:
    """Every object's definition by name, as its lines without regard to the order of constraints."""
    with database.reading(engine) as connection:
        rows = connection.exec_driver_sql(SCHEMA).all()
    return {
        name: sorted(line.strip(" \t,") for line in sql.splitlines() if line.strip())
        for kind, name, sql in rows
        if kind in kinds and sql
    }


def test_the_revisions_are_those_the_code_knows() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert [script.revision for script in reversed(list(scripts.walk_revisions()))] == list(database.REVISIONS)
    assert scripts.get_current_head() == database.REVISIONS[-1]


def test_migrating_twice_does_nothing(engine: Engine) -> None:
    before = schema_of(engine)
    assert database.is_current(engine)
    assert not database.migrate(engine)
    assert schema_of(engine) == before


def test_migrated_schema_equals_the_metadata(engine: Engine, tmp_path: Path) -> None:
    with database.reading(engine) as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []


def test_migrated_schema_equals_the_metadata_to_the_letter(engine: Engine, tmp_path: Path) -> None:
    """Autogeneration compares neither CHECKs nor STRICT nor partial indexes; SQLite's own text of them does."""
    direct = database.open_engine(tmp_path / "direct.db")
    with database.writing(direct) as connection, connection.begin():
        METADATA.create_all(connection)
    expected = schema_of(direct)
    direct.dispose()
    found = schema_of(engine, ("table", "index"))
    found.pop("alembic_version")
    assert found.keys() == expected.keys()
    for name, lines in expected.items():
        assert found[name] == lines, name


def test_every_table_is_strict_and_keyed_by_workspace() -> None:
    for table in METADATA.tables.values():
        assert table.dialect_options["sqlite"]["strict"], table.name
        if table.name == "finding_transitions":
            continue
        assert next(iter(table.primary_key.columns)).name == "workspace", table.name
        assert table.name == "workspaces" or any(
            [element.target_fullname for element in key.elements] == ["workspaces.workspace"]
            for key in table.foreign_key_constraints
        ), table.name
        for key in table.foreign_key_constraints:
            assert key.column_keys[0] == "workspace", table.name
        for index in table.indexes:
            assert index.columns[0].name == "workspace", index.name


@pytest.mark.parametrize("revision", ["0002", "9999"])
def test_a_newer_schema_is_refused(engine: Engine, revision: str) -> None:
    with database.writing(engine) as connection, connection.begin():
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = ?", (revision,))
    for act in (database.migrate, database.is_current):
        with pytest.raises(UsageError, match=revision) as caught:
            act(engine)
        assert "upgrade" in caught.value.hint


def test_a_failed_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = database.open_engine(tmp_path / database.FILE_NAME)

    def upgrade_and_fail(connection: object) -> None:
        upgrade(connection)  # type: ignore[arg-type]
        raise OSError("no space")

    upgrade = database._upgrade
    with monkeypatch.context() as patched:
        patched.setattr(database, "_upgrade", upgrade_and_fail)
        with pytest.raises(OSError, match="no space"):
            database.migrate(engine)
    assert schema_of(engine) == {}
    assert database.migrate(engine)
    engine.dispose()


def test_the_database_knows_the_transitions_of_the_model(engine: Engine) -> None:
    with database.reading(engine) as connection:
        rows = connection.exec_driver_sql("SELECT from_state, to_state FROM finding_transitions").all()
    assert {tuple(row) for row in rows} == {(before, after) for before in STATES for after in TRANSITIONS[before]}
    assert set(TRANSITIONS) == set(STATES)
    assert set(STATES) > FIRST_STATES

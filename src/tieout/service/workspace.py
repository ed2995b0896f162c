"""Creating and opening a workspace: its directories, its database at the right schema, its row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from sqlalchemy import insert, select

from tieout.adapters.store import database
from tieout.adapters.store.tables_intake import workspaces
from tieout.model.audit import SYSTEM, Actor
from tieout.model.clock import Clock
from tieout.model.errors import UsageError
from tieout.service.unit import Unit, plain_errors

INIT_HINT: Final = "run `tieout init` first"

_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")


def initialise(
    directory: Path, workspace: str, clock: Clock, *, actor: Actor = SYSTEM, one_person: bool = False
) -> None:
    """Create the data directory, the schema and the workspace. Repeating it, also after a crash, is harmless.

    `one_person` declares that its approvals are self-approved; an existing workspace keeps what it declared.
    Raises UsageError for a name or a directory that cannot be used, or a database of a newer schema.
    """
    _check_name(workspace)
    unit = _unit(directory, workspace, clock)
    try:
        database.create_directories(unit.directory, unit.raw_directory, unit.parts_directory, unit.cache_directory)
    except OSError as error:
        raise UsageError(
            f"cannot create {error.filename}: {error.strerror}", hint="choose another directory"
        ) from error
    try:
        with plain_errors():
            database.migrate(unit.engine)
        database.sync_directory(unit.directory)
        with unit.change(actor, "workspace.create") as change:
            known = select(workspaces.c.workspace).where(workspaces.c.workspace == workspace)
            if change.connection.execute(known).one_or_none() is not None:
                change.nothing()
                return
            values = {"workspace": workspace, "created_at": change.at, "one_person": int(one_person)}
            change.connection.execute(insert(workspaces), values)
            change.audit(f"workspace/{workspace}", {"one_person": one_person})
    finally:
        unit.close()


def open_workspace(directory: Path, workspace: str, clock: Clock, *, migrate: bool = True) -> Unit:
    """The unit of work of an existing workspace, its schema brought forward where it is older.

    Raises UsageError when there is no such workspace, when the schema is newer than this code, and with
    `migrate` False also when it is older.
    """
    _check_name(workspace)
    if not (directory / database.FILE_NAME).is_file():
        raise UsageError(f"there is no workspace in {directory}", hint=INIT_HINT)
    unit = _unit(directory, workspace, clock)
    try:
        with plain_errors():
            _bring_forward(unit, migrate=migrate)
        with unit.read() as connection:
            known = connection.execute(select(workspaces.c.workspace).where(workspaces.c.workspace == workspace))
            if known.one_or_none() is None:
                raise UsageError(f"there is no workspace {workspace!r} in {directory}", hint=INIT_HINT)
    except BaseException:
        unit.close()
        raise
    return unit


def _bring_forward(unit: Unit, *, migrate: bool) -> None:
    if database.is_current(unit.engine):
        return
    if not migrate:
        raise UsageError("the database has an older schema", hint="run any command that may upgrade it")
    database.migrate(unit.engine)


def _unit(directory: Path, workspace: str, clock: Clock) -> Unit:
    absolute = directory.absolute()
    return Unit(workspace, absolute, clock, database.open_engine(absolute / database.FILE_NAME))


def _check_name(workspace: str) -> None:
    """The name becomes a directory's: it must be one on every system, and never lead elsewhere."""
    if not _NAME.fullmatch(workspace):
        raise UsageError(
            f"{workspace!r} cannot name a workspace",
            hint="use up to 63 lower-case letters, digits, hyphens and underscores",
        )

"""What the control plane's tables are made of: the metadata, column makers, and the shape all tables share.

Every table is STRICT, is keyed by its workspace first and refers to `workspaces`. Instants are TEXT
`YYYY-MM-DDTHH:MM:SS.ffffffZ` and days TEXT `YYYY-MM-DD`, both checked; totals are decimal TEXT; JSON is TEXT.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Constraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BIGINT: Final = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits on every database; SQLite's INTEGER already has them, and STRICT tables know no BIGINT."""

_SHAPES: Final = {"instant": "____-__-__T__:__:__.______Z", "day": "____-__-__"}


def text(name: str, *, null: bool = False, key: bool = False, default: str | None = None) -> Column[Any]:
    """A TEXT column; `key` makes it part of the primary key, `default` is the server's."""
    return Column(name, Text, nullable=null, primary_key=key, server_default=default)


def whole(name: str, *, null: bool = False, key: bool = False, default: int | None = None) -> Column[Any]:
    """A column of 64-bit integers: counters, ordinals, amounts in minor units."""
    server_default = None if default is None else str(default)
    return Column(name, BIGINT, nullable=null, primary_key=key, autoincrement=False, server_default=server_default)


def instant(name: str, *, null: bool = False) -> Column[Any]:
    """An instant as `model.clock.instant_text` writes it; other shapes are refused by a CHECK."""
    return Column(name, Text, nullable=null, info={"shape": "instant"})


def day(name: str, *, null: bool = False) -> Column[Any]:
    """A booking date, `YYYY-MM-DD`; other shapes are refused by a CHECK."""
    return Column(name, Text, nullable=null, info={"shape": "day"})


def one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    """A CHECK that a column holds one of these words (constants of our own, never users' text)."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def not_negative(*columns: str) -> CheckConstraint:
    """A CHECK that none of these counts is below zero; it is named after the first."""
    return CheckConstraint(" AND ".join(f"{column} >= 0" for column in columns), name=f"{columns[0]}_count")


def refers(columns: tuple[str, ...], table: str, keys: tuple[str, ...] | None = None) -> ForeignKeyConstraint:
    """A reference inside the workspace, checked at commit so that a change may write in any order.

    `columns` and `keys` leave out the leading `workspace`; `keys` default to the columns' own names.
    """
    return ForeignKeyConstraint(
        ["workspace", *columns],
        [f"{table}.{key}" for key in ("workspace", *(keys or columns))],
        deferrable=True,
        initially="DEFERRED",
    )


def workspace_table(name: str, *items: Column[Any] | Constraint | Index) -> Table:
    """A STRICT table whose primary key begins with the workspace and whose instants and days are checked."""
    workspace: Column[Any] = Column("workspace", Text, ForeignKey("workspaces.workspace"), primary_key=True)
    return strict_table(name, workspace, *items)


def strict_table(name: str, *items: Column[Any] | Constraint | Index) -> Table:
    """A STRICT table whose instants and days are checked; only `workspaces` and pure vocabulary use it directly."""
    shapes = [
        CheckConstraint(f"{item.name} LIKE '{_SHAPES[item.info['shape']]}'", name=item.name)
        for item in items
        if isinstance(item, Column) and "shape" in item.info
    ]
    return Table(name, METADATA, *items, *shapes, sqlite_strict=True)

"""Parts: nothing is visible before it is durable, nothing visible is ever swept, and what is damaged is noticed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from tieout.adapters import parts as part_store
from tieout.adapters.store import database
from tieout.adapters.store.tables import intents, parts, workspaces
from tieout.model.clock import instant_text
from tieout.model.dataset import SEGMENT_BYTES, DraftPart
from tieout.model.errors import IncompleteError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMALL, LARGE = b"s" * 100, b"l" * SEGMENT_BYTES


class Store:
    """A database and its directories."""

    def __init__(self, engine: Engine, directory: Path):
        self.engine = engine
        self.parts = directory / "parts"
        self.cache = directory / "cache"
        self.parts.mkdir()

    def begin(self, *, batch: bool = False, now: datetime = NOW) -> tuple[str, int | None]:
        """Announce an operation."""
        with database.writing(self.engine) as connection, connection.begin():
            return part_store.begin(connection, "acme", now, batch=batch)

    def file(self, intent: str, name: str, content: bytes) -> DraftPart:
        """A written file of an operation."""
        path = part_store.intent_directory(self.parts, intent) / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)
        return DraftPart("records", path, 1, batch=None)

    def publish(self, intent: str, *drafts: DraftPart) -> None:
        """Make parts visible."""
        settled = part_store.settle(drafts)
        with database.writing(self.engine) as connection, connection.begin():
            part_store.publish(connection, "acme", intent, settled, NOW)

    def paths(self) -> list[Path]:
        """The files of all visible parts."""
        with database.reading(self.engine) as connection:
            return part_store.part_paths(connection, "acme", self.parts, self.cache, parts.c.state == "visible")

    def sweep(self, now: datetime = NOW) -> list[str]:
        """Names of what the sweeper removed."""
        with database.writing(self.engine) as connection, connection.begin():
            return sorted(path.name for path in part_store.sweep(connection, "acme", self.parts, now))

    def set_owner(self, intent: str, owner: str) -> None:
        """Pretend that another process announced an operation."""
        with database.writing(self.engine) as connection, connection.begin():
            connection.execute(update(intents).where(intents.c.intent == intent).values(owner=owner))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A migrated database with the workspace `acme`."""
    engine = database.open_engine(tmp_path / database.FILE_NAME)
    database.migrate(engine)
    with database.writing(engine) as connection, connection.begin():
        connection.execute(workspaces.insert(), {"workspace": "acme", "created_at": instant_text(NOW)})
    yield Store(engine, tmp_path)
    engine.dispose()


def _dead_process() -> str:
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    return f"{socket.gethostname()}:{int(child.stdout)}"


def test_batch_numbers_are_reserved_once(store: Store) -> None:
    """Numbers rise over intents too, so that two deliveries under way never share one."""
    assert [store.begin(batch=True)[1] for _ in range(3)] == [1, 2, 3]
    assert store.begin()[1] is None


def test_small_parts_travel_in_the_transaction(store: Store) -> None:
    """Below the limit a part is a segment in the database, from the limit on a file."""
    intent, _ = store.begin()
    store.publish(intent, store.file(intent, "small", SMALL), store.file(intent, "large", LARGE))
    with database.reading(store.engine) as connection:
        rows = {row.part: row for row in connection.execute(select(parts))}
    assert rows[f"{intent}/small"].segment == SMALL
    assert rows[f"{intent}/small"].path is None
    assert rows[f"{intent}/large"].segment is None
    assert rows[f"{intent}/large"].path == f"{intent}/large"
    assert sorted(path.read_bytes() for path in store.paths()) == [LARGE, SMALL]


def test_parts_in_subdirectories(store: Store) -> None:
    """An operation that reads several batches again keeps them apart by directory."""
    intent, _ = store.begin()
    store.publish(intent, store.file(intent, "1/records", LARGE), store.file(intent, "2/records", LARGE))
    assert store.sweep() == []
    assert len(store.paths()) == 2


def test_nothing_is_visible_without_its_transaction(store: Store) -> None:
    """Written but unpublished files are no parts."""
    intent, _ = store.begin()
    part_store.settle([store.file(intent, "large", LARGE)])
    assert store.paths() == []


def test_sweeping_spares_the_living(store: Store) -> None:
    """A process at work keeps its files; so does one on another host, until its lease ends."""
    mine, _ = store.begin()
    elsewhere, _ = store.begin()
    store.set_owner(elsewhere, "another-host:1")
    for intent in (mine, elsewhere):
        store.file(intent, f"of-{intent}", SMALL)
    assert store.sweep() == []
    assert f"of-{elsewhere}" in store.sweep(NOW + part_store.INTENT_LEASE + timedelta(seconds=1))


def test_sweeping_removes_what_a_dead_process_left(store: Store) -> None:
    """What was never published goes once its process is gone."""
    intent, _ = store.begin()
    store.file(intent, "left", SMALL)
    store.set_owner(intent, _dead_process())
    assert store.sweep() == ["left"]
    assert not (store.parts / intent).exists()


def test_sweeping_keeps_visible_and_withdrawn_parts(store: Store) -> None:
    """Of an ended operation only the leftovers go; withdrawn parts are history and stay."""
    intent, _ = store.begin()
    kept, withdrawn = store.file(intent, "kept", LARGE), store.file(intent, "withdrawn", LARGE)
    store.file(intent, "scratch", LARGE)
    store.publish(intent, kept, withdrawn)
    with database.writing(store.engine) as connection, connection.begin():
        where = parts.c.part == f"{intent}/withdrawn"
        connection.execute(update(parts).where(where).values(state="withdrawn"))
    assert store.sweep() == ["scratch"]
    assert sorted(path.name for path in (store.parts / intent).iterdir()) == ["kept", "withdrawn"]
    assert store.sweep() == []


def test_sweeping_ignores_what_it_does_not_know(store: Store) -> None:
    """A directory without an intent row belongs to somebody else."""
    (store.parts / "stranger").mkdir()
    (store.parts / "stranger" / "file").write_text("x")
    assert store.sweep() == []
    assert (store.parts / "stranger" / "file").exists()


def test_the_cache_may_be_deleted_or_damaged(store: Store) -> None:
    """Segments become files again from the database, whatever happened to the cache."""
    intent, _ = store.begin()
    store.publish(intent, store.file(intent, "small", SMALL))
    (path,) = store.paths()
    path.write_bytes(b"damaged")
    assert store.paths()[0].read_bytes() == SMALL
    path.unlink()
    assert store.paths()[0].read_bytes() == SMALL
    assert [entry.name for entry in store.cache.iterdir()] == [path.name]


def test_missing_and_damaged_parts_are_noticed(store: Store) -> None:
    """A part whose file is gone, or a segment that is not what its digest says, stops the work with its name."""
    intent, _ = store.begin()
    store.publish(intent, store.file(intent, "large", LARGE))
    (store.parts / intent / "large").unlink()
    with pytest.raises(IncompleteError, match=f"{intent}/large"):
        store.paths()
    other, _ = store.begin()
    store.publish(other, store.file(other, "small", SMALL))
    with database.writing(store.engine) as connection, connection.begin():
        connection.execute(update(parts).where(parts.c.part == f"{other}/small").values(segment=b"other"))
    where = parts.c.part == f"{other}/small"
    with database.reading(store.engine) as connection, pytest.raises(IncompleteError, match="damaged"):
        part_store.part_paths(connection, "acme", store.parts, store.cache, where)


def test_owners() -> None:
    """This process is alive; one that ended is not; on another host nobody can tell."""
    assert part_store.process_owner() == f"{socket.gethostname()}:{os.getpid()}"
    assert part_store.owner_alive(part_store.process_owner())
    assert part_store.owner_alive("another-host:1")
    assert not part_store.owner_alive(_dead_process())

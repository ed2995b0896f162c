"""The unit of work of one workspace: reading transactions, and `change()`, through which every state change goes.

A change writes state, history, audit and outbox in one transaction and seals the audit there, so that what was
acknowledged is complete and durable, and what was not has not happened. What a change means lives in other rooms.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson
from sqlalchemy import Column, Connection, Engine, func, insert, select
from sqlalchemy.exc import DBAPIError

from tieout.adapters.store import database
from tieout.adapters.store.tables_audit import audit, idempotency, outbox, seals
from tieout.core.audit import audit_row, canonical_json, digest_of, next_seal
from tieout.model.audit import JSON, Actor, AuditRow, Seal
from tieout.model.clock import Clock, instant_text
from tieout.model.errors import ConflictError

SEAL_COLUMNS: Final = tuple(column for column in seals.c)
AUDIT_COLUMNS: Final = tuple(column for column in audit.c)


@dataclass(slots=True)
class Change:
    """One change under way: write through `connection`, then say what was done with `audit()`.

    `now` is the change's one instant, taken under the write lock; `at` is the same as stored text. `replayed` is
    the answer stored for the same idempotency key, in which case nothing may be written and nothing will be.
    """

    connection: Connection
    workspace: str
    actor: Actor
    action: str
    now: datetime
    replayed: Mapping[str, JSON] | None = None
    _rows: list[tuple[str, Mapping[str, JSON]]] = field(default_factory=list, init=False)
    _messages: list[tuple[str, Mapping[str, JSON]]] = field(default_factory=list, init=False)
    _response: Mapping[str, JSON] = field(default_factory=dict, init=False)
    _nothing: bool = field(default=False, init=False)

    @property
    def at(self) -> str:
        """`now` as it is stored."""
        return instant_text(self.now)

    def audit(self, subject: str, details: Mapping[str, JSON] | None = None) -> None:
        """Say that the subject (like "batch/12") was changed, and how. At least one such row belongs to a change."""
        self._rows.append((subject, details or {}))

    def emit(self, topic: str, payload: Mapping[str, JSON]) -> None:
        """Tell the outside: the message is written with the change and sent from the outbox afterwards."""
        self._messages.append((topic, payload))

    def respond(self, value: Mapping[str, JSON]) -> None:
        """The answer to keep under the change's idempotency key."""
        self._response = value

    def nothing(self) -> None:
        """Say that there was nothing to change: the transaction is rolled back, no row is written."""
        self._nothing = True

    def wrote_nothing(self) -> bool:
        """Whether this change ends without a row written. Raises RuntimeError when it contradicts itself."""
        if self.replayed is not None:
            return True
        if self._nothing and (self._rows or self._messages):
            raise RuntimeError(f"{self.action}: a change that did nothing cannot be audited or told")
        if not self._nothing and not self._rows:
            raise RuntimeError(f"{self.action}: a change must be audited, or say that it did nothing")
        return self._nothing

    def finish(self, key: str | None, request_digest: str) -> None:
        """Write audit, outbox and the kept answer, and seal; the caller commits."""
        first = _next_number(self.connection, audit.c.seq, self.workspace)
        sealed = self.connection.scalar(select(func.max(seals.c.last_seq)).where(seals.c.workspace == self.workspace))
        first = max(first, (sealed or 0) + 1)
        rows = [
            asdict(audit_row(self.workspace, seq, self.at, self.actor, self.action, subject, details))
            for seq, (subject, details) in enumerate(self._rows, first)
        ]
        self.connection.execute(insert(audit), rows)
        self._finish_outbox()
        if key is not None:
            answer = canonical_json(self._response)
            values = {"workspace": self.workspace, "key": key, "action": self.action, "at": self.at}
            values |= {"request_digest": request_digest, "response": answer}
            self.connection.execute(insert(idempotency), values)
        seal(self.connection, self.workspace, self.now)

    def _finish_outbox(self) -> None:
        if not self._messages:
            return
        first = _next_number(self.connection, outbox.c.seq, self.workspace)
        rows = [
            {
                "workspace": self.workspace,
                "seq": seq,
                "topic": topic,
                "payload": canonical_json(payload),
                "created_at": self.at,
            }
            for seq, (topic, payload) in enumerate(self._messages, first)
        ]
        self.connection.execute(insert(outbox), rows)


class Unit:
    """One workspace in one data directory, with its clock. Holds an engine; `close()` gives it back.

    May be shared by threads: changes take turns, readings run beside them.
    """

    def __init__(self, workspace: str, directory: Path, clock: Clock, engine: Engine):
        self.workspace = workspace
        self.directory = directory
        self.clock = clock
        self.engine = engine
        self._turn = threading.Lock()
        self._holder: int | None = None

    @property
    def raw_directory(self) -> Path:
        """Received files as they came, content-addressed."""
        return self.directory / "raw" / self.workspace

    @property
    def parts_directory(self) -> Path:
        """Immutable parts of this workspace's datasets."""
        return self.directory / "parts" / self.workspace

    @property
    def cache_directory(self) -> Path:
        """What can be computed again and may be deleted at any time."""
        return self.directory / "cache" / self.workspace

    def now(self) -> datetime:
        """The current instant, from the clock this unit was given."""
        return self.clock()

    def close(self) -> None:
        """Give back the database. The last one to do so folds the write-ahead log into the file."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and can write nothing."""
        with plain_errors(), database.reading(self.engine) as connection, connection.begin() as transaction:
            yield connection
            transaction.rollback()

    @contextmanager
    def change(
        self,
        actor: Actor,
        action: str,
        *,
        idempotency_key: str | None = None,
        request: Mapping[str, JSON] | None = None,
    ) -> Iterator[Change]:
        """The one way to change state: all of it is committed and fsynced when the block ends, or none of it is.

        With an `idempotency_key`, the same actor's same action and `request` yields the stored answer as
        `change.replayed` and writes nothing. Raises ConflictError when the key was used for another request, or
        when another process holds the database too long; an exception in the block rolls everything back.
        """
        digest = _request_digest(actor, action, request or {})
        with (
            self._turn_taken(action),
            plain_errors(),
            database.writing(self.engine) as connection,
            connection.begin() as transaction,
        ):
            change = Change(connection, self.workspace, actor, action, self.clock())
            if idempotency_key is not None:
                change.replayed = _stored_answer(connection, self.workspace, idempotency_key, digest)
            yield change
            if change.wrote_nothing():
                transaction.rollback()
            else:
                database.require_transaction(connection)
                change.finish(idempotency_key, digest)

    @contextmanager
    def bookkeeping(self, what: str) -> Iterator[Connection]:
        """A durable transaction for rows that say nothing about the business: intents and leases. Not audited."""
        with (
            self._turn_taken(what),
            plain_errors(),
            database.writing(self.engine) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _turn_taken(self, action: str) -> Iterator[None]:
        """Let this process's threads change one after another; a change within a change would wait for itself."""
        if self._holder == threading.get_ident():
            raise RuntimeError(f"{action}: a change cannot be begun inside another one")
        if not self._turn.acquire(timeout=database.BUSY_TIMEOUT_SECONDS):
            raise ConflictError("another thread holds the database", hint="repeat the call")
        self._holder = threading.get_ident()
        try:
            yield
        finally:
            self._holder = None
            self._turn.release()


def seal(connection: Connection, workspace: str, now: datetime) -> Seal | None:
    """Seal the audit rows that no seal covers yet, inside the caller's transaction; None when there are none.

    One sealer a workspace at a time: on SQLite the write lock sees to that.
    """
    last_row = connection.execute(
        select(*SEAL_COLUMNS).where(seals.c.workspace == workspace).order_by(seals.c.seal.desc()).limit(1)
    ).one_or_none()
    last = None if last_row is None else Seal(**last_row._mapping)
    after = 0 if last is None else last.last_seq
    rows = connection.execute(
        select(audit.c.seq, audit.c.digest)
        .where(audit.c.workspace == workspace, audit.c.seq > after)
        .order_by(audit.c.seq)
    ).all()
    sealed = next_seal(workspace, last, [(row.seq, row.digest) for row in rows], instant_text(now))
    if sealed is not None:
        connection.execute(insert(seals), asdict(sealed))
    return sealed


def audit_rows(connection: Connection, workspace: str) -> Iterator[AuditRow]:
    """The workspace's audit in order, as `core.audit.verify_chain` reads it."""
    for row in connection.execute(select(*AUDIT_COLUMNS).where(audit.c.workspace == workspace).order_by(audit.c.seq)):
        yield AuditRow(**row._mapping)


def audit_seals(connection: Connection, workspace: str) -> Iterator[Seal]:
    """The workspace's seals in order, as `core.audit.verify_chain` reads them."""
    for row in connection.execute(select(*SEAL_COLUMNS).where(seals.c.workspace == workspace).order_by(seals.c.seal)):
        yield Seal(**row._mapping)


def _next_number(connection: Connection, column: Column[int], workspace: str) -> int:
    """One more than the column's greatest number in the workspace. Safe only under the write lock."""
    table = column.table
    greatest = connection.scalar(select(func.max(column)).where(table.c.workspace == workspace))
    return (greatest or 0) + 1


def _request_digest(actor: Actor, action: str, request: Mapping[str, JSON]) -> str:
    """What tells one request from another under the same key; another actor's is another request."""
    return digest_of("tieout request 1", (actor.name, actor.authentication, action, canonical_json(request)))


def _stored_answer(connection: Connection, workspace: str, key: str, request_digest: str) -> Mapping[str, JSON] | None:
    found = connection.execute(
        select(idempotency.c.request_digest, idempotency.c.response).where(
            idempotency.c.workspace == workspace, idempotency.c.key == key
        )
    ).one_or_none()
    if found is None:
        return None
    if found.request_digest != request_digest:
        raise ConflictError(
            f"the idempotency key {key!r} was used for another request",
            hint="use a new key for a new request",
            code="idempotency_key_reused",
        )
    answer: Mapping[str, JSON] = orjson.loads(found.response)
    return answer


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what the database says of locks, disks and files into errors for people; the rest stays as it is."""
    try:
        yield
    except DBAPIError as error:
        plain = database.plain_error(error)
        if plain is None:
            raise
        raise plain from error

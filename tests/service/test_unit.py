"""`change()`: all or nothing, audited, sealed, repeatable under a key, and safe beside other threads and processes."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from tieout.adapters.store import database
from tieout.adapters.store.tables import METADATA, audit, configurations, idempotency, intents, outbox, seals
from tieout.core.audit import verify_chain
from tieout.model.audit import Actor
from tieout.model.errors import ConflictError
from tieout.service.unit import Change, Unit, audit_rows, audit_seals, seal
from tieout.service.workspace import initialise, open_workspace

ADA = Actor("ada", "cli")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def clock() -> datetime:
    return NOON


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    initialise(tmp_path, "acme", clock)
    unit = open_workspace(tmp_path, "acme", clock)
    yield unit
    unit.close()


def configure(change: Change, digest: str) -> None:
    """Some state to change: a configuration row."""
    row = {"workspace": change.workspace, "digest": digest, "text": "{}", "recorded_at": change.at, "actor": "ada"}
    change.connection.execute(insert(configurations), row)


def state_of(unit: Unit) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table: what must be equal when nothing was written."""
    with unit.read() as connection:
        return {name: [tuple(row) for row in connection.execute(select(t))] for name, t in METADATA.tables.items()}


def count(unit: Unit, table: object) -> int:
    with unit.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(table)))  # type: ignore[arg-type]


def breaches(unit: Unit) -> list[object]:
    with unit.read() as connection:
        return list(verify_chain(audit_rows(connection, "acme"), audit_seals(connection, "acme")))


def test_a_change_writes_state_audit_seal_and_outbox_together(unit: Unit) -> None:
    with unit.change(ADA, "configuration.record") as change:
        configure(change, "one")
        change.audit("configuration/one", {"bytes": 2})
        change.audit("configuration/one/again")
        change.emit("configuration.recorded", {"digest": "one"})
        change.emit("configuration.recorded", {"digest": "twice"})
    with unit.read() as connection:
        rows = list(audit_rows(connection, "acme"))
        messages = connection.execute(select(outbox)).all()
        last = list(audit_seals(connection, "acme"))[-1]
    assert [(row.seq, row.actor, row.authentication, row.action, row.subject, row.details) for row in rows[1:]] == [
        (2, "ada", "cli", "configuration.record", "configuration/one", '{"bytes":2}'),
        (3, "ada", "cli", "configuration.record", "configuration/one/again", "{}"),
    ]
    assert rows[1].at == "2026-03-01T12:00:00.000000Z"
    assert [(row.seq, row.topic, orjson.loads(row.payload), row.delivered_at) for row in messages] == [
        (1, "configuration.recorded", {"digest": "one"}, None),
        (2, "configuration.recorded", {"digest": "twice"}, None),
    ]
    assert (last.seal, last.first_seq, last.last_seq) == (2, 2, 3)
    assert breaches(unit) == []


def test_an_exception_rolls_everything_back(unit: Unit) -> None:
    def interrupted() -> None:
        with unit.change(ADA, "x") as change:
            configure(change, "one")
            change.audit("x")
            raise KeyboardInterrupt

    before = state_of(unit)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert state_of(unit) == before


def test_a_broken_reference_rolls_everything_back_at_commit(unit: Unit) -> None:
    def dangling() -> None:
        with unit.change(ADA, "x") as change:
            configure(change, "one")
            orphan = "INSERT INTO batch_totals VALUES ('acme', 9, 'accepted', 'EUR', 1, '1')"
            change.connection.exec_driver_sql(orphan)
            change.audit("x")

    before = state_of(unit)
    with pytest.raises(IntegrityError):
        dangling()
    assert state_of(unit) == before
    with unit.change(ADA, "x") as change:
        change.audit("x")


def test_a_change_that_did_nothing_writes_no_row(unit: Unit) -> None:
    before = state_of(unit)
    with unit.change(ADA, "x", idempotency_key="k") as change:
        configure(change, "one")
        change.nothing()
    assert state_of(unit) == before


def test_an_unaudited_change_is_refused(unit: Unit) -> None:
    before = state_of(unit)
    with pytest.raises(RuntimeError, match="must be audited"), unit.change(ADA, "x") as change:
        configure(change, "one")
    assert state_of(unit) == before


@pytest.mark.parametrize("tell", [lambda change: change.audit("x"), lambda change: change.emit("x", {})])
def test_a_change_that_did_nothing_has_nothing_to_tell(unit: Unit, tell: Callable[[Change], None]) -> None:
    def contradicting() -> None:
        with unit.change(ADA, "x") as change:
            tell(change)
            change.nothing()

    before = state_of(unit)
    with pytest.raises(RuntimeError, match="did nothing"):
        contradicting()
    assert state_of(unit) == before


def test_details_must_be_exact(unit: Unit) -> None:
    before = state_of(unit)
    with pytest.raises(ValueError, match="exact"), unit.change(ADA, "x") as change:
        change.audit("x", {"amount": 0.1})  # type: ignore[dict-item]
    assert state_of(unit) == before


def test_a_repeated_request_gets_the_stored_answer(unit: Unit) -> None:
    for _ in range(2):
        with unit.change(ADA, "x", idempotency_key="k", request={"n": 1}) as change:
            if change.replayed is None:
                configure(change, "one")
                change.audit("x")
                change.respond({"configuration": "one"})
    assert change.replayed == {"configuration": "one"}
    assert count(unit, configurations) == 1
    before = state_of(unit)
    with unit.change(ADA, "x", idempotency_key="k", request={"n": 1}) as change:
        configure(change, "two")
        change.audit("x")
        change.emit("x", {})
    assert state_of(unit) == before


@pytest.mark.parametrize(
    ("actor", "action", "request_"),
    [(ADA, "x", {"n": 2}), (ADA, "x", None), (ADA, "y", {"n": 1}), (Actor("bob", "cli"), "x", {"n": 1})],
)
def test_a_key_stands_for_one_request(unit: Unit, actor: Actor, action: str, request_: dict[str, int] | None) -> None:
    with unit.change(ADA, "x", idempotency_key="k", request={"n": 1}) as change:
        change.audit("x")
    before = state_of(unit)
    with (
        pytest.raises(ConflictError) as caught,
        unit.change(actor, action, idempotency_key="k", request=request_) as change,
    ):
        raise AssertionError("must not begin")
    assert caught.value.code == "idempotency_key_reused"
    assert state_of(unit) == before


def test_an_answer_not_given_is_an_empty_one(unit: Unit) -> None:
    for _ in range(2):
        with unit.change(ADA, "x", idempotency_key="k") as change:
            change.audit("x")
    assert change.replayed == {}
    assert count(unit, idempotency) == 1


def test_a_change_inside_a_change_is_refused_at_once(unit: Unit) -> None:
    with unit.change(ADA, "outer") as change:
        change.audit("x")
        with pytest.raises(RuntimeError, match="inside another"), unit.change(ADA, "inner"):
            pass
        with unit.read() as connection:
            assert connection.scalar(select(func.count()).select_from(audit)) == 1
    assert count(unit, audit) == 2


def test_bookkeeping_is_durable_and_takes_its_turn(unit: Unit) -> None:
    row = {"workspace": "acme", "intent": "i", "path": "p", "owner": "o"}
    row |= {"started_at": "2026-03-01T12:00:00.000000Z", "expires_at": "2026-03-01T13:00:00.000000Z"}
    with unit.bookkeeping("intent") as connection:
        connection.execute(insert(intents), row)
        with pytest.raises(RuntimeError, match="inside another"), unit.change(ADA, "x"):
            pass
    assert count(unit, intents) == 1
    assert count(unit, audit) == 1


def test_a_locked_database_is_a_conflict(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PRAGMAS", ("PRAGMA busy_timeout=10", *database._PRAGMAS[1:]))
    other = open_workspace(unit.directory, "acme", clock)
    with unit.change(ADA, "x") as change:
        change.audit("x")
        with pytest.raises(ConflictError) as caught, other.change(ADA, "y"):
            pass
        with other.read() as connection:
            assert connection.scalar(select(func.count()).select_from(audit)) == 1
    assert caught.value.hint
    assert caught.value.exit_code == 3
    other.close()


def test_another_workspace_has_its_own_numbers_and_keys(unit: Unit) -> None:
    initialise(unit.directory, "other", clock)
    other = open_workspace(unit.directory, "other", clock)
    for each in (unit, other, unit):
        with each.change(ADA, "x", idempotency_key=f"k{count(unit, audit)}") as change:
            change.audit("x")
            change.emit("x", {})
    with unit.read() as connection:
        for workspace, rows in (("acme", 3), ("other", 2)):
            chain = list(audit_rows(connection, workspace))
            assert [row.seq for row in chain] == list(range(1, rows + 1))
            assert verify_chain(chain, audit_seals(connection, workspace)) == []
    other.close()


def test_rows_that_a_change_left_unsealed_are_sealed_by_the_next_sealer(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("tieout.service.unit.seal", lambda *_: None)
        for _ in range(2):
            with unit.change(ADA, "x") as change:
                change.audit("x")
    with unit.read() as connection:
        chain = list(audit_rows(connection, "acme")), list(audit_seals(connection, "acme"))
    assert verify_chain(*chain, now=NOON) == []
    late = verify_chain(*chain, now=NOON + timedelta(seconds=6))
    assert [breach.subject for breach in late] == ["audit/2", "audit/3"]
    with database.writing(unit.engine) as connection, connection.begin():
        sealed = seal(connection, "acme", NOON)
        assert seal(connection, "acme", NOON) is None
    assert sealed is not None
    assert (sealed.first_seq, sealed.last_seq) == (2, 3)
    assert breaches(unit) == []


def test_what_the_file_lost_is_found(unit: Unit) -> None:
    """Someone with the file in hands drops the guards and cuts a row: the numbering goes on, the chain tells."""
    with unit.change(ADA, "x") as change:
        change.audit("x")
    with database.writing(unit.engine) as connection, connection.begin():
        connection.exec_driver_sql("DROP TRIGGER tr_audit_no_delete")
        connection.exec_driver_sql("DELETE FROM audit WHERE seq = 2")
    with unit.change(ADA, "x") as change:
        change.audit("x")
    with unit.read() as connection:
        assert [row.seq for row in audit_rows(connection, "acme")] == [1, 3]
        found = verify_chain(audit_rows(connection, "acme"), audit_seals(connection, "acme"))
    assert {breach.subject for breach in found} == {"audit/2", "seals/2"}


def test_threads_take_turns(unit: Unit) -> None:
    def work() -> None:
        for _ in range(10):
            with unit.change(ADA, "x") as change:
                change.audit("x")
            count(unit, seals)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(unit, audit) == 41
    assert breaches(unit) == []


PROLOGUE = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event, insert
from tieout.adapters.store.tables import configurations, outbox
from tieout.model.audit import Actor
from tieout.model.clock import system_clock
from tieout.service.workspace import open_workspace

unit = open_workspace(Path(sys.argv[1]), "acme", system_clock)

def act(name):
    with unit.change(Actor("ada", "cli"), "configuration.record", idempotency_key=name) as change:
        if change.replayed is not None:
            return
        for part in "abc":
            row = {"workspace": "acme", "digest": name + part, "text": "{}", "recorded_at": change.at, "actor": "ada"}
            change.connection.execute(insert(configurations), row)
            change.audit("configuration/" + name + part)
        change.emit("configuration.recorded", {"digest": name})
"""

KILLED_AT_A_STATEMENT = (
    PROLOGUE
    + """
act("first")
statements = 0

@event.listens_for(unit.engine, "before_cursor_execute")
def kill(*_):
    global statements
    statements += 1
    if statements == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

@event.listens_for(unit.engine, "commit")
def kill_before_commit(*_):
    if sys.argv[2] == "0":
        os.kill(os.getpid(), signal.SIGKILL)

act("second")
print("acknowledged", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
)

ENDLESS = (
    PROLOGUE
    + """
number = 0
while True:
    act(f"{number:05d}")
    print(number, flush=True)
    number += 1
"""
)

RACING = (
    PROLOGUE
    + """
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    act(f"{sys.argv[2]}-{number:02d}")
"""
)

ACKNOWLEDGING = (
    PROLOGUE
    + """
act("first")
os.write(1, b"about to act\\n")
act("second")
os.write(1, b"acknowledged\\n")
"""
)


def names_of(unit: Unit) -> list[str]:
    """The names of the changes that happened; asserts that each happened wholly."""
    with unit.read() as connection:
        digests = set(connection.scalars(select(configurations.c.digest)))
        told = [orjson.loads(text)["digest"] for text in connection.scalars(select(outbox.c.payload))]
        keys = set(connection.scalars(select(idempotency.c.key)))
        subjects = [row.subject for row in audit_rows(connection, "acme")]
    assert digests == {name + part for name in told for part in "abc"}
    assert keys == set(told)
    assert subjects == ["workspace/acme", *(f"configuration/{name}{part}" for name in told for part in "abc")]
    assert breaches(unit) == []
    return told


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


STATEMENTS = 15
"""How many statements `act` makes, BEGIN and its PRAGMA included; beyond them it has been acknowledged."""


@pytest.mark.parametrize("statement", range(STATEMENTS + 2))
def test_a_change_killed_at_any_statement_happened_wholly_or_not(unit: Unit, statement: int) -> None:
    """Statement 0 stands for the instant before the commit."""
    child = start(KILLED_AT_A_STATEMENT, unit.directory, statement)
    said, _ = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert ("acknowledged" in said) == (statement > STATEMENTS)
    assert names_of(unit) == (["first", "second"] if statement > STATEMENTS else ["first"])
    with unit.change(ADA, "x") as change:
        change.audit("x")
    assert breaches(unit) == []


@pytest.mark.parametrize("acknowledged", [1, 7, 30])
def test_acknowledged_changes_survive_a_kill_at_any_moment(unit: Unit, acknowledged: int) -> None:
    child = start(ENDLESS, unit.directory)
    assert child.stdout is not None
    for _ in range(acknowledged):
        child.stdout.readline()
    child.kill()
    rest, _ = child.communicate(timeout=60)
    last = acknowledged - 1 + len(rest.split())
    names = names_of(unit)
    assert len(names) in (last + 1, last + 2)
    assert names == [f"{number:05d}" for number in range(len(names))]


def test_two_processes_change_side_by_side(unit: Unit) -> None:
    children = [start(RACING, unit.directory, name) for name in ("left", "right")]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=120)
        assert child.returncode == 0
    expected = [f"{name}-{number:02d}" for name in ("left", "right") for number in range(25)]
    assert sorted(names_of(unit)) == expected


def test_two_processes_with_one_key_change_once(unit: Unit) -> None:
    children = [start(RACING, unit.directory, "same") for _ in range(2)]
    for child in children:
        child.communicate("go\n", timeout=120)
        assert child.returncode == 0
    assert names_of(unit) == [f"same-{number:02d}" for number in range(25)]


def can_trace() -> bool:
    """Whether strace is here and may trace."""
    tool = shutil.which("strace")
    return tool is not None and subprocess.run([tool, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_trace(), reason="needs strace and the right to use it")
def test_the_log_is_on_disk_before_the_acknowledgement(unit: Unit, tmp_path: Path) -> None:
    log = tmp_path / "trace"
    calls = "trace=write,pwrite64,fsync,fdatasync"
    command = ["strace", "-f", "-y", "-o", str(log), "-e", calls, sys.executable, "-c", ACKNOWLEDGING]
    subprocess.run([*command, str(unit.directory)], check=True, capture_output=True, timeout=120)
    lines = log.read_text().splitlines()
    begin = next(index for index, line in enumerate(lines) if "about to act" in line)
    end = next(index for index, line in enumerate(lines) if '"acknowledged' in line)
    acts = [line for line in lines[begin:end] if "control.db-wal" in line]
    writes = [index for index, line in enumerate(acts) if "pwrite64(" in line]
    syncs = [index for index, line in enumerate(acts) if re.search(r"f(data)?sync\(", line)]
    assert writes
    assert syncs
    assert syncs[-1] > writes[-1]

"""What the database itself refuses, whoever asks: rewriting the past, illegal transitions, sums that do not add up."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, Engine, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from tieout.adapters.store import database, tables
from tieout.model.finding import FIRST_STATES, STATES, TRANSITIONS, Code, may_become

AT = "2026-03-01T12:00:00.000000Z"
BATCH = {
    "batch": 1, "source": "bank", "file_name": "a.csv", "raw_sha256": "00", "raw_bytes": 1, "format": "csv",
    "options_digest": "", "state": "accepted", "received_at": AT, "actor": "ada", "read": 6, "accepted": 1,
    "duplicate": 1, "superseding": 1, "stale": 1, "quarantined": 2, "digest_a": "0", "digest_b": "0",
}  # fmt: skip
RUN = {
    "run": 1,
    "reconciliation": "r",
    "state": "open",
    "as_of": "2026-03-01",
    "opened_at": AT,
    "fence": 1,
    "actor": "a",
}
FINDING = {
    "finding": 1, "reconciliation": "r", "rule": "MISSING_RECORD", "fingerprint": "f", "kind": "single",
    "state": "open", "severity": "high", "detected_at": AT,
}  # fmt: skip
HISTORY = {
    "finding": 1, "ordinal": 1, "at": AT, "actor": "a", "authentication": "cli", "action": "x", "to_state": "open",
    "reason": "",
}  # fmt: skip
PART = {
    "part": "p", "dataset": "records", "rows": 1, "bytes": 1, "sha256": "", "path": "x", "state": "visible",
    "recorded_at": AT,
}  # fmt: skip
AUDIT = {
    "seq": 1, "at": AT, "actor": "a", "authentication": "cli", "action": "x", "subject": "y", "details": "{}",
    "digest": "",
}  # fmt: skip
SEAL = {"seal": 1, "first_seq": 1, "last_seq": 1, "root": "", "previous": "", "head": "", "sealed_at": AT}
KEY = {"source": "s", "native_id": "n", "valid_from_version": 1, "customer_id": "c", "origin": "file"}
VERSION = {"version": 1, "recorded_at": AT, "actor": "a", "digest": "", "origin": ""}


def add(connection: Connection, table: Table, row: dict[str, object], **changes: object) -> None:
    connection.execute(insert(table), {"workspace": "acme", **row, **changes})


def refuses(connection: Connection, statement: object, match: str) -> None:
    savepoint = connection.begin_nested()
    with pytest.raises(IntegrityError, match=match):
        connection.execute(statement)  # type: ignore[call-overload]
    savepoint.rollback()


APPEND_ONLY = [
    (tables.audit, AUDIT, "seq", "subject"),
    (tables.seals, SEAL, "seal", "root"),
    (tables.finding_history, HISTORY, "ordinal", "reason"),
]


@pytest.mark.parametrize(
    ("table", "row", "number", "column"), APPEND_ONLY, ids=lambda value: getattr(value, "name", "")
)
def test_the_past_cannot_be_rewritten(
    engine: Engine, table: Table, row: dict[str, object], number: str, column: str
) -> None:
    with database.writing(engine) as connection, connection.begin():
        add(connection, tables.findings, FINDING)
        add(connection, table, row, **{number: 5, **({"last_seq": 9} if table is tables.seals else {})})
        refuses(connection, update(table).values({column: "forged"}), "append-only")
        refuses(connection, table.delete(), "append-only")
        forged = {"workspace": "acme", **row, number: 5}
        refuses(connection, insert(table).prefix_with("OR REPLACE").values(forged), "append-only")
        refuses(connection, insert(table).values({**forged, number: 4}), "must grow")
        add(connection, table, row, **{number: 6})


def test_the_transitions_are_fixed(engine: Engine) -> None:
    table = tables.finding_transitions
    with database.writing(engine) as connection, connection.begin():
        refuses(connection, insert(table).values(from_state="resolved", to_state="ignored"), "append-only")
        refuses(connection, update(table).values(to_state="open"), "append-only")
        refuses(connection, table.delete(), "append-only")


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_only_listed_transitions_are_possible(engine: Engine, before: str, after: str) -> None:
    with database.writing(engine) as connection, connection.begin():
        add(connection, tables.findings, FINDING)
        if before != "open":
            connection.execute(update(tables.findings).values(state=before))
        move = update(tables.findings).values(state=after)
        if after == before or may_become(before, after):
            connection.execute(move)
            assert connection.scalar(select(tables.findings.c.state)) == after
        else:
            refuses(connection, move, "illegal transition")


@pytest.mark.parametrize("state", STATES)
def test_a_finding_is_born_pending_or_open(engine: Engine, state: str) -> None:
    with database.writing(engine) as connection, connection.begin():
        statement = insert(tables.findings).values({"workspace": "acme", **FINDING, "state": state})
        if state in FIRST_STATES:
            connection.execute(statement)
            refuses(connection, tables.findings.delete(), "append-only")
        else:
            refuses(connection, statement, "begins pending or open")


def test_an_ended_run_is_firm(engine: Engine) -> None:
    with database.writing(engine) as connection, connection.begin():
        add(connection, tables.runs, RUN)
        connection.execute(update(tables.runs).values(matched=3))
        closed = {"state": "closed", "closed_at": AT, "manifest": "{}", "manifest_digest": "", "result_hash": ""}
        connection.execute(update(tables.runs).values(closed))
        refuses(connection, update(tables.runs).values(matched=4), "firm")
        refuses(connection, tables.runs.delete(), "append-only")


def test_one_run_of_a_reconciliation_is_open(engine: Engine) -> None:
    with database.writing(engine) as connection, connection.begin():
        add(connection, tables.runs, RUN)
        add(connection, tables.runs, RUN, run=2, reconciliation="other")
        refuses(connection, insert(tables.runs).values({"workspace": "acme", **RUN, "run": 3}), "UNIQUE")
        connection.execute(update(tables.runs).values(state="abandoned", closed_at=AT))
        add(connection, tables.runs, RUN, run=3)


def test_one_mapping_of_a_native_id_is_current(engine: Engine) -> None:
    with database.writing(engine) as connection, connection.begin():
        add(connection, tables.key_map_versions, VERSION)
        add(connection, tables.key_map_versions, VERSION, version=2)
        add(connection, tables.key_map, KEY)
        later = {"workspace": "acme", **KEY, "valid_from_version": 2}
        refuses(connection, insert(tables.key_map).values(later), "UNIQUE")
        refuses(connection, update(tables.key_map).values(valid_to_version=1), "ck_key_map_validity")
        connection.execute(update(tables.key_map).values(valid_to_version=2))
        connection.execute(insert(tables.key_map).values(later))


@pytest.mark.parametrize(
    ("table", "row", "change", "match"),
    [
        (tables.batches, BATCH, {"read": 7}, "complete"),
        (tables.batches, BATCH, {"state": "gone"}, "state"),
        (tables.batches, BATCH, {"state": "withdrawn"}, "withdrawal"),
        (tables.batches, BATCH, {"accepted": -1, "read": 4}, "count"),
        (tables.batches, BATCH, {"received_at": "2026-03-01T12:00:00Z"}, "received_at"),
        (tables.batches, BATCH, {"source": None}, "NOT NULL"),
        (tables.batches, BATCH, {"digest_a": b"0"}, "TEXT"),
        (tables.batches, BATCH, {"accepted": "many"}, "INTEGER"),
        (tables.parts, PART, {"segment": b"x"}, "place"),
        (tables.parts, PART, {"path": None}, "place"),
        (tables.runs, RUN, {"as_of": "1 March"}, "as_of"),
        (tables.runs, RUN, {"state": "closed", "closed_at": AT}, "sealed"),
        (tables.runs, RUN, {"state": "closed"}, "sealed|end"),
        (tables.findings, FINDING, {"severity": "mild"}, "severity"),
        (tables.findings, FINDING, {"kind": "group"}, "members"),
        (tables.findings, FINDING, {"at_risk_minor": 1}, "currency"),
        (tables.findings, FINDING, {"at_risk_minor": 1.5, "currency": "EUR"}, "INTEGER"),
        (tables.audit, AUDIT, {"seq": 0}, "seq"),
        (tables.seals, SEAL, {"last_seq": 0}, "range"),
    ],
)
def test_what_is_not_sound_is_refused(
    engine: Engine, table: Table, row: dict[str, object], change: dict[str, object], match: str
) -> None:
    with database.writing(engine) as connection, connection.begin():
        refuses(connection, insert(table).values({"workspace": "acme", **row, **change}), match)
        add(connection, table, row)


def test_codes_say_what_they_mean() -> None:
    assert all(code.value == code.name and code.meaning.endswith(".") for code in Code)
    assert str(Code.BALANCE_GAP) == "BALANCE_GAP"
    assert all(before not in after for before, after in TRANSITIONS.items())

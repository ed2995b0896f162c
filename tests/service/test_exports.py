"""`export`: exact rows in a stable order, whole files or none, no formulas, and every export on record."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import select

from tieout.adapters.raw import sha256_of
from tieout.adapters.store.tables import audit
from tieout.core.config.parsing import parse_configuration
from tieout.core.exporting import EXPORTS, FORMATS, decimal_sql
from tieout.model.audit import Actor
from tieout.model.configuration import Configuration
from tieout.model.errors import IncompleteError, UsageError
from tieout.model.money import EXPONENTS, MAX_MINOR, decimal_text, parse_decimal
from tieout.service import exports
from tieout.service.exports import export
from tieout.service.intake import ingest
from tieout.service.runs import run_reconciliation
from tieout.service.unit import Unit
from tieout.service.verification import verify
from tieout.service.workspace import initialise, open_workspace

ME = Actor("ada", "cli")
DOCUMENT = Path(__file__).parents[2] / "docs" / "exports.md"
INVOICES = """id,date,amount,currency,customer,text
b1,2026-09-01,10.00,EUR,c1,plain
b2,2026-09-02,20.00,EUR,=1+1,"@SUM(1,2)"
b3,2026-09-03,300,JPY,c1,"two
lines"
b4,2026-09-04,4.005,KWD,c1,-5
b5,2026-09-05,no money,EUR,c1,+plus
b6,2026-09-06,-7.50,EUR,c1,"say ""x"" now"
"""
PAYMENTS = """id,date,amount,fee,currency,invoice
p1,2026-09-01,9.50,0.50,EUR,b1
p2a,2026-09-02,12.00,,EUR,b2
p2b,2026-09-03,7.00,,EUR,b2
p3,2026-09-03,300,,JPY,b3
"""
LATER = "id,date,amount,fee,currency,invoice\np2c,2026-09-09,1.00,,EUR,b2\n"


def configuration() -> Configuration:
    return parse_configuration("""
workspace: acme
engine: {threads: 1}
sources:
  billing:
    {format: csv, kind: invoice, mapping: {native_id: id, date: date, amount: amount, currency: currency,
     customer_ref: customer, description: text}}
  psp:
    {format: csv, kind: payment, mapping: {native_id: id, date: date, amount: amount, fee: fee, currency: currency,
     invoice_ref: invoice}}
reconciliations:
  paid:
    kind: match
    sides:
      invoices: {source: billing, kind: invoice}
      payments: {source: psp, kind: payment}
    passes:
      - {name: one, type: exact, on: {invoices: native_id, payments: invoice_ref}, fee: payments}
      - {name: many, type: grouped, on: {invoices: native_id, payments: invoice_ref}, fee: payments}
  again:
    kind: match
    sides:
      invoices: {source: billing, kind: invoice}
      payments: {source: psp, kind: payment}
    passes:
      - {name: only, type: exact, on: {invoices: native_id, payments: invoice_ref}}
""")


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unit]:
    """Two runs of `paid` and one of `again`."""
    directory = tmp_path_factory.mktemp("workspace")
    now = [datetime(2026, 10, 1, tzinfo=UTC)]
    initialise(directory, "acme", lambda: now[0])
    unit = open_workspace(directory, "acme", lambda: now[0])
    for source, text in (("billing", INVOICES), ("psp", PAYMENTS)):
        (directory / f"{source}.csv").write_text(text)
        ingest(unit, configuration(), source, directory / f"{source}.csv", ME)
    run_reconciliation(unit, configuration(), "paid", ME)
    run_reconciliation(unit, configuration(), "again", ME)
    now[0] += timedelta(days=2)
    (directory / "later.csv").write_text(LATER)
    ingest(unit, configuration(), "psp", directory / "later.csv", ME)
    run_reconciliation(unit, configuration(), "paid", ME)
    yield unit
    unit.close()


def exported(unit: Unit, what: str, path: Path, **scope: object) -> list[dict[str, str]]:
    rows = export(unit, configuration(), what, "csv", path, actor=ME, **scope)  # type: ignore[arg-type]
    with path.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert len(read) == rows
    return read


def columns(rows: list[dict[str, str]], *names: str) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def test_matches_in_long_form_with_their_residual(unit: Unit, tmp_path: Path) -> None:
    rows = exported(unit, "matches", tmp_path / "m.csv", reconciliation="paid", run=1)
    by_match: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_match.setdefault(row["match_id"], []).append(row)
    shown = sorted(
        tuple(columns(group, "side", "native_id", "date", "currency", "amount", "residual"))
        for group in by_match.values()
    )
    assert shown == [
        (("invoices", "b1", "2026-09-01", "EUR", "10.00", ""), ("invoices", "", "", "EUR", "-0.50", "fee"),
         ("payments", "p1", "2026-09-01", "EUR", "9.50", "")),
        (("invoices", "b2", "2026-09-02", "EUR", "19.00", ""), ("payments", "p2a", "2026-09-02", "EUR", "12.00", ""),
         ("payments", "p2b", "2026-09-03", "EUR", "7.00", "")),
        (("invoices", "b3", "2026-09-03", "JPY", "300", ""), ("payments", "p3", "2026-09-03", "JPY", "300", "")),
    ]  # fmt: skip
    assert {(row["reconciliation"], row["run"], row["passes"]) for row in rows} == {("paid", "1", "one, many")}
    assert all(len(row["match_id"]) == 16 and int(row["match_id"], 16) for row in rows)
    for group in by_match.values():
        sides = [[Decimal(row["amount"]) for row in group if row["side"] == side] for side in ("invoices", "payments")]
        assert sum(sides[0]) == sum(sides[1])


def test_the_current_state_leaves_out_what_was_revoked(unit: Unit, tmp_path: Path) -> None:
    rows = exported(unit, "matches", tmp_path / "m.csv")
    assert {row["reconciliation"] for row in rows} == {"paid", "again"}
    used = [row for row in rows if row["reconciliation"] == "paid" and row["native_id"] == "b2"]
    assert sum(Decimal(row["amount"]) for row in used) == Decimal("20.00")


def test_open_items_are_those_of_the_heads(unit: Unit, tmp_path: Path) -> None:
    rows = exported(unit, "open-items", tmp_path / "o.csv", reconciliation="paid")
    shown = columns(rows, "native_id", "open", "currency", "code", "age_days", "due_date", "customer")
    assert shown == [
        ("b4", "4.005", "KWD", "MISSING_RECORD", "29", "2026-09-04", "c1"),
        ("b6", "-7.50", "EUR", "MISSING_RECORD", "27", "2026-09-06", "c1"),
    ]
    before = exported(unit, "open-items", tmp_path / "o.csv", run=1)
    assert columns(before, "native_id", "open", "age_days") == [
        ("b2", "1.00", "29"),
        ("b4", "4.005", "27"),
        ("b6", "-7.50", "25"),
    ]


def test_formulas_are_neutralised_in_text_and_nowhere_else(unit: Unit, tmp_path: Path) -> None:
    (row,) = [one for one in exported(unit, "open-items", tmp_path / "o.csv", run=1) if one["native_id"] == "b2"]
    assert (row["customer"], row["description"]) == ("'=1+1", "'@SUM(1,2)")
    rows = exported(unit, "open-items", tmp_path / "o.csv", reconciliation="paid")
    assert columns(rows, "description", "amount") == [("'-5", "4.005"), ('say "x" now', "-7.50")]
    export(unit, configuration(), "open-items", "jsonl", tmp_path / "o.jsonl", run=1)
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert (lines[0]["customer"], lines[0]["amount"]) == ("'=1+1", "20.00")
    export(unit, configuration(), "open-items", "parquet", tmp_path / "o.parquet", run=1)
    with duckdb.connect() as connection:
        query = f"SELECT customer, description, amount, date FROM '{tmp_path}/o.parquet'"
        first = connection.execute(query).fetchall()[0]
    assert first == ("=1+1", "@SUM(1,2)", "20.00", date(2026, 9, 2))


def test_findings_and_proofs(unit: Unit, tmp_path: Path) -> None:
    rows = exported(unit, "findings", tmp_path / "f.csv", reconciliation="paid")
    assert ("AMOUNT_MISMATCH", "resolved", "20.00", "19.00", "1.00") in columns(
        rows, "code", "state", "expected", "actual", "at_risk"
    )
    assert columns(rows, "finding") == sorted(columns(rows, "finding"), key=lambda row: int(row[0]))
    assert exported(unit, "findings", tmp_path / "f.csv", run=2) != rows
    lines = exported(unit, "proof", tmp_path / "p.csv")
    assert {(line["reconciliation"], line["run"]) for line in lines} == {("paid", "3"), ("again", "2")}
    paid = [line for line in lines if line["reconciliation"] == "paid"]
    figures = columns(paid, "side", "currency", "closing", "unexplained")
    assert ("invoices", "KWD", "4.005", "0.000") in figures
    assert {line["run"] for line in exported(unit, "proof", tmp_path / "p.csv", run=1)} == {"1"}


def test_quarantine_belongs_to_batches(unit: Unit, tmp_path: Path) -> None:
    rows = exported(unit, "quarantine", tmp_path / "q.csv")
    assert columns(rows, "source", "batch", "file", "line", "field", "text", "native_id") == [
        ("billing", "1", "billing.csv", rows[0]["line"], "amount", "no money", "b5")
    ]
    assert exported(unit, "quarantine", tmp_path / "q.csv", reconciliation="paid") == rows
    with pytest.raises(UsageError, match="belong to batches"):
        exported(unit, "quarantine", tmp_path / "q.csv", run=1)


@pytest.mark.parametrize("what", EXPORTS)
@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_state_gives_the_same_bytes(unit: Unit, tmp_path: Path, what: str, file_format: str) -> None:
    sizes = [export(unit, configuration(), what, file_format, tmp_path / name) for name in ("one", "two")]
    assert sizes[0] == sizes[1] > 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.parametrize("what", EXPORTS)
def test_every_format_has_the_documented_columns(unit: Unit, tmp_path: Path, what: str) -> None:
    names = [name for name, _, _ in EXPORTS[what]]
    for file_format in FORMATS:
        export(unit, configuration(), what, file_format, tmp_path / f"x.{file_format}")
    assert (tmp_path / "x.csv").read_text().splitlines()[0].split(",") == names
    assert list(json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])) == names
    with duckdb.connect() as connection:
        described = connection.execute(f"DESCRIBE SELECT * FROM '{tmp_path}/x.parquet'").fetchall()
    kinds = {"number": "BIGINT", "day": "DATE"}
    assert [row[:2] for row in described] == [(name, kinds.get(shape, "VARCHAR")) for name, shape, _ in EXPORTS[what]]
    text = DOCUMENT.read_text().split(f"## {what}\n")[1].split("\n## ")[0]
    assert [line for line in text.splitlines() if line.startswith("| `")] == [
        f"| `{name}` | {shape} | {meaning} |" for name, shape, meaning in EXPORTS[what]
    ]


def test_an_empty_workspace_exports_headers(tmp_path: Path) -> None:
    def clock() -> datetime:
        return datetime(2026, 10, 1, tzinfo=UTC)

    initialise(tmp_path, "acme", clock)
    empty = open_workspace(tmp_path, "acme", clock)
    for what in EXPORTS:
        for file_format in FORMATS:
            assert export(empty, configuration(), what, file_format, tmp_path / "x") == 0
    empty.close()


def test_amounts_are_exact_for_every_currency() -> None:
    minors = [0, 1, -1, 5, -99, 100, 12345, -12345, MAX_MINOR, -MAX_MINOR]
    cases = [(minor, currency) for currency in sorted(EXPONENTS) for minor in minors]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE money (place INTEGER, minor BIGINT, currency VARCHAR)")
        connection.executemany("INSERT INTO money VALUES (?, ?, ?)", [(n, *case) for n, case in enumerate(cases[:400])])
        connection.execute(
            "INSERT INTO money SELECT unnest($1), unnest($2), unnest($3)",
            [list(range(400, len(cases))), [minor for minor, _ in cases[400:]], [unit for _, unit in cases[400:]]],
        )
        query = f"SELECT {decimal_sql('minor')} FROM money ORDER BY place"
        texts = [str(row[0]) for row in connection.execute(query).fetchall()]
    assert texts == [decimal_text(minor, currency) for minor, currency in cases]
    again = [parse_decimal(text, unit) for text, (_, unit) in zip(texts, cases, strict=True)]
    assert again == [minor for minor, _ in cases]


def test_exports_are_audited_with_what_left(unit: Unit, tmp_path: Path) -> None:
    rows = export(unit, configuration(), "proof", "csv", tmp_path / "p.csv", reconciliation="paid", run=1, actor=ME)
    with unit.read() as connection:
        row = connection.execute(select(audit).where(audit.c.action == "export").order_by(audit.c.seq.desc())).first()
    assert row is not None
    assert (row.actor, row.subject) == ("ada", "export/proof")
    assert json.loads(row.details) == {
        "format": "csv", "file": "p.csv", "rows": rows, "sha256": sha256_of(tmp_path / "p.csv"),
        "reconciliation": "paid", "run": 1,
    }  # fmt: skip
    assert verify(unit, configuration(), replay_runs=0).breaches == ()


def test_a_failed_write_leaves_the_old_file_and_no_other(
    unit: Unit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "m.csv"
    target.write_text("old")

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exports, "sync_file", full)
    with pytest.raises(IncompleteError, match=r"cannot write .*m\.csv: No space left on device"):
        export(unit, configuration(), "matches", "csv", target)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("m.csv", "old")]


def test_the_file_is_forced_to_the_disk_before_it_gets_its_name(
    unit: Unit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def noted(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            steps.append(name)
            return real(*arguments)

        return call

    for name in ("sync_file", "sync_directory"):
        monkeypatch.setattr(exports, name, noted(name, getattr(exports, name)))
    monkeypatch.setattr(os, "replace", noted("rename", os.replace))
    target = tmp_path / "m.csv"
    target.write_text("old")
    export(unit, configuration(), "matches", "csv", target)
    assert steps == ["sync_file", "rename", "sync_directory"]
    assert target.read_text() != "old"


@pytest.mark.parametrize(
    ("what", "file_format", "name", "scope", "message"),
    [
        ("money", "csv", "x", {}, "there is no export 'money'"),
        ("matches", "xlsx", "x", {}, "unknown format 'xlsx'"),
        ("matches", "csv", ".", {}, "is not a file"),
        ("matches", "csv", "no/where", {}, "there is no directory"),
        ("matches", "csv", "x", {"reconciliation": "other"}, "unknown reconciliation 'other'"),
        ("matches", "csv", "x", {"run": 9}, "there is no run 9"),
        ("matches", "csv", "x", {"run": 2, "reconciliation": "paid"}, "there is no run 2 of paid"),
    ],
)
def test_words_that_mean_nothing_are_refused(
    unit: Unit, tmp_path: Path, what: str, file_format: str, name: str, scope: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        export(unit, configuration(), what, file_format, tmp_path / name, **scope)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_devices_are_not_replaced(unit: Unit, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is not a file"):
        export(unit, configuration(), "matches", "csv", tmp_path / "pipe")


def test_awkward_directory_names_are_names(unit: Unit, tmp_path: Path) -> None:
    directory = tmp_path / "it's [1] currency=USD"
    directory.mkdir()
    assert exported(unit, "matches", directory / "m'1.csv") == exported(unit, "matches", tmp_path / "m.csv")

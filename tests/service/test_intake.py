"""Ingestion through the real service: complete counts, once and only once, whatever the order, format and company."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from tieout.adapters.store.tables import batch_totals, batches, intents, parts
from tieout.model.errors import IncompleteError, InputError, UsageError


def test_counts_and_totals(company: Any, records: Any) -> None:
    """Every row read is accounted for, by count and by sum per currency."""
    first = [records.invoice(1, "10.00"), records.invoice(2, "20", currency="JPY")]
    company.ingest("billing", first)
    report = company.ingest(
        "billing",
        [
            first[0],
            first[0],
            records.invoice(3, "5.00"),
            records.invoice(3, "6.00", version="2"),
            records.invoice(2, "21", currency="JPY", version="9"),
            records.invoice(4, "1,00"),
            records.invoice(5, "1.00", currency="???"),
        ],
    )
    assert report.counts == {
        "read": 7, "accepted": 1, "duplicate": 2, "superseding": 1, "stale": 1, "quarantined": 2
    }  # fmt: skip
    assert report.duplicates_of == {1: 1, 2: 1}
    stored = company.query(
        select(batch_totals.c.outcome, batch_totals.c.currency, batch_totals.c.rows, batch_totals.c.amount).where(
            batch_totals.c.batch == 2
        )
    )
    sums: dict[tuple[bool, str], list[int]] = defaultdict(lambda: [0, 0])
    for outcome, currency, rows, amount in stored:
        total = sums[(outcome == "read", currency)]
        total[0] += rows
        total[1] += int(amount)
    assert {unit: total for (read, unit), total in sums.items() if read} == {
        unit: total for (read, unit), total in sums.items() if not read
    }
    assert [(row.field, row.text) for row in report.quarantined] == [("amount", "1,00"), ("currency", "???")]


def test_the_same_file_twice(company: Any, records: Any) -> None:
    """Every row is a duplicate of the first batch; the current state does not move."""
    path = company.file([records.invoice(n, "1.00") for n in range(5)])
    company.ingest("billing", path)
    state = company.state("billing")
    report = company.ingest("billing", path)
    assert (report.counts["duplicate"], report.duplicates_of) == (5, {1: 5})
    assert company.state("billing") == state


def test_sources_do_not_mix(company: Any, records: Any) -> None:
    """The same ids of two sources are two things."""
    rows = [records.invoice(1, "1.00")]
    company.ingest("billing", rows)
    assert company.ingest("psp", rows).counts["accepted"] == 1


def test_a_bad_row_does_not_stop_the_others(company: Any, tmp_path: Path) -> None:
    """Rows that cannot be read are quarantined with line, field, reason and text; all others are accepted."""
    good = {
        "id": "a",
        "ref": "k",
        "amount": "1.00",
        "currency": "EUR",
        "date": "2026-03-01",
        "version": "",
        "status": "",
    }
    lines = [
        json.dumps(good),
        json.dumps(good | {"id": "b", "amount": "NaN"}),
        json.dumps(good | {"id": "c", "date": "2026-02-30"}),
        json.dumps(good | {"id": "d", "text": "x" * 1_000_001}),
        json.dumps(good | {"id": "e\x00"}),
        json.dumps(good | {"id": "f", "amount": "999999999999999.99"}),
        '{"id": "g", "amount": NaN}',
        '{"id": "h", "id": "i"}',
        "not json",
        json.dumps(good | {"id": "z"}),
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines))
    report = company.ingest("billing", path)
    assert (report.counts["accepted"], report.counts["quarantined"]) == (2, 8)
    assert [row.line for row in report.quarantined] == list(range(2, 10))
    assert all(row.reason for row in report.quarantined)


def test_a_row_without_id_fares_alike_anywhere(make_company: Any, records: Any) -> None:
    """What becomes of a row does not depend on its place among others."""
    rows = [records.invoice(n, "1.00") for n in range(2_100)]
    odd = records.invoice(0, "7.00", id="")
    counts = [make_company().ingest("billing", order).counts for order in ([odd, *rows], [*rows, odd])]
    assert counts[0] == counts[1]


FORMATS = ("json", "csv", "parquet")


def test_formats_agree(make_company: Any, company_configuration: str, records: Any) -> None:
    """The same content as JSON, CSV and Parquet has the same digests: each is a duplicate of the others."""
    rows = [
        records.invoice(1, "10.00", text="plain"),
        records.invoice(2, "-0.50", text='quo"te, comma\nand line', version="3"),
        records.invoice(3, "7", currency="JPY", text="ünï 🏦", status="paid"),
    ]
    states = set()
    for order in (FORMATS, FORMATS[::-1]):
        company = make_company()
        for number, name in enumerate(order):
            company.configure(company_configuration.replace("billing: {format: json", f"billing: {{format: {name}"))
            counts = company.ingest("billing", _as(name, rows, company.directory)).counts
            assert counts["accepted" if number == 0 else "duplicate"] == 3
        states.add(company.state("billing"))
    assert len(states) == 1


def _as(name: str, rows: list[Any], directory: Path) -> Path:
    path = directory / f"rows.{name}"
    names = ["id", "version", "ref", "amount", "currency", "date", "text", "status"]
    if name == "json":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    elif name == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
    else:
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist([{one: row.get(one) for one in names} for row in rows]), path)
    return path


BANK = """
workspace: acme
sources:
  bank: {format: csv, kind: bank_line, currency: EUR, mapping: {date: date, amount: amount, description: text}}
reconciliations: {}
"""


def _statement(company: Any, *lines: str) -> Path:
    company.files += 1
    path: Path = company.directory / f"statement-{company.files}.csv"
    path.write_text("date,amount,text\n" + "".join(f"{line}\n" for line in lines))
    return path


def test_lines_without_ids(make_company: Any) -> None:
    """Two equal lines of one day are two; overlapping statements take the maximum count."""
    states = set()
    statements = (
        ["2026-03-01,5.00,coffee", "2026-03-01,5.00,coffee", "2026-03-02,7.00,tea"],
        ["2026-03-01,5.00,coffee", "2026-03-02,7.00,tea", "2026-03-03,9.00,milk"],
        ["2026-03-01,5.00,coffee", "2026-03-01,5.00,coffee", "2026-03-01,5.00,coffee"],
    )
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        company = make_company(text=BANK)
        for place in order:
            company.ingest("bank", _statement(company, *statements[place]))
        states.add(company.state("bank"))
    (state,) = states
    assert state[0] == 5  # three coffees, a tea, a milk


IDS = st.sampled_from(["a", "b", "c"])
ROWS = st.fixed_dictionaries(
    {
        "id": IDS,
        "version": st.sampled_from(["1", "2", "3"]),
        "amount": st.sampled_from(["1.00", "2.00", "x"]),
        "text": st.sampled_from(["", "p", "q"]),
    }
)
COMMON = {"ref": "k", "currency": "EUR", "date": "2026-03-01"}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(ROWS, min_size=1, max_size=4), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_any_order_and_repetition(make_company: Any, deliveries: list[list[Any]], random: Any) -> None:
    """Any order and repetition of the same deliveries, and of the rows in them, reaches the same state."""
    one, other = make_company(), make_company()
    for rows in deliveries:
        one.ingest("billing", [COMMON | row for row in rows])
    again = [*deliveries, random.choice(deliveries)]
    random.shuffle(again)
    for rows in again:
        shuffled = [COMMON | row for row in rows]
        random.shuffle(shuffled)
        other.ingest("billing", shuffled)
    assert one.state("billing") == other.state("billing")


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(ROWS, min_size=2, max_size=8, unique_by=lambda row: (row["id"], row["version"])),
    st.randoms(use_true_random=False),
)
def test_any_batching(make_company: Any, rows: list[Any], random: Any) -> None:
    """Where versions tell contents apart, it does not matter which rows came together in one file."""
    one, other = make_company(), make_company()
    one.ingest("billing", [COMMON | row for row in rows])
    piles: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        piles[random.randrange(3)].append(COMMON | row)
    for pile in piles.values():
        other.ingest("billing", pile)
    assert one.state("billing") == other.state("billing")


def test_a_conflict_is_kept_once_and_told(company: Any, records: Any) -> None:
    """One id with two contents in one file: both stay; either of them alone later changes nothing."""
    both = [records.invoice(1, "10.00"), records.invoice(1, "12.00")]
    assert company.ingest("billing", both).counts["accepted"] == 2
    state = company.state("billing")
    assert state[0] == 2
    for row in both:
        assert company.ingest("billing", [row]).counts["duplicate"] == 1
    assert company.state("billing") == state


def test_observed_at(company: Any, records: Any) -> None:
    """Without versions the time of observation decides, in whatever order deliveries come; undated ones are told."""
    newer, older = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    company.ingest("billing", [records.invoice(1, "2.00")], observed_at=newer)
    report = company.ingest("billing", [records.invoice(1, "1.00")], observed_at=older)
    assert (report.counts["stale"], report.undated) == (1, 0)
    assert company.ingest("billing", [records.invoice(1, "3.00")], observed_at=newer).undated == 1


def test_dry_run_keeps_nothing(company: Any, records: Any) -> None:
    """The same work and the same report, but no row and no file."""
    before, files = company.rows(), sorted(company.unit.directory.rglob("*.parquet"))
    path = company.file([records.invoice(1, "1.00"), records.invoice(2, "x")])
    dry = company.ingest("billing", path, dry_run=True)
    assert (dry.batch, dry.state) == (None, "dry-run")
    assert company.rows() == before
    assert sorted(company.unit.directory.rglob("*.parquet")) == files
    assert not company.unit.raw_directory.exists() or not any(company.unit.raw_directory.rglob("*/*"))
    assert company.ingest("billing", path).counts == dry.counts


def test_unreadable_file_is_refused_and_recorded(company: Any, tmp_path: Path) -> None:
    """A file that cannot be framed is refused whole, visibly, with its raw bytes kept."""
    path = tmp_path / "broken.jsonl"
    path.write_text("[1, 2")
    with pytest.raises(InputError, match=r"broken\.jsonl"):
        company.ingest("billing", path)
    ((state, reason, read),) = company.query(select(batches.c.state, batches.c.reason, batches.c.read))
    assert (state, read) == ("refused", 0)
    assert "broken.jsonl" in reason
    assert len([file for file in company.unit.raw_directory.rglob("*") if file.is_file()]) == 1


def test_contract(make_company: Any, company_configuration: str, records: Any) -> None:
    """A delivery that breaks its contract is refused whole; every violation is named."""
    contract = "contract: {currencies: [EUR], quarantine_limit_percent: 10, required: [reference]}, kind: invoice"
    company = make_company(text=company_configuration.replace("kind: invoice", contract, 1))
    rows = [records.invoice(1, "1.00"), records.invoice(2, "1.00", currency="USD", ref=None), records.invoice(3, "x")]
    with pytest.raises(IncompleteError, match=r"USD.*reference.*10%"):
        company.ingest("billing", rows)
    assert company.query(select(batches.c.state)) == [("refused",)]
    assert company.query(select(func.count()).select_from(parts)) == [(0,)]
    assert company.ingest("billing", rows[:1]).counts["accepted"] == 1


def test_usage_errors(company: Any, tmp_path: Path) -> None:
    """Unknown names are told before anything is touched."""
    before = company.rows()
    with pytest.raises(UsageError, match="unknown source"):
        company.ingest("nowhere", tmp_path)
    with pytest.raises(UsageError, match="no file"):
        company.ingest("billing", tmp_path / "missing.jsonl")
    assert company.rows() == before


def test_every_intent_ends(company: Any, records: Any) -> None:
    """After each delivery its intent has ended, and nothing of it is left but visible parts."""
    for _ in range(2):
        company.ingest("billing", [records.invoice(1, "1.00")])
    assert company.query(select(func.count()).select_from(intents).where(intents.c.ended_at.is_(None))) == [(0,)]


_CHILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tieout.core.config.parsing import parse_configuration
from tieout.model.audit import Actor
from tieout.service.intake import ingest
from tieout.service.workspace import open_workspace

data, config, path = sys.argv[1:4]
unit = open_workspace(Path(data), "acme", lambda: datetime(2026, 3, 10, tzinfo=UTC))
configuration = parse_configuration(Path(config).read_text(), "tieout.yaml")
print("ready", flush=True)
sys.stdin.readline()
report = ingest(unit, configuration, "billing", Path(path), Actor("child", "cli"))
print(report.counts["accepted"], report.counts["duplicate"], flush=True)
"""


def test_two_processes_take_in_the_same_file(company: Any, records: Any) -> None:
    """At the same moment, the same file: its rows are there once, and one of the two says so."""
    path = company.file([records.invoice(n, "1.00") for n in range(50)])
    config = company.directory / "tieout.yaml"
    config.write_text(company.text)
    command = [sys.executable, "-c", _CHILD, str(company.unit.directory), str(config), str(path)]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n", child.stderr and child.stderr.read()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    told = sorted(child.communicate()[0].strip() for child in children)
    assert [child.returncode for child in children] == [0, 0]
    assert told == ["0 50", "50 0"]
    assert company.state("billing")[0] == 50
    assert sorted(company.query(select(batches.c.accepted, batches.c.duplicate))) == [(0, 50), (50, 0)]


STRIPE = """
workspace: acme
sources: {stripe: {format: stripe}}
reconciliations: {}
"""


def test_a_data_directory_named_like_a_partition(make_company: Any, tmp_path: Path) -> None:
    """Where the data lie says nothing about what they are."""
    company = make_company(text=STRIPE, directory=tmp_path / "currency=USD")
    path = tmp_path / "invoices.jsonl"
    path.write_text(
        json.dumps(
            {
                "object": "invoice",
                "id": "in_1",
                "total": 100,
                "currency": "eur",
                "created": 1790000000,
                "status": "paid",
            }
        )
    )
    assert company.ingest("stripe", path).totals["accepted"] == {"EUR": (1, 100)}

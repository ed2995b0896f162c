"""What a workspace shows: batches, runs, proofs, findings, ageing and where everything stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tieout.core.config.parsing import parse_configuration
from tieout.model.audit import Actor
from tieout.model.configuration import Configuration
from tieout.model.errors import InputError, UsageError
from tieout.model.finding import Code
from tieout.service.intake import ingest
from tieout.service.listing import (
    AGE_BUCKETS,
    FindingQuery,
    count_findings,
    list_batches,
    list_findings,
    list_runs,
    open_items_by_age,
    proofs_of,
    show_finding,
)
from tieout.service.runs import run_reconciliation
from tieout.service.status import reconciliation_statuses, source_statuses
from tieout.service.unit import Unit
from tieout.service.withdrawal import supersede
from tieout.service.workspace import initialise, open_workspace

ME = Actor("ada", "cli")
NOW = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
DAY = NOW.date()
TEXT = """\
workspace: acme
sources:
  billing: {format: csv, kind: invoice, mapping: {native_id: id, date: day, amount: amount, currency: currency}}
  psp: {format: csv, kind: payment, mapping: {native_id: id, date: day, amount: amount, currency: currency, invoice_ref: ref}}
reconciliations:
  one:
    sides: {invoices: {source: billing}, payments: {source: psp}}
    on: {invoices: native_id, payments: invoice_ref}
    severity: {high: 100, critical: 1000}
    group_over: 5
    threshold: 3
"""  # noqa: E501
HEADS = {"billing": "id,day,amount,currency", "psp": "id,day,amount,currency,ref"}


@dataclass(frozen=True, slots=True)
class Books:
    """A workspace and a way to deliver rows to it."""

    unit: Unit
    configuration: Configuration
    directory: Path

    def deliver(self, source: str, *rows: str, name: str = "rows.csv") -> int:
        path = self.directory / name
        path.write_text("\n".join([HEADS[source], *rows]) + "\n")
        batch = ingest(self.unit, self.configuration, source, path, ME).batch
        assert batch is not None
        return batch

    def run(self, as_of: date = DAY, *, slice_only: bool = False) -> None:
        run_reconciliation(self.unit, self.configuration, "one", ME, as_of=as_of, slice_only=slice_only)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    initialise(tmp_path / "data", "acme", lambda: NOW)
    unit = open_workspace(tmp_path / "data", "acme", lambda: NOW)
    yield Books(unit, parse_configuration(TEXT), tmp_path)
    unit.close()


def ago(days: int) -> str:
    return (DAY - timedelta(days=days)).isoformat()


def test_an_empty_workspace(books: Books) -> None:
    unit, configuration = books.unit, books.configuration
    assert list_batches(unit) == []
    assert list_runs(unit) == []
    assert list_findings(unit, FindingQuery()) == ([], 0)
    assert count_findings(unit) == {}
    assert proofs_of(unit, configuration) == []
    assert open_items_by_age(unit, configuration, "one", DAY) == []
    assert [status.batches for status in source_statuses(unit, configuration)] == [0, 0]
    (status,) = reconciliation_statuses(unit, configuration)
    assert (status.run, status.waiting, status.open_items, status.threshold) == (None, 0, 0, 3)


def test_batches_and_where_sources_stand(books: Books) -> None:
    books.deliver("billing", f"a,{ago(1)},10.00,EUR", "b,never,1.00,EUR", name="first.csv")
    books.deliver("billing", f"a,{ago(1)},10.00,EUR", f"c,{ago(1)},3.00,EUR", name="second.csv")
    broken = books.directory / "broken.csv"
    broken.write_bytes(b"")
    with pytest.raises(InputError):
        ingest(books.unit, books.configuration, "billing", broken, ME)
    refused, second, first = list_batches(books.unit)
    assert (first.file, first.state, first.read, first.accepted, first.quarantined) == (
        "first.csv",
        "accepted",
        2,
        1,
        1,
    )
    assert (second.accepted, second.duplicate, second.actor) == (1, 1, "ada")
    assert (refused.state, refused.read) == ("refused", 0)
    assert refused.reason
    assert [row.batch for row in list_batches(books.unit, limit=1)] == [refused.batch]
    assert [row.batch for row in list_batches(books.unit, state="refused")] == [refused.batch]
    assert list_batches(books.unit, source="psp") == []
    supersede(books.unit, books.configuration, first.batch, ME, "wrong")
    billing, psp = source_statuses(books.unit, books.configuration)
    assert (billing.batches, billing.refused, billing.withdrawn, billing.records) == (1, 1, 1, 2)
    assert (billing.quarantined, psp.batches, psp.last_received) == (0, 0, None)


def test_open_items_fall_into_every_bucket_by_their_age(books: Books) -> None:
    ages = {"b0": 0, "b7": 7, "b8": 8, "b30": 30, "b31": 31, "b60": 60, "b61": 61, "b90": 90, "b91": 91, "future": -3}
    books.deliver("billing", *(f"{name},{ago(days)},1.00,EUR" for name, days in ages.items()), "none,,5,JPY")
    books.deliver("psp", f"p,{ago(40)},-2.50,EUR,nobody")
    books.run()
    rows = open_items_by_age(books.unit, books.configuration, "one", DAY)
    found = {(row.side, row.currency, row.bucket): (row.items, row.open_minor, row.absolute_minor) for row in rows}
    young, month, two, three, old, undated = AGE_BUCKETS
    assert found == {
        ("invoices", "EUR", young): (3, 300, 300),
        ("invoices", "EUR", month): (2, 200, 200),
        ("invoices", "EUR", two): (2, 200, 200),
        ("invoices", "EUR", three): (2, 200, 200),
        ("invoices", "EUR", old): (1, 100, 100),
        ("invoices", "JPY", undated): (1, 5, 5),
        ("payments", "EUR", two): (1, -250, 250),
    }
    later = open_items_by_age(books.unit, books.configuration, "one", DAY + timedelta(days=365))
    assert {row.bucket for row in later} == {old, undated}
    assert sum(row.items for row in rows) == list_runs(books.unit)[0].open_items


def test_ageing_shows_what_is_open_now_and_not_what_was(books: Books) -> None:
    books.deliver("billing", f"a,{ago(10)},10.00,EUR", f"b,{ago(10)},20.00,EUR")
    books.run()
    books.deliver("psp", f"p,{ago(1)},10.00,EUR,a", f"q,{ago(1)},5.00,EUR,b")
    before = open_items_by_age(books.unit, books.configuration, "one", DAY)
    assert [(row.items, row.open_minor) for row in before] == [(2, 3000)]
    books.run(slice_only=True)
    assert open_items_by_age(books.unit, books.configuration, "one", DAY) == before, "a slice moves no head"
    books.run()
    assert [(row.items, row.open_minor) for row in open_items_by_age(books.unit, books.configuration, "one", DAY)] == [
        (1, 1500)
    ]


def test_findings_by_gravity_and_age(books: Books) -> None:
    books.deliver(
        "billing",
        f"mild-new,{ago(1)},1.00,EUR",
        f"mild-old,{ago(9)},1.00,EUR",
        f"grave,{ago(2)},5000.00,EUR",
        f"high,{ago(3)},500.00,EUR",
    )
    books.run()
    rows, total = list_findings(books.unit, FindingQuery())
    assert [row.record for row in rows] == ["grave", "high", "mild-old", "mild-new"]
    assert [row.severity for row in rows] == ["critical", "high", "warning", "warning"]
    assert total == 4
    assert {row.meaning for row in rows} == {Code.MISSING_RECORD.meaning}
    assert rows[0].says["invoices"]["amount"] == "5000.00"
    assert [row.record for row in list_findings(books.unit, FindingQuery(limit=2))[0]] == ["grave", "high"]
    assert list_findings(books.unit, FindingQuery(limit=2))[1] == 4
    assert list_findings(books.unit, FindingQuery(severities=("warning",)))[1] == 2
    assert list_findings(books.unit, FindingQuery(states=("resolved",)))[1] == 0
    assert list_findings(books.unit, FindingQuery(reconciliations=("other",)))[1] == 0
    counts = count_findings(books.unit)["one"]
    assert (dict(counts.by_severity), counts.open, counts.pending) == ({"critical": 1, "high": 1, "warning": 2}, 4, 0)
    for query in (FindingQuery(states=("x",)), FindingQuery(severities=("x",)), FindingQuery(codes=("x",))):
        with pytest.raises(UsageError) as refused:
            list_findings(books.unit, query)
        assert refused.value.hint.startswith("one of: ")


def test_a_finding_with_its_history(books: Books) -> None:
    books.deliver("billing", f"a,{ago(1)},10.00,EUR")
    books.run()
    (row,), _ = list_findings(books.unit, FindingQuery())
    books.deliver("psp", f"p,{ago(0)},10.00,EUR,a")
    books.run()
    again, history = show_finding(books.unit, row.finding)
    assert (again.state, again.resolution) == ("resolved", "converged")
    assert [(event.action, event.to_state) for event in history] == [("detected", "open"), ("converged", "resolved")]
    assert count_findings(books.unit) == {}
    with pytest.raises(UsageError):
        show_finding(books.unit, 99)


def test_a_group_counts_as_its_members(books: Books) -> None:
    books.deliver("billing", *(f"i{number},{ago(1)},1.00,EUR" for number in range(9)))
    books.run()
    (row,), total = list_findings(books.unit, FindingQuery())
    assert (row.kind, row.members, total) == ("group", 9, 1)
    assert count_findings(books.unit)["one"].open == 9


def test_proofs_and_runs(books: Books) -> None:
    books.deliver("billing", f"a,{ago(1)},10.00,EUR")
    books.run(slice_only=True)
    (opened,) = list_runs(books.unit)
    assert (opened.state, opened.result_hash, opened.slices) == ("open", None, 1)
    with pytest.raises(UsageError, match="not been closed yet"):
        proofs_of(books.unit, books.configuration, "one")
    with pytest.raises(UsageError, match="before the close of run 1"):
        proofs_of(books.unit, books.configuration, "1")
    books.run()
    (proof,) = proofs_of(books.unit, books.configuration)
    assert proof == proofs_of(books.unit, books.configuration, "1")[0]
    assert [(line.side, line.new_minor, line.closing_minor, line.unexplained_minor) for line in proof.lines] == [
        ("invoices", 1000, 1000, 0)
    ]
    assert list_runs(books.unit, reconciliation="one")[0].result_hash == proof.result_hash
    assert list_runs(books.unit, reconciliation="other") == []
    for target in ("2", "nonsense", "", "٣"):
        with pytest.raises(UsageError):
            proofs_of(books.unit, books.configuration, target)


def test_where_a_reconciliation_stands(books: Books) -> None:
    books.deliver("billing", f"a,{ago(1)},10.00,EUR")
    (before,) = reconciliation_statuses(books.unit, books.configuration)
    assert (before.waiting, before.run) == (1, None)
    books.run()
    (after,) = reconciliation_statuses(books.unit, books.configuration)
    assert (after.waiting, after.run, after.open_items, after.findings.open) == (0, 1, 1, 1)
    assert after.as_of == DAY.isoformat()
    books.deliver("psp", f"p,{ago(0)},10.00,EUR,a")
    changed = parse_configuration(TEXT.replace("threshold: 3", "threshold: 4"))
    (moved,) = reconciliation_statuses(books.unit, changed)
    assert (moved.waiting, moved.rules_changed, moved.threshold) == (1, True, 4)
    books.run(slice_only=True)
    (open_,) = reconciliation_statuses(books.unit, books.configuration)
    assert (open_.open_run, open_.run) == (2, 1)
    assert json.dumps(dict(open_.findings.by_severity))

"""Runs and their findings through the real service: closed once, repeated for nothing, revisable, explained."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select, update

from tieout.adapters.store import database
from tieout.adapters.store.tables import finding_history, heads, parts, proofs, runs, slices
from tieout.core.matching import plan as match_module
from tieout.model.audit import Actor
from tieout.model.errors import ConflictError, UsageError
from tieout.service import runs as run_service
from tieout.service.withdrawal import supersede

ADA = Actor("ada", "cli")


def test_first_run(company: Any, records: Any) -> None:
    """A run closes with proof, hash, manifest and findings; the head moves to it."""
    company.ingest("billing", [records.invoice(1, "10.00"), records.invoice(2, "20.00")])
    company.ingest("psp", [records.payment(1, "10.00"), records.payment(2, "19.00")])
    report = company.run()
    assert (report.run, report.status, report.codes, report.open_items) == (1, "closed", {"AMOUNT_MISMATCH": 1}, 1)
    assert company.query(select(heads.c.run, heads.c.fence, heads.c.lease_owner)) == [(1, 1, None)]
    assert company.query(select(runs.c.state, runs.c.result_hash)) == [("closed", report.result_hash)]
    stored = company.query(
        select(proofs.c.side, proofs.c.new, proofs.c.matched, proofs.c.closing, proofs.c.unexplained).order_by(
            proofs.c.side
        )
    )
    assert stored == [("invoices", "3000", "2900", "100", "0"), ("payments", "2900", "2900", "0", "0")]
    assert company.findings() == [("AMOUNT_MISMATCH", "in_2", "open")]


def test_unchanged_run_writes_nothing(company: Any, records: Any) -> None:
    """Nothing new and nothing due: not a row, not a part, and the same answer; repeated deliveries are nothing new."""
    rows = [records.invoice(1, "10.00", date="2026-03-10")]
    company.ingest("billing", rows)
    first = company.run()
    before = company.rows()
    again = company.run()
    assert (again.status, again.result_hash, again.open_items) == ("unchanged", first.result_hash, 1)
    assert company.rows() == before
    company.ingest("billing", rows)
    before = company.rows()
    assert company.run().status == "unchanged"
    assert company.rows() == before


def test_dry_run_writes_nothing(company: Any, records: Any) -> None:
    """The same result as the run that follows, and no trace."""
    company.ingest("billing", [records.invoice(1, "10.00")])
    company.ingest("psp", [records.payment(1, "9.00")])
    before = company.rows()
    dry = company.run(dry_run=True)
    assert company.rows() == before
    real = company.run()
    assert (dry.status, dry.result_hash, dry.manifest_digest) == ("dry-run", real.result_hash, real.manifest_digest)
    company.ingest("psp", [records.payment(1, "10.00", version="2")])
    before = company.rows()
    dry = company.run(dry_run=True)
    assert company.rows() == before
    assert dry.result_hash == company.run().result_hash


def test_slices_then_close_equal_one_run(make_company: Any, records: Any) -> None:
    """A stream is one run in slices: same hash, same findings, and the previews are retired."""
    deliveries = [
        ("billing", [records.invoice(n, "10.00") for n in (1, 2, 3)]),
        ("psp", [records.payment(1, "10.00"), records.payment(2, "4.00")]),
        ("psp", [records.payment(2, "6.00", id="py_22"), records.payment(3, "11.00")]),
    ]
    whole, sliced = make_company(), make_company()
    for source, rows in deliveries:
        whole.ingest(source, rows)
        sliced.ingest(source, rows)
        assert sliced.run(slice_only=True).status == "slice"
    one, many = whole.run(), sliced.run()
    assert one.result_hash == many.result_hash
    live = [row for row in sliced.findings("fingerprint", "rule", "state", "at_risk_minor") if row[2] != "resolved"]
    assert live == whole.findings("fingerprint", "rule", "state", "at_risk_minor")
    assert sliced.query(select(runs.c.run, runs.c.slices)) == [(1, 4)]
    assert sliced.query(select(func.count()).select_from(slices)) == [(3,)]
    visible = select(func.count()).select_from(parts).where(parts.c.slice.is_not(None), parts.c.state == "visible")
    assert sliced.query(visible) == [(0,)]


def test_slices_after_a_closed_run(make_company: Any, records: Any) -> None:
    """The same over an opening run: amendments and late payments in slices or at once."""
    first = [("billing", [records.invoice(n, "10.00") for n in (1, 2, 3)]), ("psp", [records.payment(1, "10.00")])]
    later = [
        ("psp", [records.payment(2, "10.00")]),
        ("billing", [records.invoice(1, "12.00", version="2")]),
        ("psp", [records.payment(1, "2.00", id="py_11")]),
    ]
    whole, sliced = make_company(), make_company()
    for company in (whole, sliced):
        for source, rows in first:
            company.ingest(source, rows)
        company.run()
    for source, rows in later:
        whole.ingest(source, rows)
        sliced.ingest(source, rows)
        sliced.run(slice_only=True)
    assert whole.run().result_hash == sliced.run().result_hash
    chosen = ("fingerprint", "state", "at_risk_minor")
    live = [row for row in sliced.findings(*chosen) if row[1] != "resolved"]
    assert sorted(live) == sorted(row for row in whole.findings(*chosen) if row[1] != "resolved")


def test_pending_opens_when_grace_has_passed(company: Any, records: Any) -> None:
    """Inside grace a finding waits; a run without anything new opens it on its day, once."""
    company.ingest("billing", [records.invoice(1, "10.00", date="2026-03-09")])
    company.run()
    assert company.findings() == [("MISSING_RECORD", "in_1", "pending")]
    company.set_day("2026-03-11")
    company.run()
    assert company.findings() == [("MISSING_RECORD", "in_1", "pending")]
    company.set_day("2026-03-12")
    before = len(company.rows()["runs"])
    assert company.run().status == "unchanged"
    assert company.findings("state", "opened_at") == [("open", "2026-03-12T12:00:00.000000Z")]
    after = company.rows()
    company.run()
    assert company.rows() == after
    assert len(after["runs"]) == before


def test_convergence_and_recurrence(company: Any, records: Any) -> None:
    """A late payment closes the finding with evidence; when it is taken back, the same finding reopens in place."""
    company.ingest("billing", [records.invoice(1, "10.00")])
    company.run()
    company.ingest("psp", [records.payment(1, "10.00")])
    assert company.run().findings.closed == 1
    assert company.findings("state", "resolution", "recurrences") == [("resolved", "converged", 0)]
    company.ingest("psp", [records.payment(1, "10.00", ref="elsewhere", version="2")])
    report = company.run()
    assert (report.findings.reopened, report.findings.new) == (1, 1)
    assert company.findings("anchor_id", "state", "recurrences", "first_run", "last_run") == [
        ("in_1", "open", 1, 1, 3),
        ("py_1", "open", 0, 3, 3),
    ]
    history = company.query(
        select(*(finding_history.c[name] for name in ("action", "from_state", "to_state", "run")))
        .where(finding_history.c.finding == 1)
        .order_by(finding_history.c.ordinal)
    )  # fmt: skip
    assert history == [
        ("detected", None, "open", 1),
        ("converged", "open", "resolved", 2),
        ("reopened", "resolved", "open", 3),
    ]


def test_a_break_of_another_kind_is_another_finding(company: Any, records: Any) -> None:
    """When a missing payment comes short, the missing record converges and a mismatch opens."""
    company.ingest("billing", [records.invoice(1, "10.00")])
    company.run()
    company.ingest("psp", [records.payment(1, "9.00")])
    company.run()
    assert company.findings("rule", "state", "at_risk_minor") == [
        ("MISSING_RECORD", "resolved", 1000),
        ("AMOUNT_MISMATCH", "open", 100),
    ]


def test_figures_move_with_the_records(company: Any, records: Any) -> None:
    """The same finding, other amounts: updated in place, with what it said before."""
    company.ingest("billing", [records.invoice(1, "10.00")])
    company.run()
    company.ingest("billing", [records.invoice(1, "70.00", version="2")])
    company.run()
    assert company.findings("anchor_id", "at_risk_minor", "state") == [("in_1", 7000, "open")]
    details = company.query(select(finding_history.c.details).where(finding_history.c.action == "updated"))
    assert json.loads(details[0][0]) == {"previously": {"at_risk_minor": 1000, "members": None}}


def test_group_findings(make_company: Any, company_configuration: str, records: Any) -> None:
    """Above group_over breaks of one code stand in one finding; it shrinks with its members and closes with them."""
    company = make_company(text=company_configuration.replace("grace_days: 3", "group_over: 3"))
    company.ingest("billing", [records.invoice(n, "10.00") for n in range(5)])
    company.run()
    assert company.findings("kind", "rule", "members", "at_risk_minor") == [("group", "MISSING_RECORD", 5, 5000)]
    company.ingest("psp", [records.payment(n, "10.00") for n in range(3)])
    company.ingest("billing", [records.invoice(9, "1.00")])
    company.run()
    assert company.findings("kind", "members", "at_risk_minor", "state") == [
        ("group", 2, 2000, "open"),
        ("single", None, 100, "open"),
    ]
    company.ingest("psp", [records.payment(n, "10.00") for n in (3, 4)])
    assert company.run().findings.closed == 1
    assert company.findings("kind", "state", "resolution") == [
        ("group", "resolved", "converged"),
        ("single", "open", None),
    ]


def test_disputes(make_company: Any, company_configuration: str, records: Any) -> None:
    """Every dispute that is not over is a finding; won, it converges."""
    text = company_configuration.replace("    grace_days: 3", "    disputes: disputes").replace(
        "reconciliations:", "  disputes: {format: json, kind: dispute, mapping: *columns}\nreconciliations:"
    )
    company = make_company(text=text)
    company.ingest("billing", [records.invoice(1, "10.00")])
    company.ingest("psp", [records.payment(1, "10.00")])
    company.ingest("disputes", [records.invoice(1, "-4.00", id="dp_1", status="needs_response")])
    company.run()
    assert company.findings("rule", "anchor_id", "state") == [("UNAPPLIED_REFUND", "dp_1", "open")]
    company.ingest("disputes", [records.invoice(1, "-4.00", id="dp_1", status="won", version="2")])
    company.run()
    assert company.findings("state") == [("resolved",)]


def test_a_later_run_opens_on_the_last_closing(company: Any, records: Any) -> None:
    """The closing of one proof is the opening of the next, per side and currency."""
    company.ingest("billing", [records.invoice(1, "10.00"), records.invoice(2, "7", currency="JPY")])
    first = company.run()
    company.ingest("psp", [records.payment(1, "4.00")])
    second = company.run()
    closing = {(line.side, line.currency): line.closing_minor for line in first.proof}
    opening = {(line.side, line.currency): line.opening_minor for line in second.proof}
    assert opening == {**dict.fromkeys(opening, 0), **closing}
    assert {(line.side, line.currency): line.closing_minor for line in second.proof}[("invoices", "EUR")] == 600


def test_unknown_reconciliation(company: Any) -> None:
    """The known ones are named."""
    with pytest.raises(UsageError, match="unknown reconciliation"):
        company.run("other")


def test_nothing_has_arrived(company: Any) -> None:
    """A run over nothing is a run, with an empty proof."""
    report = company.run()
    assert (report.status, report.proof, report.open_items) == ("closed", (), 0)
    assert company.run().status == "unchanged"


def _lease(company: Any, owner: str) -> None:
    with database.writing(company.unit.engine) as connection, connection.begin():
        connection.execute(update(heads).values(lease_owner=owner, lease_expires_at="2026-03-10T13:00:00.000000Z"))


def test_lease(company: Any, records: Any) -> None:
    """Another process's run is respected while it lives and its lease lasts, and taken over when it is dead."""
    company.ingest("billing", [records.invoice(1, "10.00")])
    company.run()
    company.ingest("psp", [records.payment(1, "10.00")])
    _lease(company, "another-host:1")
    with pytest.raises(ConflictError, match="another-host"):
        company.run()
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    _lease(company, f"{socket.gethostname()}:{int(child.stdout)}")
    assert company.run().status == "closed"
    company.ingest("psp", [records.payment(2, "10.00")])
    _lease(company, "another-host:1")
    company.set_day("2026-03-11")
    assert company.run().status == "closed"


def test_a_run_that_failed_is_taken_up_again(company: Any, records: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that died between opening and closing stays open; the next call takes it up and closes it."""
    company.ingest("billing", [records.invoice(1, "10.00")])

    def fail(*_: object, **__: object) -> None:
        raise OSError("the machine stopped")

    with monkeypatch.context() as patched:
        patched.setattr(run_service, "match_plan", fail)
        with pytest.raises(OSError, match="stopped"):
            company.run()
    assert company.query(select(runs.c.run, runs.c.state)) == [(1, "open")]
    report = company.run()
    assert (report.run, report.status) == (1, "closed")
    assert company.findings() == [("MISSING_RECORD", "in_1", "open")]


def test_another_run_in_between_is_a_conflict(company: Any, records: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lost the fence commits nothing."""
    company.ingest("billing", [records.invoice(1, "10.00")])
    real = match_module.match_plan

    def steal(*args: Any, **options: Any) -> Any:
        with database.writing(company.unit.engine) as connection, connection.begin():
            connection.execute(update(heads).values(fence=heads.c.fence + 1))
        return real(*args, **options)

    monkeypatch.setattr(run_service, "match_plan", steal)
    with pytest.raises(ConflictError, match="taken over"):
        company.run()
    assert company.findings() == []
    assert company.query(select(runs.c.state)) == [("open",)]


def test_as_of_is_an_input(make_company: Any, records: Any) -> None:
    """The day a run is asked for decides what is due, not the clock."""
    company = make_company()
    company.ingest("billing", [records.invoice(1, "10.00", date="2026-03-09")])
    assert company.run(as_of=date(2026, 3, 20)).as_of == date(2026, 3, 20)
    assert company.findings("state") == [("open",)]


def test_dates_at_the_end_of_the_calendar(company: Any, records: Any) -> None:
    """A date that means "never" is pending for good, and no error."""
    company.ingest("billing", [records.invoice(1, "10.00", date="9999-12-31"), records.invoice(2, "1.00", date=None)])
    company.run()
    assert company.findings("anchor_id", "state", "due_date", "deadline") == [
        ("in_1", "pending", "9999-12-31", "9999-12-31"),
        ("in_2", "open", None, None),
    ]


def test_mended_rules_apply_to_open_items(make_company: Any, company_configuration: str, records: Any) -> None:
    """Firm matches stand under new rules, but what is open is decided by the rules of the run."""
    wrong = company_configuration.replace(
        "on: {invoices: reference, payments: reference}", "on: {invoices: native_id, payments: reference}"
    )
    company = make_company(text=wrong)
    company.ingest("billing", [records.invoice(1, "10.00")])
    company.ingest("psp", [records.payment(1, "10.00")])
    assert company.run().open_items == 2
    company.configure(company_configuration)
    assert company.run().open_items == 0


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_finding_outlives_one_of_its_batches(company: Any, records: Any, version: str) -> None:
    """A record that two deliveries say is still open when one of them is withdrawn, and so is its finding."""
    first = company.ingest("billing", [records.invoice(1, "10.00", version="1")]).batch
    company.run()
    company.ingest("billing", [records.invoice(1, "10.00", version=version)])
    company.run()
    supersede(company.unit, company.configuration, first, ADA, "faulty")
    assert company.run().open_items == 1
    assert company.findings() == [("MISSING_RECORD", "in_1", "open")]

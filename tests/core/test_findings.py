"""From breaks to findings: identity, severity, state, what each side says, groups."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieout.core.findings import (
    DUPLICATE_DELIVERY,
    INTEGRATION_DELAY,
    KEY_UNMAPPED,
    days_after,
    draft_of_break,
    fingerprint,
    group_drafts,
    severity_of,
    state_at,
)
from tieout.core.matching.plan import FINDING_COLUMNS
from tieout.model.configuration import PassConfig, ReconciliationConfig, SeverityThresholds, SideConfig
from tieout.model.finding import Code, Kind, Severity, State

DAY = date(2026, 3, 10)
LIMITS = SeverityThresholds(high=1_000, critical=10_000)
CONFIG = ReconciliationConfig(
    "inv",
    (SideConfig("invoices", "billing", ("invoice",)), SideConfig("payments", "psp", ("payment",))),
    (PassConfig("e", "exact", {"invoices": "native_id", "payments": "invoice_ref"}),),
    grace_days=3,
    window_days=30,
)


def break_row(**fields: Any) -> dict[str, object]:
    """A row of the measure `breaks`: an unpaid invoice of 10.00 EUR, fields replaced."""
    row: dict[str, object] = dict.fromkeys(FINDING_COLUMNS)
    row |= {
        "side": "invoices", "source": "billing", "kind": "invoice", "native_id": "in_1", "occurrence": 0,
        "currency": "EUR", "amount_minor": 1000, "open_minor": 1000, "code": "MISSING_RECORD",
        "effective_date": date(2026, 3, 1), "due_date": date(2026, 3, 4), "batch": 1, "key_1": "in_1",
    }  # fmt: skip
    return row | fields


def test_fingerprint_is_stable() -> None:
    """The identity written today must be found again in ten years: a golden value."""
    assert fingerprint("inv", Code.MISSING_RECORD, "invoices", "billing", "invoice", "in_1", 0) == (
        "5b96a150314092f27cabfd4171c9e3c5"
    )


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_fingerprints_tell_anchors_apart(one: list[str], other: list[str]) -> None:
    """Parts are delimited by length: different anchors never join to the same text."""
    assert (fingerprint("r", "C", *one) == fingerprint("r", "C", *other)) == (one == other)


@pytest.mark.parametrize(
    "change",
    [
        {"amount_minor": 500, "open_minor": 500},
        {"effective_date": date(2026, 4, 1), "due_date": None},
        {"batch": 9},
        {"other_minor": 900, "other_id": "py_1"},
        {"description": "x", "key_1": None, "reference": "r", "customer_ref": "c"},
    ],
)
def test_figures_are_no_identity(change: dict[str, Any]) -> None:
    """Amounts, dates, batches and texts may change; the finding stays the same one."""
    before, after = break_row(), break_row(**change)
    assert draft_of_break(before, CONFIG, DAY).fingerprint == draft_of_break(after, CONFIG, DAY).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"code": "AMOUNT_MISMATCH"}, {"native_id": "in_2"}, {"kind": "credit_note"}, {"source": "erp"},
        {"side": "payments"}, {"occurrence": 1},
    ],
)  # fmt: skip
def test_identity(change: dict[str, Any]) -> None:
    """Rule and anchor make the identity; so does the reconciliation."""
    draft = draft_of_break(break_row(), CONFIG, DAY)
    assert draft_of_break(break_row(**change), CONFIG, DAY).fingerprint != draft.fingerprint
    other = replace(CONFIG, name="other")
    assert draft_of_break(break_row(), other, DAY).fingerprint != draft.fingerprint


@pytest.mark.parametrize(
    ("minor", "currency", "grade"),
    [
        (99_999, "EUR", Severity.WARNING), (100_000, "EUR", Severity.HIGH), (999_999, "EUR", Severity.HIGH),
        (1_000_000, "EUR", Severity.CRITICAL), (-1_000_000, "EUR", Severity.CRITICAL), (0, "EUR", Severity.WARNING),
        (999, "JPY", Severity.WARNING), (1_000, "JPY", Severity.HIGH), (10_000, "JPY", Severity.CRITICAL),
        (999_999, "KWD", Severity.WARNING), (1_000_000, "KWD", Severity.HIGH), (10_000_000, "KWD", Severity.CRITICAL),
        (9_999_999, "CLF", Severity.WARNING), (10_000_000, "CLF", Severity.HIGH),
        (10**15, "EUR", Severity.CRITICAL), (None, "EUR", Severity.WARNING), (10**9, None, Severity.WARNING),
    ],
)  # fmt: skip
def test_severity_by_money(minor: int | None, currency: str | None, grade: Severity) -> None:
    """Thresholds are major units: 1,000 yen is 1000 minor units, 1,000 dinars a million."""
    assert severity_of(Code.MISSING_RECORD, minor, currency, LIMITS) is grade


@pytest.mark.parametrize("code", [Code.DUPLICATE_RECORD, Code.BALANCE_GAP, Code.CURRENCY_MISMATCH])
def test_severity_by_code(code: Code) -> None:
    """Some codes are never mild, however small the amount."""
    assert severity_of(code, 1, "EUR", LIMITS) is Severity.HIGH
    assert severity_of(code, None, None, LIMITS) is Severity.HIGH
    assert severity_of(code, 10**6, "EUR", LIMITS) is Severity.CRITICAL


def test_state_by_grace() -> None:
    """Pending before the last day of grace, open from it on; without a date there is no grace."""
    assert state_at(DAY + timedelta(days=1), DAY) is State.PENDING
    assert state_at(DAY, DAY) is State.OPEN
    assert state_at(DAY - timedelta(days=1), DAY) is State.OPEN
    assert state_at(None, DAY) is State.OPEN


def test_draft_of_a_missing_record() -> None:
    """An unpaid invoice: expected 10.00, nothing on the other side, a deadline from the window."""
    draft = draft_of_break(break_row(), CONFIG, date(2026, 3, 3))
    assert (draft.state, draft.kind, draft.cause) == (State.PENDING, Kind.SINGLE, INTEGRATION_DELAY)
    assert (draft.expected_minor, draft.actual_minor, draft.at_risk_minor) == (1000, None, 1000)
    assert (draft.due_date, draft.deadline) == (date(2026, 3, 4), date(2026, 3, 31))
    assert draft.says == {
        "invoices": {"source": "billing", "kind": "invoice", "id": "in_1", "date": "2026-03-01", "amount": "10.00",
                     "currency": "EUR"},
        "payments": {"source": "psp", "nothing": True},
    }  # fmt: skip


def test_draft_of_a_mismatch() -> None:
    """Both sides' words, whichever side the item is on."""
    row = break_row(code="AMOUNT_MISMATCH", other_minor=900, other_id="py_1", open_minor=100)
    draft = draft_of_break(row, CONFIG, DAY)
    assert (draft.expected_minor, draft.actual_minor, draft.at_risk_minor) == (1000, 900, 100)
    assert draft.says["payments"] == {"source": "psp", "id": "py_1", "amount": "9.00", "currency": "EUR"}
    turned = break_row(side="payments", source="psp", kind="payment", code="AMOUNT_MISMATCH", other_minor=900)
    draft = draft_of_break(turned, CONFIG, DAY)
    assert (draft.expected_minor, draft.actual_minor) == (900, 1000)


def test_draft_of_a_currency_mismatch() -> None:
    """The other side's currency is told without an amount that could be taken for comparable."""
    draft = draft_of_break(break_row(code="CURRENCY_MISMATCH", other_currency="USD", other_id="py_1"), CONFIG, DAY)
    assert draft.says["payments"] == {"source": "psp", "id": "py_1", "currency": "USD"}


def test_causes() -> None:
    """What the records themselves show: a duplicate, a key that nobody knows."""
    duplicate = draft_of_break(break_row(code="DUPLICATE_RECORD", other_id="in_0", other_minor=1000), CONFIG, DAY)
    assert duplicate.cause == DUPLICATE_DELIVERY
    assert duplicate.evidence["like"] == "in_0"
    assert duplicate.says["payments"] == {"source": "psp", "nothing": True}
    assert draft_of_break(break_row(key_1=None), CONFIG, DAY).cause == KEY_UNMAPPED
    assert draft_of_break(break_row(code="AMOUNT_MISMATCH", other_minor=1), CONFIG, DAY).cause is None


def test_amounts_of_other_currencies() -> None:
    """Texts use the currency's own decimals; negative amounts are at risk as their absolute value."""
    yen = draft_of_break(break_row(currency="JPY", amount_minor=-1000, open_minor=-400), CONFIG, DAY)
    assert yen.says["invoices"]["amount"] == "-1000"  # type: ignore[index]
    assert (yen.evidence["open"], yen.at_risk_minor) == ("-400", 400)


def test_end_of_the_calendar() -> None:
    """Files say 9999-12-31 for "never": that is a date like any other, and no error."""
    last = date(9999, 12, 31)
    draft = draft_of_break(break_row(effective_date=last, due_date="10000-01-03"), CONFIG, DAY)
    assert (draft.state, draft.due_date, draft.deadline) == (State.PENDING, last, last)
    (group,) = group_drafts([("MISSING_RECORD", "invoices", "EUR", 5, Decimal(5), "10000-01-03", last)], CONFIG, DAY)
    assert (group.due_date, group.deadline) == (last, last)
    assert days_after(last - timedelta(days=3), 3) == last
    assert days_after(date(2026, 2, 28), 1) == date(2026, 3, 1)
    assert days_after(None, 1) is None


def test_missing_dates() -> None:
    """A record without a date has no grace and no deadline."""
    draft = draft_of_break(break_row(effective_date=None, due_date=None), CONFIG, DAY)
    assert (draft.state, draft.deadline) == (State.OPEN, None)


def test_group_of_one_currency() -> None:
    """One group finding a code and side, with its members and their money."""
    rows = [("MISSING_RECORD", "invoices", "EUR", 1200, Decimal(5_000_000), date(2026, 3, 4), date(2026, 3, 1))]
    (draft,) = group_drafts(rows, CONFIG, DAY)
    assert (draft.kind, draft.members, draft.at_risk_minor, draft.currency) == (Kind.GROUP, 1200, 5_000_000, "EUR")
    assert (draft.severity, draft.state, draft.deadline) == (Severity.CRITICAL, State.OPEN, date(2026, 3, 31))
    assert draft.evidence == {"members": 1200, "amounts": {"EUR": "50000.00"}}


def test_group_of_several_currencies() -> None:
    """Amounts of several currencies are listed, never added; the gravest decides the severity."""
    rows = [
        ("MISSING_RECORD", "invoices", "EUR", 3, Decimal(100), date(2026, 3, 9), date(2026, 3, 6)),
        ("MISSING_RECORD", "invoices", "JPY", 2, Decimal(20_000), None, None),
        ("UNEXPECTED_RECORD", "payments", "EUR", 7, Decimal(1), None, None),
    ]
    first, second = group_drafts(rows, CONFIG, DAY)
    assert (first.members, first.at_risk_minor, first.currency) == (5, None, None)
    assert (first.severity, first.due_date) == (Severity.CRITICAL, date(2026, 3, 9))
    assert first.evidence["amounts"] == {"EUR": "1.00", "JPY": "20000"}
    assert (second.members, second.due_date, second.state) == (7, None, State.OPEN)
    assert first.fingerprint != second.fingerprint


def test_group_identity() -> None:
    """A group stays the same finding while its members come and go."""
    one, other = ([("MISSING_RECORD", "invoices", "EUR", count, Decimal(1), None, None)] for count in (3, 4))
    assert group_drafts(one, CONFIG, DAY)[0].fingerprint == group_drafts(other, CONFIG, DAY)[0].fingerprint

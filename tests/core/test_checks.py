"""Checks of one source by itself: repeated ids, unknown customers, statements, disputes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.spool import as_query, ids_query
from tieout.core.checks import (
    check_plan,
    dispute_draft,
    dispute_fingerprint,
    dispute_is_over,
    disputes_plan,
    source_drafts,
    statement_gaps,
)
from tieout.core.normalise import DRAFTS, normalise_plan
from tieout.core.versions import classify_plan
from tieout.model.configuration import SeverityThresholds
from tieout.model.finding import Code, Kind, Severity, State
from tieout.model.reading import Reading

DAY = date(2026, 3, 10)
Draft = Mapping[str, str | None]


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckEngine]:
    """One engine for the module."""
    with DuckEngine(threads=1) as engine:
        yield engine


def _parts(engine: DuckEngine, directory: Path, files: Sequence[Sequence[Draft]]) -> dict[str, list[Path]]:
    """The record and contested parts of some files of one source."""
    parts: dict[str, list[Path]] = {"records": [], "contested": []}
    for number, drafts in enumerate(files, start=1):
        names = sorted({name for draft in drafts for name in draft})
        chunk: dict[str, Any] = {name: [draft.get(name) for draft in drafts] for name in names}
        chunk["line"] = list(range(1, len(drafts) + 1))
        query, present = as_query(Reading("test", iter([chunk])), directory / f"{number}.jsonl")
        staged = directory / f"{number}.staged"
        engine.run(
            normalise_plan("psp", number, present or [], derived_ids=False), {}, {"staged": staged}, {DRAFTS: query}
        )
        outputs = {name: directory / f"{number}.{name}" for name in parts}
        written = engine.run(classify_plan(), {"staged": [staged], "prior": parts["records"]}, outputs).written
        for name in parts:
            if written[name]:
                parts[name].append(outputs[name])
    return parts


def _check(engine: DuckEngine, directory: Path, files: Sequence[Sequence[Draft]], known: Sequence[str] | None = None,
           group_over: int = 1000) -> Any:  # fmt: skip
    plan = check_plan(customers=known is not None, group_over=group_over)
    queries = {"known": ids_query(list(known or []), directory / "known.jsonl")}
    outputs = {"source_breaks": directory / "breaks.parquet"}
    return engine.run(plan, _parts(engine, directory, files), outputs, queries).measured


def _payment(native_id: str, amount: str, **more: str) -> Draft:
    draft = {"kind": "payment", "native_id": native_id, "amount": amount, "currency": "EUR", "date": "2026-03-01"}
    return draft | more


def test_same_id_twice_in_one_file(engine: DuckEngine, tmp_path: Path) -> None:
    """Both contents are kept and the id is one break, with what both come to."""
    measured = _check(engine, tmp_path, [[_payment("a", "5.00"), _payment("a", "7.00"), _payment("b", "1.00")]])
    (draft,) = source_drafts("source:psp", "psp", measured["singles"], measured["crowds"], DAY)
    assert (draft.code, draft.anchor_kind, draft.anchor_id) == (Code.DUPLICATE_ID, "payment", "a")
    assert (draft.at_risk_minor, draft.state, draft.batch) == (1200, State.OPEN, 1)
    assert draft.says == {"psp": {"id": "a", "kind": "payment", "records": 2, "amount": "12.00", "currency": "EUR"}}


def test_settled_conflict_is_no_break(engine: DuckEngine, tmp_path: Path) -> None:
    """A newer version settles it; so the finding converges with the next check."""
    files = [[_payment("a", "5.00"), _payment("a", "7.00")], [_payment("a", "6.00", version="1")]]
    assert _check(engine, tmp_path, files)["singles"] == []


def test_versions_and_repeats_are_no_conflict(engine: DuckEngine, tmp_path: Path) -> None:
    """The same content twice, or several versions, is ordinary."""
    files = [[_payment("a", "5.00"), _payment("a", "5.00"), _payment("b", "1.00", version="1"),
              _payment("b", "2.00", version="2")], [_payment("a", "5.00")]]  # fmt: skip
    assert _check(engine, tmp_path, files)["singles"] == []


def test_same_id_in_two_currencies(engine: DuckEngine, tmp_path: Path) -> None:
    """Amounts of different currencies are never added."""
    measured = _check(engine, tmp_path, [[_payment("a", "5.00"), _payment("a", "7.00", currency="USD")]])
    (draft,) = source_drafts("source:psp", "psp", measured["singles"], measured["crowds"], DAY)
    assert (draft.at_risk_minor, draft.currency) == (None, None)


def test_unknown_customers(engine: DuckEngine, tmp_path: Path) -> None:
    """One break a customer, with its records and money; pending within grace."""
    rows = [
        _payment("a", "5.00", customer_ref="c1"),
        _payment("b", "-2.00", customer_ref="c1"),
        _payment("c", "1.00", customer_ref="known"),
        _payment("d", "1.00"),
        _payment("e", "1.00", customer_ref="c2", date="2026-03-10"),
    ]
    measured = _check(engine, tmp_path, [rows], known=["known"])
    first, second = source_drafts("source:psp", "psp", measured["singles"], measured["crowds"], DAY)
    assert (first.anchor_id, first.at_risk_minor, first.evidence, first.state) == (
        "c1",
        700,
        {"records": 2},
        State.OPEN,
    )
    assert (second.anchor_id, second.state) == ("c2", State.PENDING)
    assert _check(engine, tmp_path, [rows], known=None)["singles"] == []


def test_unknown_customer_at_the_end_of_the_calendar(engine: DuckEngine, tmp_path: Path) -> None:
    """A date that means "never" is no error."""
    measured = _check(engine, tmp_path, [[_payment("a", "1.00", customer_ref="c", date="9999-12-31")]], known=[])
    assert source_drafts("source:psp", "psp", measured["singles"], measured["crowds"], DAY)


def test_crowds_become_one_group(engine: DuckEngine, tmp_path: Path) -> None:
    """More breaks of one code than group_over are one finding with their number."""
    rows = [_payment(f"p{n}", "1.00", customer_ref=f"c{n}") for n in range(4)] + [
        _payment("x", "1"),
        _payment("x", "2"),
    ]
    measured = _check(engine, tmp_path, [rows], known=[], group_over=3)
    single, group = source_drafts("source:psp", "psp", measured["singles"], measured["crowds"], DAY)
    assert single.code is Code.DUPLICATE_ID
    assert (group.kind, group.code, group.members) == (Kind.GROUP, Code.UNRESOLVED_CUSTOMER, 4)


def _statement(number: int, **fields: Any) -> dict[str, object]:
    row: dict[str, object] = {
        "statement_id": f"s{number}", "account": "DE1", "currency": "EUR", "from_date": f"2026-03-0{number}",
        "to_date": f"2026-03-0{number}", "opening_minor": 100, "closing_minor": 100, "sum_minor": 0, "gap_minor": 0,
        "batch": number, "lines": 1,
    }  # fmt: skip
    return row | fields


def test_statements_that_tie_and_join() -> None:
    """Nothing to say of a complete series."""
    rows = [_statement(1, closing_minor=150, sum_minor=50), _statement(2, opening_minor=150, closing_minor=150)]
    assert statement_gaps("source:bank", "bank", rows) == []


def test_statement_whose_lines_do_not_add_up() -> None:
    """A statement that does not tie is a break of its gap, never mild."""
    (draft,) = statement_gaps("source:bank", "bank", [_statement(1, closing_minor=170, sum_minor=50, gap_minor=20)])
    assert (draft.code, draft.expected_minor, draft.actual_minor) == (Code.BALANCE_GAP, 150, 170)
    assert (draft.at_risk_minor, draft.severity) == (20, Severity.HIGH)


def test_statement_that_is_missing_between_two() -> None:
    """A statement that does not open where the last closed, whatever the order of delivery."""
    rows = [_statement(3, opening_minor=130), _statement(1)]
    (draft,) = statement_gaps("source:bank", "bank", rows)
    assert (draft.anchor_id, draft.expected_minor, draft.actual_minor) == ("DE1 s3", 100, 130)
    assert draft.evidence["gap"] == "0.30"
    again = statement_gaps("source:bank", "bank", rows[::-1])
    assert [one.fingerprint for one in again] == [draft.fingerprint]


def test_the_same_statement_twice() -> None:
    """A statement delivered twice is looked at once; accounts and currencies do not mix."""
    rows = [_statement(1), _statement(1, batch=9), _statement(2, account="DE2", opening_minor=7),
            _statement(2, currency="USD", opening_minor=9)]  # fmt: skip
    assert statement_gaps("source:bank", "bank", rows) == []


def test_statements_without_period_or_balance() -> None:
    """What cannot be ordered or has no balance is not compared."""
    rows = [_statement(1, from_date=None, to_date=None), _statement(2, from_date=None, to_date=None, opening_minor=1)]
    assert statement_gaps("source:bank", "bank", rows) == []
    rows = [_statement(1, closing_minor=None, gap_minor=None), _statement(2, opening_minor=5)]
    assert statement_gaps("source:bank", "bank", rows) == []


def test_disputes(engine: DuckEngine, tmp_path: Path) -> None:
    """Every current dispute is seen; only those not over are findings."""

    def dispute(native_id: str, status: str, **more: str) -> Draft:
        return {"kind": "dispute", "native_id": native_id, "amount": "-5.00", "currency": "EUR", "status": status,
                "date": "2026-03-01", "payment_ref": "py_1", "category": "fraudulent"} | more  # fmt: skip

    files = [
        [dispute("d1", "needs_response"), dispute("d2", "won"), dispute("d3", "warning_closed"), _payment("p", "1")],
        [dispute("d1", "lost", version="1")],
    ]
    rows = engine.run(disputes_plan(), _parts(engine, tmp_path, files), {}).measured["disputes"]
    assert [(row[1], row[5], dispute_is_over(row)) for row in rows] == [
        ("d1", "lost", False),
        ("d2", "won", True),
        ("d3", "warning_closed", True),
    ]
    draft = dispute_draft("inv", "psp", rows[0], SeverityThresholds())
    assert draft.fingerprint == dispute_fingerprint("inv", "psp", rows[0])
    assert (draft.code, draft.at_risk_minor, draft.state) == (Code.UNAPPLIED_REFUND, 500, State.OPEN)
    assert draft.evidence == {"dispute": "d1", "status": "lost", "payment": "py_1", "reason": "fraudulent"}

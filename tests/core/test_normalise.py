"""Drafts to canonical records: what each text becomes, what is refused and why, and identities of lines without id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.spool import as_query
from tieout.core.normalise import (
    DRAFTS,
    FAULT_SEPARATOR,
    STAGED_COLUMNS,
    missing_plan,
    normalise_plan,
    staged_measures,
)
from tieout.model.errors import InputError
from tieout.model.money import EXPONENTS, MAX_MINOR, decimal_text, parse_decimal
from tieout.model.reading import Reading
from tieout.model.record import DRAFT_COLUMNS

GOOD = {"kind": "payment", "native_id": "py_1", "amount": "1.00", "currency": "EUR", "date": "2026-03-01"}


class Bench:
    """Normalises drafts on one engine."""

    def __init__(self, engine: DuckEngine, directory: Path):
        self.engine = engine
        self.directory = directory
        self.count = 0

    def stage(self, drafts: Sequence[Mapping[str, str | None]], **options: Any) -> Path:
        """A staged file of some drafts."""
        self.count += 1
        directory = self.directory / str(self.count)
        directory.mkdir()
        names = sorted({name for draft in drafts for name in draft})
        chunk: dict[str, Any] = {name: [draft.get(name) for draft in drafts] for name in names}
        chunk["line"] = options.pop("lines", None) or list(range(1, len(drafts) + 1))
        query, present = as_query(Reading("test", iter([chunk])), directory / "spool.jsonl")
        present = options.pop("present", None) or present
        plan = normalise_plan("source", 7, present or [], derived_ids=options.pop("derived_ids", False), **options)
        target = directory / "staged.parquet"
        self.engine.run(plan, {}, {"staged": target}, {DRAFTS: query})
        return target

    def rows(self, drafts: Sequence[Mapping[str, str | None]], **options: Any) -> list[dict[str, Any]]:
        """Staged rows in line order; `fault` as (field, reason, text)."""
        path = self.stage(drafts, **options)
        shown = ("line", "native_id", "kind", "version", "effective_date", "occurred_at", "amount_minor", "fee_minor",
                 "net_minor", "digest_a", "digest_b", "id_hash", "fault")  # fmt: skip
        columns = tuple((name, kind) for name, kind in STAGED_COLUMNS if name in shown)
        names = [name for name, _ in columns]
        rows = self.engine.rows([path], columns, order=("line", "native_id"))
        found = [dict(zip(names, row, strict=True)) for row in rows]
        for row in found:
            row |= {name: None if row[name] is None else str(row[name]) for name in ("effective_date", "occurred_at")}
        for row in found:
            row["fault"] = None if row["fault"] is None else tuple(str(row["fault"]).split(FAULT_SEPARATOR))
        return found

    def row(self, **fields: str | None) -> dict[str, Any]:
        """One good draft with some fields replaced."""
        (row,) = self.rows([{**GOOD, **fields}])
        return row


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One engine for the module."""
    with DuckEngine(threads=1) as engine:
        yield Bench(engine, tmp_path_factory.mktemp("staged"))


AMOUNTS = {
    ("EUR", "12.34"): 1234, ("EUR", "-12.34"): -1234, ("EUR", "+5"): 500, ("EUR", "0"): 0, ("EUR", "-0.00"): 0,
    ("EUR", "007"): 700, ("EUR", "1.5"): 150, ("EUR", "1.50000000000000000000"): 150,
    ("EUR", "10000000000000.00"): 10**15, ("EUR", "-10000000000000.00"): -(10**15),
    ("JPY", "5"): 5, ("JPY", "5.0"): 5, ("JPY", "1000000000000000"): 10**15,
    ("KWD", "1.234"): 1234, ("KWD", "1.2340"): 1234, ("KWD", "-0.001"): -1, ("CLF", "1.2345"): 12345,
    ("ISK", "1.00"): 1,
}  # fmt: skip


@pytest.mark.parametrize(("currency", "text"), list(AMOUNTS))
def test_good_amounts(bench: Bench, currency: str, text: str) -> None:
    """A plain decimal becomes minor units of its currency, exactly."""
    row = bench.row(amount=text, currency=currency)
    assert (row["fault"], row["amount_minor"]) == (None, AMOUNTS[(currency, text)])


@pytest.mark.parametrize(
    "text",
    [
        "12..34", "1_000", "1e5", "1E+2", "NaN", "nan", "Infinity", "-inf", "٣", "３", "1e400", "0x10", "1,5",
        "1.000,00", "1 000", " 5", "5 ", "5\n", "\t5", "--5", "+-5", "-", "+", ".", ".5", "5.", "", "5€", "(5.00)",
        "5-", "½", "1'000", "1.005", "0.001", "9" * 30, "1." + "0" * 13 + "1",
    ],
)  # fmt: skip
def test_unreadable_amounts(bench: Bench, text: str) -> None:
    """Everything else is refused with the field, the reason and the text; nothing is rounded or guessed."""
    row = bench.row(amount=text)
    assert row["amount_minor"] is None
    assert row["fault"] == ("amount", "not a plain decimal number that its currency can hold", text)


@pytest.mark.parametrize(
    ("currency", "text"),
    [
        ("EUR", "10000000000000.01"), ("EUR", "99999999999999"), ("EUR", "999999999999999"),
        ("EUR", "999999999999999.99"), ("EUR", "-999999999999999.99"), ("JPY", "1000000000000001"),
        ("EUR", "9223372036854775.808"), ("EUR", "9223372036854775808"), ("KWD", "9999999999999999999999"),
        ("EUR", "9999999999999999999999.999999999999"),
    ],
)  # fmt: skip
def test_too_large_amounts(bench: Bench, currency: str, text: str) -> None:
    """Past 10^15 minor units a row goes to quarantine; the statement never overflows."""
    for field in ("amount", "fee", "net"):
        fault = bench.row(**{field: text, "currency": currency})["fault"]
        assert fault is not None
        assert (fault[0], fault[2]) == (field, text)


@pytest.mark.parametrize(
    ("currency", "text"), [("JPY", "5.1"), ("KWD", "1.2345"), ("CLF", "1.23456"), ("EUR", "1.005")]
)
def test_excess_precision(bench: Bench, currency: str, text: str) -> None:
    """Finer than the currency's minor unit is refused, never rounded."""
    assert bench.row(amount=text, currency=currency)["fault"][0] == "amount"


@pytest.mark.parametrize("currency", ["eur", "Eur", "XXX", "EUR ", "", "€", "EURO", "BTC"])
def test_unknown_currencies(bench: Bench, currency: str) -> None:
    """Only ISO 4217 codes in upper case are currencies."""
    assert bench.row(currency=currency)["fault"] == ("currency", "not an ISO 4217 currency", currency)


def test_every_currency_has_its_exponent(bench: Bench) -> None:
    """One minor unit of each currency is read as 1."""
    drafts = [{**GOOD, "native_id": code, "currency": code, "amount": decimal_text(1, code)} for code in EXPONENTS]
    assert {row["amount_minor"] for row in bench.rows(drafts)} == {1}


def test_money_without_currency(bench: Bench) -> None:
    """A kind of money needs a currency and an amount; another kind does not."""
    assert bench.row(currency=None)["fault"][0] == "currency"
    assert bench.row(amount=None)["fault"] == ("amount", "missing", "")
    assert bench.row(kind="customer", currency=None, amount=None)["fault"] is None


@pytest.mark.parametrize("field", ["amount", "fee", "net"])
def test_no_amount_is_lost_silently(bench: Bench, field: str) -> None:
    """An amount without a currency cannot be kept, so its row is refused, whatever its kind."""
    row = bench.row(**{"kind": "subscription", "currency": None, "amount": None, field: "5.00"})
    assert row["fault"] == ("currency", "an amount needs a currency: declare or map it", "")


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2026-03-01", "2026-03-01"), ("2024-02-29", "2024-02-29"), ("0001-01-01", "0001-01-01"),
        ("9999-12-31", "9999-12-31"),
    ],
)  # fmt: skip
def test_good_dates(bench: Bench, text: str, stored: str) -> None:
    """A booking date stays the date it is."""
    row = bench.row(date=text)
    assert (row["fault"], row["effective_date"]) == (None, stored)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30", "2026-13-01", "2026-00-01", "2026-01-00", "2023-02-29", "1900-02-29", "0000-01-01", "2026-1-1",
        "20260101", "01.01.2026", "2026/01/01", "2026-01-01T00:00:00Z", "-0001-01-01", "10000-01-01", "", "infinity",
        "today", "٢٠٢٦-01-01", "2026-01-01 (BC)", " 2026-01-01", "2026-01-01\n",
    ],
)  # fmt: skip
def test_bad_dates(bench: Bench, text: str) -> None:
    """Impossible or otherwise written dates are refused."""
    row = bench.row(date=text)
    assert row["fault"] == ("date", "not a date (YYYY-MM-DD)", text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("2026-10-05T12:00:00Z", "2026-10-05 12:00:00"),
        ("2026-10-05T12:00:00.5Z", "2026-10-05 12:00:00.500000"),
        ("2026-10-05T12:00:00.123456Z", "2026-10-05 12:00:00.123456"),
        ("2026-03-29T02:30:00Z", "2026-03-29 02:30:00"),
        ("2026-10-25T02:30:00Z", "2026-10-25 02:30:00"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31 23:59:59.999999"),
    ],
)
def test_good_instants(bench: Bench, text: str, stored: str) -> None:
    """An instant is UTC; hours that a local clock skips or repeats are ordinary hours there."""
    row = bench.row(time=text)
    assert (row["fault"], row["occurred_at"]) == (None, stored)


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-05T12:00:00", "2026-10-05T12:00:00+02:00", "2026-10-05T12:00:00+00:00", "2026-10-05 12:00:00Z",
        "2026-10-05T12:00Z", "2026-10-05T25:00:00Z", "2026-10-05T12:60:00Z", "2026-10-05T23:59:60Z",
        "2026-02-30T12:00:00Z", "0000-01-01T00:00:00Z", "2026-10-05T12:00:00.1234567Z", "1790000000", "",
        "2026-10-05T12:00:00z",
    ],
)  # fmt: skip
def test_bad_instants(bench: Bench, text: str) -> None:
    """Offsets are the reader's work; what reaches the normaliser is UTC or refused, as a version too."""
    assert bench.row(time=text)["fault"][0] == "time"
    if text and not text.isdigit():
        assert bench.row(version=text)["fault"][0] == "version"


def test_effective_date_comes_from_the_instant(bench: Bench) -> None:
    """Where only an instant is known, its UTC day is the effective date; a given date wins."""
    assert bench.row(date=None, time="2026-10-05T23:59:59Z")["effective_date"] == "2026-10-05"
    assert bench.row(date="2026-10-06", time="2026-10-05T23:59:59Z")["effective_date"] == "2026-10-06"


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("1", 1), ("999999999999999999", 999999999999999999), ("1970-01-01T00:00:01Z", 1_000_000)],
)
def test_versions(bench: Bench, text: str, number: int) -> None:
    """A version is a whole number, or an instant in microseconds since 1970."""
    assert bench.row(version=text)["version"] == number


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "", "9999999999999999999", "１"])
def test_bad_versions(bench: Bench, text: str) -> None:
    """Anything else is no version."""
    assert bench.row(version=text)["fault"][0] == "version"


def test_observed_version(bench: Bench) -> None:
    """Rows whose source does not version them take the delivery's; others keep their own."""
    rows = bench.rows([GOOD, {**GOOD, "native_id": "py_2", "version": "3"}], observed_us=99)
    assert [row["version"] for row in rows] == [99, 3]
    assert bench.rows([GOOD], observed_us=99)[0]["version"] == 99


@pytest.mark.parametrize("native_id", [None, ""])
def test_missing_id(bench: Bench, native_id: str | None) -> None:
    """A record without id is refused where the source has ids."""
    assert bench.row(native_id=native_id)["fault"] == ("native_id", "missing: a record needs its own id", "")


def test_long_ids_and_texts(bench: Bench) -> None:
    """512 characters are an id, 513 are not; a text of a million characters passes, one more does not."""
    assert bench.row(native_id="é" * 512)["fault"] is None
    assert bench.row(native_id="x" * 513)["fault"] == ("native_id", "longer than 512 characters", "x" * 200)
    assert bench.row(description="é" * 1_000_000)["fault"] is None
    for column in ("description", "reference", "attributes", "customer_ref", "counterparty"):
        assert bench.row(**{column: "x" * 1_000_001})["fault"] == (column, "longer than 1000000 characters", "")


@pytest.mark.parametrize("column", ["native_id", "description", "reference", "status", "kind", "invoice_ref"])
def test_nul(bench: Bench, column: str) -> None:
    """A NUL character, which no database keeps faithfully, sends the row to quarantine."""
    fault = bench.row(**{column: "a\x00b"})["fault"]
    assert fault == (column, "contains a NUL character", "")


@pytest.mark.parametrize("kind", [None, ""])
def test_missing_kind(bench: Bench, kind: str | None) -> None:
    """A row must say what it is."""
    rows = bench.rows([{**GOOD, "kind": kind}, {**GOOD, "native_id": "py_2"}])
    assert rows[0]["fault"][0] == "kind"
    assert rows[1]["fault"] is None


def test_tombstone(bench: Bench) -> None:
    """What its source deleted needs no amount."""
    row = bench.row(status="deleted", amount=None, currency=None)
    assert (row["fault"], row["amount_minor"]) == (None, None)


def test_strange_but_good_texts(bench: Bench) -> None:
    """Quotes, separators, emoji, line breaks and right-to-left texts are content like any other."""
    texts = ["O'Neil; DROP TABLE", '"', "a\nb", "\u202eabc", "🏦", "\x1f", "null", "NULL", "\\N", "-1:", "é", "e\u0301"]
    rows = bench.rows([{**GOOD, "native_id": text, "description": text} for text in texts])
    assert all(row["fault"] is None for row in rows)
    assert [row["native_id"] for row in rows] == texts
    assert len({row["digest_a"] for row in rows}) == len({row["id_hash"] for row in rows}) == len(texts)


LINE = {"kind": "bank_line", "amount": "5.00", "currency": "EUR", "date": "2026-03-01", "account": "DE1",
        "description": "coffee"}  # fmt: skip


def test_equal_lines_of_one_day_stay_two(bench: Bench) -> None:
    """Lines without id get one from what the bank printed and the ordinal among equals."""
    rows = bench.rows([LINE, LINE, {**LINE, "amount": "6.00"}], derived_ids=True)
    first, second, third = (row["native_id"] for row in rows)
    assert first.endswith(":1")
    assert second == first[:-1] + "2"
    assert third.endswith(":1")
    assert third != first


def test_derived_ids_follow_content_not_position(bench: Bench) -> None:
    """The same lines in another file, at other places, in any order, have the same ids."""
    lines = [LINE, {**LINE, "description": "tea"}, LINE, {**LINE, "date": "2026-03-02"}]
    here = sorted(row["native_id"] for row in bench.rows(lines, derived_ids=True))
    there = sorted(row["native_id"] for row in bench.rows(lines[::-1], derived_ids=True, lines=[40, 30, 20, 10]))
    assert here == there


@pytest.mark.parametrize("field", ["account", "date", "amount", "currency", "description", "counterparty", "reference"])
def test_derived_ids_tell_lines_apart(bench: Bench, field: str) -> None:
    """Each printed fact makes another line."""
    other = {"amount": "5.01", "currency": "USD", "date": "2026-03-02"}.get(field, "other")
    rows = bench.rows([LINE, {**LINE, field: other}], derived_ids=True)
    assert {row["native_id"][-2:] for row in rows} == {":1"}
    assert len({row["native_id"] for row in rows}) == 2


def test_derived_ids_do_not_confuse_neighbouring_fields(bench: Bench) -> None:
    """Facts are delimited by length: text that moves from one field to the next makes another line."""
    one = {**LINE, "reference": "ab", "counterparty": "c"}
    other = {**LINE, "reference": "a", "counterparty": "bc"}
    assert len({row["native_id"] for row in bench.rows([one, other], derived_ids=True)}) == 2


def test_given_ids_beside_derived_ones(bench: Bench) -> None:
    """A line that has an id keeps it and takes no ordinal; an empty id is none."""
    rows = bench.rows([{**LINE, "native_id": "b1"}, LINE, {**LINE, "native_id": ""}], derived_ids=True)
    assert rows[0]["native_id"] == "b1"
    assert [row["native_id"][-2:] for row in rows[1:]] == [":1", ":2"]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"native_id": st.text(min_size=1, max_size=8), "amount": st.integers(-(10**6), 10**6).map(str)},
            optional={
                "description": st.none() | st.text(max_size=5),
                "reference": st.none() | st.text(max_size=5),
                "fee": st.none() | st.just("0.10"),
                "time": st.none() | st.just("2026-01-01T00:00:00Z"),
            },
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda draft: draft["native_id"],
    )
)
def test_digests_are_a_function_of_content(bench: Bench, drafts: list[dict[str, str | None]]) -> None:
    """Absent columns, columns of nulls, other rows beside, other lines and order: none of it touches a digest."""
    full: list[dict[str, str | None]] = [{**GOOD, **draft} for draft in drafts]
    wide = [dict.fromkeys(DRAFT_COLUMNS) | draft for draft in full]
    together = {row["native_id"]: row for row in bench.rows(full)}
    apart = {row["native_id"]: row for draft in full for row in bench.rows([draft], lines=[5])}
    explicit = {row["native_id"]: row for row in bench.rows(wide[::-1], present=list(DRAFT_COLUMNS))}
    for native_id, row in together.items():
        for other in (apart[native_id], explicit[native_id]):
            assert [row[name] for name in ("digest_a", "digest_b", "id_hash", "fault")] == [
                other[name] for name in ("digest_a", "digest_b", "id_hash", "fault")
            ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["EUR", "JPY", "KWD", "CLF"]),
            st.from_regex(r"[+-]?[0-9]{0,17}(\.[0-9]{0,5})?", fullmatch=True),
        ),
        min_size=1,
        max_size=30,
    )
)  # fmt: skip
def test_amounts_agree_with_the_plain_parser(bench: Bench, cases: list[tuple[str, str]]) -> None:
    """SQL and model/money read every decimal text alike, and refuse alike."""
    drafts = [{**GOOD, "native_id": str(n), "currency": unit, "amount": text} for n, (unit, text) in enumerate(cases)]
    for row in bench.rows(drafts):
        unit, text = cases[int(row["native_id"])]
        try:
            expected: int | None = parse_decimal(text, unit)
        except InputError:
            expected = None
        assert (row["amount_minor"] if row["fault"] is None else None) == expected
        assert row["amount_minor"] is None or row["fault"] or abs(row["amount_minor"]) <= MAX_MINOR


def test_only_the_first_fault_is_told(bench: Bench) -> None:
    """One row, one fault: the first in the order of checks."""
    assert bench.row(native_id="", currency="???", amount="x", date="y")["fault"][0] == "native_id"


def test_measures(bench: Bench) -> None:
    """Rows and sums by currency, faulty ones apart; distinct identities of the good ones."""
    drafts = [
        GOOD,
        {**GOOD, "native_id": "py_2", "amount": "2.00"},
        {**GOOD, "amount": "x"},
        {**GOOD, "currency": None},
    ]
    path = bench.stage(drafts)
    measured = bench.engine.run(staged_measures(), {"staged": [path]}, {}).measured
    assert [(row[0], row[1], row[2], int(str(row[3]))) for row in measured["totals"]] == [
        (False, "EUR", 2, 300),
        (True, "EUR", 1, 0),
        (True, None, 1, 0),
    ]
    assert measured["identities"] == [(2, 2)]
    assert measured["kinds"] == [("payment",)]


def test_missing_columns_of_a_contract(bench: Bench) -> None:
    """Counts of readable rows that lack a required draft column."""
    path = bench.stage([GOOD, {**GOOD, "native_id": "py_2", "reference": "r"}, {**GOOD, "amount": "x"}])
    (counts,) = bench.engine.run(missing_plan(["reference", "amount", "date"]), {"staged": [path]}, {}).measured[
        "missing"
    ]
    assert counts == (1, 0, 0)

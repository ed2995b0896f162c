"""Layouts of real banks and processors, read without any declaration, against what another converter made of them."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tieout.adapters.sources.csv.source import SOURCE
from tieout.model.reading import DraftQuery, Reading, SourceOptions

SHARED = Path(__file__).parents[4] / "shared" / "data"
LAYOUTS = SHARED / "csv2ofx" / "data" / "test"
CONVERTED = SHARED / "csv2ofx" / "data" / "converted"
STATEMENTS = SHARED / "camt-bankstatementparser" / "tests" / "test_data"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not here")

Row = dict[str, object]
Lines = Counter[tuple[str, Decimal]]


def read(path: Path, options: SourceOptions | None = None) -> tuple[list[Row], Reading]:
    reading = SOURCE.read(path, options or SourceOptions())
    assert isinstance(reading.drafts, DraftQuery)
    with duckdb.connect() as connection:
        cursor = connection.execute(reading.drafts.sql, reading.drafts.parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()], reading


def sound(rows: list[Row]) -> list[Row]:
    """The rows whose date and amount the normaliser accepts."""
    return [
        row
        for row in rows
        if re.fullmatch(r"\d{4}-\d\d-\d\d", str(row.get("date")))
        and re.fullmatch(r"[+-]?\d+(\.\d+)?", str(row.get("amount")))
    ]


def lines_of(rows: list[Row]) -> Lines:
    return Counter((str(row["date"]), Decimal(str(row["amount"]))) for row in sound(rows))


def converted(name: str) -> Lines:
    """Dates and amounts of an OFX or QIF file."""
    text = (CONVERTED / name).read_text(encoding="utf-8", errors="replace")
    found: Lines = Counter()
    if name.endswith(".ofx"):
        for block in re.findall(
            r"<(?:STMTTRN|INVBANKTRAN|STMTTRNRS|TRN)>(.*?)</(?:STMTTRN|INVBANKTRAN|TRN)>", text, re.S
        ):
            day = re.search(r"<DTPOSTED>(\d{4})(\d\d)(\d\d)", block)
            amount = re.search(r"<TRNAMT>([-+0-9.]+)", block)
            if day and amount:
                found["-".join(day.groups()), Decimal(amount[1])] += 1
        return found
    for block in text.split("^"):
        day = re.search(r"^D(\d\d/\d\d/\d{4}|\d{4}-\d\d-\d\d)$", block, re.M)
        amount = re.search(r"^T([-+0-9.]+)$", block, re.M)
        if day and amount:
            month, rest = day[1][:2], day[1]
            iso = rest if "-" in rest else f"{rest[6:]}-{month}-{rest[3:5]}"
            found[iso, Decimal(amount[1])] += 1
    return found


SAME = {
    "creditunion.csv": "creditunion.qif",
    "default.csv": "default.ofx",
    "gls.csv": "gls.ofx",
    "mint.csv": "mint.qif",
    "mint_headerless.csv": "mint.qif",
    "mint_extra.csv": "mint.qif",
    "n26-fr.csv": "n26.ofx",
    "outbank.csv": "outbank.ofx",
    "payoneer.csv": "payoneer.ofx",
    "stripe-all.csv": "stripe-all.ofx",
    "stripe-default.csv": "stripe-default.ofx",
    "ubs-ch-fr_trimmed.csv": "ubs-ch-fr.qif",
    "schwab-checking.csv": "schwab-checking.ofx",
    **{f"schwab-checking-baltest-case{n}.csv": f"schwab-checking-baltest-case{n}.ofx" for n in range(1, 8)},
}


@pytest.mark.parametrize(("layout", "other"), SAME.items(), ids=SAME)
def test_dates_amounts_and_signs_agree(layout: str, other: str) -> None:
    rows, reading = read(LAYOUTS / layout)
    expected = converted(other)
    assert expected
    assert lines_of(rows) == expected
    assert reading.rejections == []


def test_every_layout_reads_with_plausible_rows() -> None:
    faulty = {"amazon.csv": 4, "mint_extra.csv": 1}  # pending or cancelled orders; a repeated header
    layouts = sorted(LAYOUTS.glob("*.csv"))
    assert len(layouts) == 25
    for layout in layouts:
        rows, reading = read(layout)
        assert reading.rejections == [], layout.name
        assert len(rows) - len(sound(rows)) == faulty.get(layout.name, 0), layout.name
        assert sound(rows), layout.name
        assert all("2010" < str(row["date"]) < "2026" for row in sound(rows)), layout.name
        assert all(row.get("description") or row.get("counterparty") or row.get("category") for row in sound(rows))


def test_stripe_default_exactly() -> None:
    rows, reading = read(LAYOUTS / "stripe-default.csv")
    assert len(rows) == 5
    assert sum(Decimal(str(row["amount"])) for row in rows) == Decimal("112.50")
    assert {row["currency"] for row in rows} == {"CAD"}
    assert {row["kind"] for row in rows} == {"charge"}
    assert [str(row["native_id"])[:3] for row in rows] == ["ch_"] * 5
    assert [row["fee"] for row in rows] == ["1.03", "1.10", "1.03", "1.03", "0.59"]
    assert rows[4]["invoice_ref"] == "in_1IVREgBI9JK85yVZlJIZTlnT"
    assert rows[4]["customer_ref"] == "cus_J7gbFtFn5aCnnH"
    assert rows[0]["time"] == "2021-02-03T13:12:00.000000Z"
    assert reading.derived_ids is False


def test_card_purchases_need_a_declared_sign() -> None:
    options = SourceOptions(mapping={"amount": {"from": "Amount", "negate": True}}, currency="CAD")
    assert lines_of(read(LAYOUTS / "pcmastercard.csv", options)[0]) == converted("pcmastercard.ofx")
    _, reading = read(LAYOUTS / "pcmastercard.csv")
    assert "declare negate" in reading.inferred["amount"]
    options = SourceOptions(mapping={"amount": {"from": "total", "negate": True}})
    assert converted("amazon.ofx") <= lines_of(read(LAYOUTS / "amazon.csv", options)[0])


def test_the_order_of_days_is_the_columns_not_the_cells() -> None:
    # The other converter read 08/04/2022 as the 4th of August between rows of 24/03 and 31/12.
    rows, _ = read(LAYOUTS / "ingesp.csv")
    ours, theirs = lines_of(rows), converted("ingesp.ofx")
    assert sorted(amount for _, amount in ours.elements()) == sorted(amount for _, amount in theirs.elements())
    assert ours - theirs == Counter({("2022-04-08", Decimal("2.69")): 1})


def test_a_ledger_balances_by_journal() -> None:
    rows, _ = read(LAYOUTS / "xero.csv")
    sums: Counter[str] = Counter()
    for row in rows:
        sums[f"{row['date']} {row['reference']}"] += int(str(row["amount"]))
    assert len(rows) == 13
    assert set(sums.values()) == {0}


def test_balances_of_a_statement_chain() -> None:
    rows, _ = read(LAYOUTS / "schwab-checking.csv")
    balances = [Decimal(re.sub(r"[^0-9.-]", "", str(row["attributes"]))) for row in rows]
    for newer, older, row in zip(balances, balances[1:], rows, strict=False):
        assert newer - older == Decimal(str(row["amount"]))


STATEMENT_SUMS = {
    "golden/csv_european_decimals.csv": ("2260.94", "EUR"),
    "golden/csv_french_headers.csv": ("2260.94", "EUR"),
    "golden/csv_spanish_headers.csv": ("2260.94", "EUR"),
    "sample_split_amounts.csv": ("1050.25", "EUR"),
    "sample_statement.csv": ("1300.00", "EUR"),
}


@pytest.mark.parametrize(("name", "expected"), STATEMENT_SUMS.items(), ids=STATEMENT_SUMS)
def test_statements_in_other_languages(name: str, expected: tuple[str, str]) -> None:
    rows, _ = read(STATEMENTS / name)
    assert (str(sum(Decimal(str(row["amount"])) for row in rows)), rows[0]["currency"]) == expected
    assert {row["kind"] for row in rows} == {"bank_line"}
    assert all(row["reference"] for row in rows)


def test_a_garbled_amount_passes_through() -> None:
    rows, reading = read(STATEMENTS / "golden" / "csv_garbled_amount.csv")
    assert [row["amount"] for row in rows] == ["100.00", "12..34"]
    assert reading.rejections == []

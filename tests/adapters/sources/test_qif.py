"""QIF: what sections and records say, how dates and amounts are understood, what is refused."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.adapters.sources.catalogue import source_for
from tieout.adapters.sources.qif import source as qif
from tieout.adapters.sources.qif.forms import Forms, Survey
from tieout.model.errors import InputError
from tieout.model.reading import Reading, SourceOptions
from tieout.model.record import DRAFT_COLUMNS

FIXTURES = Path(__file__).parent / "fixtures" / "qif"
REAL = Path(__file__).parents[4] / "shared" / "data" / "csv2ofx" / "data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is not here")

Row = dict[str, object]
Writer = Callable[[str | bytes], Path]


def read(path: Path, options: SourceOptions | None = None) -> tuple[list[Row], Reading]:
    """Every draft of a file as a row of what it has, and the reading."""
    reading = qif.SOURCE.read(path, options or SourceOptions())
    rows: list[Row] = []
    assert isinstance(reading.drafts, Iterator)
    for chunk in reading.drafts:
        assert set(chunk) <= {"line", *DRAFT_COLUMNS}
        assert len({len(values) for values in chunk.values()}) == 1
        names = list(chunk)
        rows += [
            {name: value for name, value in zip(names, values, strict=True) if value is not None}
            for values in zip(*chunk.values(), strict=True)
        ]
    return rows, reading


def attributes(row: Row) -> dict[str, object]:
    """A row's attributes, which must be canonical JSON."""
    text = row["attributes"]
    assert isinstance(text, str)
    value = json.loads(text)
    assert text == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert isinstance(value, dict)
    return value


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes a file and gives its path."""

    def _write(text: str | bytes) -> Path:
        path = tmp_path / "statement.qif"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def bank(*records: str) -> str:
    """A bank section of some records, each its fields separated by blanks."""
    return "!Type:Bank\n" + "".join("\n".join([*record.split(" "), "^"]) + "\n" for record in records)


class TestMonthFirst:
    """Account lists, categories, an opening balance, splits, a card and investments."""

    rows, reading = read(FIXTURES / "month_first.qif", SourceOptions(currency="usd"))

    def test_reading(self) -> None:
        assert self.reading.format == "qif"
        assert self.reading.derived_ids
        assert self.reading.rejections == []
        assert self.reading.inferred == {
            "encoding": "utf-8: all bytes are ASCII",
            "date": "mdy: 1 of 5 dates allow no other order",
            "amount": "decimal point",
            "left_out": "investment transactions, which are no booked cash: 1",
            "splits": "records whose splits do not add up, so that their totals were kept: 1",
        }
        assert all(row["kind"] == "bank_line" and "native_id" not in row for row in self.rows)
        assert {row["currency"] for row in self.rows} == {"USD"}

    def test_record(self) -> None:
        row = self.rows[0]
        assert (row["line"], row["date"], row["amount"], row["account"]) == (26, "2026-01-15", "1250.50", "Checking")
        assert (row["counterparty"], row["description"]) == ("Example Customer", "Invoice 7")
        assert (row["category"], row["status"]) == ("Sales", "cleared")
        assert "reference" not in row
        assert attributes(row) == {"address": ["1 Example Road", "Exampleton"]}

    def test_splits_that_add_up(self) -> None:
        row = self.rows[1]
        assert (row["amount"], row["reference"], row["date"]) == ("-50.00", "1001", "2026-02-03")
        assert "category" not in row, "two splits have no one category"
        assert attributes(row) == {
            "splits": [
                {"amount": "-30.00", "category": "Supplies", "memo": "Pens"},
                {"amount": "-20.00", "category": "Postage"},
            ],
            "splits_add_up": True,
        }

    def test_splits_that_do_not_add_up_leave_the_total(self) -> None:
        row = self.rows[2]
        assert (row["amount"], row["category"]) == ("-9.99", "Supplies")
        assert (attributes(row)["splits_add_up"], attributes(row)["other"]) == (False, {"F": "R"})

    def test_statements(self) -> None:
        checking, card = self.reading.statements
        assert (checking.account, checking.currency) == ("Checking", "USD")
        assert (checking.opening, checking.sum, checking.closing, checking.lines) == ("100.00", "1190.51", None, 3)
        assert (checking.from_date, checking.to_date, checking.ties) == ("2026-01-15", "2026-02-04", None)
        assert (card.sum, card.lines) == ("-5.00", 1)


class TestDayFirst:
    """Days first, decimal commas, and rows that fit neither."""

    rows, reading = read(FIXTURES / "day_first.qif")

    def test_forms_are_said(self) -> None:
        assert self.reading.inferred["date"] == "dmy, although 1 of 6 dates contradict it"
        assert self.reading.inferred["amount"] == "decimal comma, although 1 of 6 amounts contradict it"
        assert self.reading.inferred["currency"] == "not in the file: declare currency"

    def test_rows(self) -> None:
        assert [(row["date"], row["amount"]) for row in self.rows] == [
            ("2025-12-31", "-1234.50"),
            ("2026-02-01", "1000.00"),
            ("1999-02-05", "7"),
            ("02.13.2026", "1.00"),
        ]
        assert all("currency" not in row and "account" not in row for row in self.rows)

    def test_rejections_name_line_field_and_text(self) -> None:
        assert [(one.line, one.field, one.text) for one in self.reading.rejections] == [
            (15, "T", "D03.02.2026 T12.50"),
            (18, "D", "T1,00 PNo date"),
            (21, "^", "D04.02.2026 T9,9"),
        ]
        assert self.reading.statements[0].lines == 7


def forms(dates: list[str] | None = None, amounts: list[str] | None = None, currency: str | None = None) -> Forms:
    """The forms that some dates and amounts give away."""
    survey = Survey()
    for text in dates or []:
        survey.add_date(text)
    for text in amounts or []:
        survey.add_amount(text)
    return survey.forms(None, None, currency)


@pytest.mark.parametrize(
    ("dates", "currency", "order"),
    [
        (["13/01/26"], None, "dmy: 1 of 1 dates allow no other order"),
        (["1/13/26"], "EUR", "mdy: 1 of 1 dates allow no other order"),
        (["1/2/26"], None, "mdy assumed"),
        (["1/2/26"], "GBP", "dmy assumed"),
        (["1.2.26"], None, "dmy assumed"),
        (["1/2/26", "2/2/26", "3/2/26", "4/2/26", "5/2/26", "1/3/26"], None, "dmy: ambiguous, but only so"),
        (["2/1/26", "2/2/26", "2/3/26", "2/4/26", "2/5/26", "3/1/26"], "EUR", "mdy: ambiguous, but only so"),
        (["2026-01-02", "soon"], None, "no date leaves its order open"),
    ],
)
def test_date_order(dates: list[str], currency: str | None, order: str) -> None:
    found = forms(dates, currency=currency)
    assert found.date_evidence.startswith(order)
    if order[:3] in ("dmy", "mdy"):
        assert found.date_order == order[:3]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1/ 5'04", "2004-01-05"), ("1/5' 4", "2004-01-05"), ("01/05/2004", "2004-01-05"), ("8/25/93", "1993-08-25"),
        ("1-5-69", "2069-01-05"), ("1.5.70", "1970-01-05"), ("1/5'93", "2093-01-05"), ("2026-03-02", "2026-03-02"),
        ("2026/3/2", "2026-03-02"), ("20260302", "2026-03-02"), ("13/5/26", "13/5/26"), ("2/30/26", "2/30/26"),
        ("202633", "202633"), ("1/5/123", "1/5/123"), ("today", "today"), ("", ""), (None, None),
    ],
)  # fmt: skip
def test_day_month_first(text: str | None, day: str | None) -> None:
    assert forms(["1/31/26"]).day_of(text) == day


def test_day_in_other_orders() -> None:
    assert Forms("dmy", "", ".", "").day_of("5/1'04") == "2004-01-05"
    assert Forms("ymd", "", ".", "").day_of("04/1/5") == "2004-01-05"
    assert Forms("ymd", "", ".", "").day_of("04/1/2005") == "04/1/2005"


@pytest.mark.parametrize(
    ("decimal", "text", "value"),
    [
        (".", "1,234,567.89", "1234567.89"), (".", "1,000", "1000"), (".", "-5", "-5"), (".", "+5.", "5"),
        (".", ".5", "0.5"), (".", "1'234.50", "1234.50"), (".", "1 234.50", "1234.50"), (".", "12,50", None),
        (".", "1.234,50", None), (".", "1,2345", None), (".", "1,00,000.00", "100000.00"), (".", "1,23'456", None),
        (",", "1.234,50", "1234.50"), (",", "1.000", "1000"), (",", "12.50", None), (",", "-0,5", "-0.5"),
        (".", "$5", None), (".", "1_000", None), (".", "１", None), (".", "1e3", None), (".", "NaN", None),
        (".", "5.00-", None), (".", "(5.00)", None), (".", "", None), (".", "9" * 41, None), (".", "- 5", "-5"),
    ],
)  # fmt: skip
def test_amount(decimal: str, text: str, value: str | None) -> None:
    assert Forms("mdy", "", decimal, "").amount_of(text) == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    ("amounts", "decimal", "evidence"),
    [
        (["1.000,50", "3"], ",", "decimal comma"),
        (["1,5"], ",", "decimal comma"),
        (["1,000", "2.50"], ".", "decimal point"),
        (["1,000,000"], ".", "decimal point"),
        (["1.000"], ".", "decimal point assumed: three digits"),
        (["5"], ".", "whole numbers only"),
        (["0,500"], ",", "decimal comma"),
    ],
)
def test_decimal_mark(amounts: list[str], decimal: str, evidence: str) -> None:
    found = forms(amounts=amounts)
    assert found.decimal == decimal
    assert found.decimal_evidence.startswith(evidence)


class TestSettings:
    """What the file cannot say may be declared."""

    def test_order_mark_account_and_encoding(self, write: Writer) -> None:
        settings = {"date_order": "dmy", "decimal": ",", "account": "Giro", "encoding": "cp1252"}
        path = write("!Type:Bank\nD1/2/26\nT1.000\nPBäcker\n^\n".encode("cp1252"))
        rows, reading = read(path, SourceOptions(settings=settings, currency="EUR"))
        assert (rows[0]["date"], rows[0]["amount"], rows[0]["account"]) == ("2026-02-01", "1000", "Giro")
        assert rows[0]["counterparty"] == "Bäcker"
        assert reading.inferred["date"] == "dmy as declared"

    def test_order_that_the_file_states(self, write: Writer) -> None:
        assert read(write("!Option:DMY\n" + bank("D1/2/26 T1")))[0][0]["date"] == "2026-02-01"

    @pytest.mark.parametrize("settings", [{"dateorder": "dmy"}, {"date_order": "ydm"}, {"decimal": ";"}])
    def test_unknown(self, write: Writer, settings: dict[str, object]) -> None:
        with pytest.raises(InputError) as caught:
            read(write(bank("D1/2/26 T1")), SourceOptions(settings=settings))
        assert caught.value.place.field == f"settings.{next(iter(settings))}"


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ("T1.00", "D"), ("D T1.00", "D"), ("D1/2/26 T1..0", "T"), ("D1/2/26 T1.00 U2.00", "T"),
        ("D1/2/26 T1 Pa\0b", "P"),
    ],
)  # fmt: skip
def test_record_that_cannot_be_a_line_is_rejected(write: Writer, record: str, field: str) -> None:
    rows, reading = read(write(bank(record)))
    assert rows == []
    assert [(one.line, one.field) for one in reading.rejections] == [(2, field)]


def test_record_without_amount_is_left_to_the_normaliser(write: Writer) -> None:
    rows, reading = read(write(bank("D1/2/26 Px")))
    assert ("amount" in rows[0], reading.rejections) == (False, [])


def test_record_cut_off_by_a_header_is_rejected(write: Writer) -> None:
    _, reading = read(write("!Type:Bank\nD1/2/26\nT1\n!Type:Cash\nD1/2/26\nT2\n^\n"))
    assert [(one.line, one.field) for one in reading.rejections] == [(2, "^")]
    assert [(one.lines, one.sum) for one in reading.statements] == [(1, "0"), (1, "2")]


def test_row_with_bytes_of_no_text_is_rejected(write: Writer) -> None:
    text = bank("D1/2/26 T1 Pä") + bank("D1/2/26 T1 Pö") + bank("D1/2/26 T2 P~")
    rows, reading = read(write(text.encode().replace(b"~", b"\xff")))
    assert len(rows) == 2
    assert [one.text for one in reading.rejections] == ["D1/2/26 T2 P�"]


def test_unknown_section_is_rejected_and_lists_are_not(write: Writer) -> None:
    rows, reading = read(write("!Type:Banque\nD1/2/26\nT1\n^\n!Type:Class\nNx\n^\n" + bank("D1/2/26 T1")))
    assert len(rows) == 1
    assert [(one.line, one.field, one.text) for one in reading.rejections] == [(1, "!Type", "type:banque")]


def test_opening_balance_counts_only_as_the_first_record_of_its_own_account(write: Writer) -> None:
    opening = "D1/2/26\nT5.00\nPOpening Balance\nL[Mine]\n^\n"
    other = "D1/2/26\nT5.00\nPOpening Balance\nLSavings\n^\n"
    rows, reading = read(write("!Type:Bank\n" + opening + opening + other))
    assert [row.get("category") for row in rows] == ["[Mine]", "Savings"]
    assert [(one.account, one.opening, one.sum) for one in reading.statements] == [("Mine", "5.00", "10.00")]


def test_amount_finer_than_the_currency_stays_out_of_the_sum(write: Writer) -> None:
    _, reading = read(write(bank("D1/2/26 T1.005", "D1/2/26 T2.00")), SourceOptions(currency="EUR"))
    assert reading.statements[0].sum == "2.00"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_line_ends_and_final_control_z(write: Writer, line_end: str) -> None:
    text = ("\ufeff" + bank("D1/2/26 T1", "D1/3/26 T2") + "\x1a").replace("\n", line_end)
    rows, reading = read(write(text))
    assert ([row["line"] for row in rows], reading.rejections) == ([2, 5], [])


@pytest.mark.parametrize("text", ["", "\n\n", "D1/2/26\nT1\n^\n", "date,amount\n", "!\n", "!!!"])
def test_without_a_header_refused(write: Writer, text: str) -> None:
    with pytest.raises(InputError, match="no QIF header"):
        read(write(text))


def test_endless_record_is_refused(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qif, "RECORD_FIELDS", 1_000)
    with pytest.raises(InputError, match="no end") as caught:
        read(write("!Type:Bank\n" + "Sa\n" * 2_000))
    assert caught.value.place.line == 1_003


def test_long_list_of_splits_says_what_it_leaves_out(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qif, "SPLITS_CHARACTERS", 40)
    rows, _ = read(write(bank("D1/2/26 T5.00 " + " ".join(["Sa $1.00"] * 5))))
    found = attributes(rows[0])
    assert isinstance(found["splits"], list)
    assert len(found["splits"]) + int(str(found["splits_left_out"])) == 5
    assert found["splits_add_up"] is True


@pytest.mark.parametrize(
    ("head", "score"),
    [
        (b"!Type:Bank\n", 95), (b"\xef\xbb\xbf!type:ccard", 95), (b"\n!Account\nNx\n", 95), (b"!Option:AutoSwitch", 95),
        ("!Type:Bank\n".encode("utf-16"), 95), (b"!important", 0), (b"Type:Bank", 0), (b"", 0),
    ],
)  # fmt: skip
def test_sniff(head: bytes, score: int) -> None:
    assert qif.SOURCE.sniff(head, "any") == score


@dataclass(frozen=True)
class Entry:
    """One random record."""

    day: date
    amount: Decimal
    payee: str
    memo: str
    number: str


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp", "Cf")), max_size=20).map(
    str.strip
)
_ENTRIES = st.builds(
    Entry,
    st.dates(date(1971, 1, 1), date(2069, 12, 31)),
    st.decimals(-(10**9), 10**9, places=2),
    _TEXT.filter(lambda text: text.lower() != "opening balance"),
    _TEXT,
    st.text("0123456789AB", max_size=8),
)
_ORDERS = {"mdy": "%m/%d/%Y", "dmy": "%d/%m/%Y", "ymd": "%Y-%m-%d"}


def _grouped(amount: Decimal, decimal: str) -> str:
    text = f"{amount:,.2f}"
    return text if decimal == "." else text.translate(str.maketrans(",.", ".,"))


@given(
    st.lists(_ENTRIES, max_size=8),
    st.sampled_from(sorted(_ORDERS)),
    st.sampled_from([".", ","]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_back(entries: list[Entry], order: str, decimal: str, line_end: str) -> None:
    """Each file carries a last record that leaves no doubt of order and mark."""
    entries = [*entries, Entry(date(2026, 1, 31), Decimal("1.50"), "last", "", "")]
    lines = ["!Type:Bank"]
    for entry in entries:
        lines += [f"D{entry.day.strftime(_ORDERS[order])}", f"T{_grouped(entry.amount, decimal)}", f"P{entry.payee}"]
        lines += [f"M{entry.memo}", f"N{entry.number}", "^"]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "random.qif"
        path.write_bytes((line_end.join(lines) + line_end).encode())
        rows, reading = read(path, SourceOptions(currency="EUR"))
    assert reading.rejections == []
    found = [
        (
            row["date"],
            Decimal(str(row["amount"])),
            *(row.get(name, "") for name in ("counterparty", "description", "reference")),
        )
        for row in rows
    ]
    assert found == [(entry.day.isoformat(), entry.amount, entry.payee, entry.memo, entry.number) for entry in entries]
    assert Decimal(reading.statements[0].sum) == sum((entry.amount for entry in entries), Decimal(0))


@given(st.dates(date(2000, 1, 1), date(2068, 12, 31)), st.sampled_from(["mdy", "dmy"]))
def test_order_of_a_run_of_days_is_found(start: date, order: str) -> None:
    days = [start + timedelta(days=number) for number in range(31)]
    found = forms([day.strftime(_ORDERS[order]) for day in days])
    assert [found.day_of(day.strftime(_ORDERS[order])) for day in days] == [day.isoformat() for day in days]


_SEEDS = [path.read_bytes() for path in sorted(FIXTURES.iterdir())]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_mutated_bytes_never_crash(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(_SEEDS)))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(content) - 1))
        end = min(len(content), start + data.draw(st.integers(0, 12)))
        content[start:end] = data.draw(
            st.binary(max_size=12) | st.sampled_from([b"\n^\n", b"\n!Type:Bank\n", b"\nD", b"\n$"])
        )
        if not content:
            return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "mutated.qif"
        path.write_bytes(bytes(content))
        try:
            rows, reading = read(path, SourceOptions(currency="EUR"))
        except InputError:
            return
    for row in [*rows, reading.inferred]:
        for value in row.values():
            str(value).encode("utf-8")
    for rejection in reading.rejections:
        (rejection.field + rejection.reason + rejection.text).encode("utf-8")
    for statement in reading.statements:
        (statement.account + statement.statement_id).encode("utf-8")
        Decimal(statement.sum)


@needs_real_data
class TestRealFiles:
    """Files of another project: what it converted from CSV, read back."""

    def test_every_file_is_read(self) -> None:
        paths = sorted((REAL / "converted").glob("*.qif"))
        assert len(paths) == 10
        for path in paths:
            rows, reading = read(path, SourceOptions(currency="EUR"))
            assert len(rows) == path.read_text().count("\nT") - path.read_text().count(
                "TBank\n"
            ) - path.read_text().count("TCash\n")
            assert reading.rejections == []
            assert reading.inferred["amount"] == "decimal point"
            assert source_for(path).name == "qif"
            assert all(str(row["date"])[:2] == "20" and len(str(row["date"])) == 10 for row in rows)

    def test_two_accounts(self) -> None:
        rows, reading = read(REAL / "converted" / "default.qif")
        assert [(one.account, one.sum, one.lines) for one in reading.statements] == [
            ("Cash", "95000.00", 2),
            ("Checking", "370000.00", 6),
        ]
        assert (rows[0]["reference"], rows[0]["counterparty"]) == ("INV-7", "Tchênzema Tchênzema")
        assert rows[0]["date"] == "2015-03-24"

    def test_splits(self) -> None:
        rows, _ = read(REAL / "converted" / "xero.qif")
        assert attributes(rows[0])["splits"] == [
            {"amount": "113000.00", "category": "Cash", "memo": "Bicycle Office"},
            {"amount": "36000.00", "category": "Cash", "memo": "Charger Office"},
        ]
        assert all(attributes(row)["splits_add_up"] for row in rows)

    def test_investments_are_counted_and_left_out(self) -> None:
        rows, reading = read(REAL / "example" / "investment_example.qif")
        assert (rows, reading.rejections) == ([], [])
        assert reading.inferred["left_out"] == "investment transactions, which are no booked cash: 2"

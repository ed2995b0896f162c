"""BAI2: what details and accounts say, control totals, what is refused, and records on any kind of lines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.adapters.sources.bai2 import records as bai2_records
from tieout.adapters.sources.bai2 import source as bai2
from tieout.adapters.sources.bai2.fields import day_of, sign_of
from tieout.adapters.sources.catalogue import source_for
from tieout.model.errors import InputError
from tieout.model.reading import Reading, SourceOptions
from tieout.model.record import DRAFT_COLUMNS

FIXTURES = Path(__file__).parent / "fixtures" / "bai2"
REAL = Path(__file__).parents[4] / "shared" / "data" / "bai2-moov" / "test" / "testdata"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is not here")

Row = dict[str, object]
Writer = Callable[[str | bytes], Path]


def read(path: Path, options: SourceOptions | None = None) -> tuple[list[Row], Reading]:
    """Every draft of a file as a row of what it has, and the reading."""
    reading = bai2.SOURCE.read(path, options or SourceOptions())
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
        path = tmp_path / "report.bai2"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def report(details: str, account: str = "03,1,USD,,,,/", group: str = "02,C,B,1,260301,2400,USD,2/") -> str:
    """One account around some details, with the control totals that belong to it (of details on one line each)."""
    lines = details.splitlines()
    total = sum(int(found) for found in re.findall(r"^16,[0-9]{3},([0-9]+)\b", details, re.MULTILINE))
    count = len(lines) + 2
    start = f"01,B,C,260302,0800,1,,,2/\n{group}\n{account}\n"
    middle = "".join(f"{line}\n" for line in lines)
    return f"{start}{middle}49,{total},{count}/\n98,{total},1,{count + 2}/\n99,{total},1,{count + 4}/\n"


class TestReport:
    """Two accounts in two currencies with every kind of availability."""

    rows, reading = read(FIXTURES / "report.bai2")

    def test_reading(self) -> None:
        assert self.reading.format == "bai2"
        assert self.reading.derived_ids
        assert self.reading.rejections == []
        assert self.reading.inferred == {
            "encoding": "utf-8: all bytes are ASCII",
            "controls": "10 of 10 control totals and counts agree",
        }
        assert all(row["kind"] == "bank_line" and "native_id" not in row for row in self.rows)

    def test_credit_with_value_date_references_and_text_over_two_records(self) -> None:
        row = self.rows[0]
        assert (row["line"], row["date"], row["account"]) == (5, "2026-03-01", "DE-1")
        assert (row["amount"], row["currency"], row["category"]) == ("50.00", "EUR", "195")
        assert row["description"] == "WIRE IN 03/01/26, EXAMPLE AG SECOND LINE"
        assert row["reference"] == "CUST/1"
        assert attributes(row) == {
            "bank_reference": "BANK-1",
            "customer_reference": "CUST/1",
            "value_date": "2026-03-03",
            "value_time": "1200",
        }

    def test_debit_with_distributed_availability(self) -> None:
        row = self.rows[1]
        assert (row["amount"], row["reference"], row["description"]) == ("-4.50", "1001", "CHECK PAID")
        assert attributes(row)["availability"] == [
            {"amount_minor": "400", "days": "0"},
            {"amount_minor": "50", "days": "1"},
        ]

    def test_account_currency_goes_before_the_group_and_decides_the_decimals(self) -> None:
        row = self.rows[2]
        assert (row["amount"], row["currency"]) == ("-5", "JPY")
        assert "reference" not in row, "zeros identify nothing"
        assert attributes(row) == {"customer_reference": "0000"}

    def test_accounts_are_statements_that_tie(self) -> None:
        first, second = self.reading.statements
        assert (first.statement_id, first.account, first.currency) == ("DE-1/2026-03-01", "DE-1", "EUR")
        assert (first.opening, first.sum, first.closing, first.ties) == ("1000.00", "45.50", "1045.50", True)
        assert (first.lines, first.sequence, first.from_date, first.to_date) == (2, "7", "2026-03-01", "2026-03-01")
        assert (second.opening, second.sum, second.closing, second.ties) == ("0", "-5", "-5", True)


@pytest.mark.parametrize(
    ("code", "sign"),
    [
        ("100", 1), ("108", 1), ("399", 1), ("400", -1), ("409", -1), ("699", -1), ("721", 1), ("760", -1),
        ("920", 1), ("959", 1), ("960", -1), ("999", -1), ("010", None), ("099", None), ("701", None), ("890", None),
        ("900", None), ("919", None),
    ],
)  # fmt: skip
def test_direction_of_a_type(code: str, sign: int | None) -> None:
    assert sign_of(code) == sign


@pytest.mark.parametrize(
    ("text", "day"),
    [("260301", "2026-03-01"), ("800101", "1980-01-01"), ("791231", "2079-12-31"), ("260230", "260230"), ("", "")],
)
def test_day(text: str, day: str) -> None:
    assert day_of(text) == day


@pytest.mark.parametrize(
    ("detail", "found"),
    [
        ("16,195,1,Z,,,T/", {"description": "T"}),
        ("16,195,1,,,,/", {}),
        ("16,195,1", {}),
        ("16,195,1,0,BANK,CUST,T,U/", {"reference": "CUST", "description": "T,U"}),
        ("16,195,1,1,BANK,,T", {"reference": "BANK", "description": "T"}),
        ("16,195,1,2,,00,T/U/", {"description": "T/U"}),
        ("16,195,1,S,1,2,3,B,C,T/", {"reference": "C", "description": "T"}),
        ("16,195,1,s,,,,B,C,T/", {"reference": "C", "description": "T"}),
        ("16,195,1,V,260303,,B,C,T/", {"reference": "C", "description": "T"}),
        ("16,195,1,D,0,B,C,T/", {"reference": "C", "description": "T"}),
        ("16,195,1,D,1,5,1,B,C,T/", {"reference": "C", "description": "T"}),
        ("16,195,1,V/\n88,260303,1200,B,C/\n88,T/", {"reference": "C", "description": "T"}),
        ("16,195,1,Z,B/\n88,C/\n88,T, AND/\n88,MORE", {"reference": "C", "description": "T, AND MORE"}),
        ("16,195,1,Z,,,T\nGOES ON, 16 TIMES\nTO HERE/\n88,END", {"description": "T GOES ON, 16 TIMES TO HERE END"}),
        ("16,195,1,Z,,,88:X\n88:Y", {"description": "88:X 88:Y"}),
    ],
)
def test_fields_of_a_detail(write: Writer, detail: str, found: Row) -> None:
    rows, reading = read(write(report(detail)))
    expected = {"line": 4, "kind": "bank_line", "date": "2026-03-01", "amount": "0.01", "currency": "USD"}
    expected |= {"category": "195", "account": "1", **found}
    assert [{name: value for name, value in row.items() if name != "attributes"} for row in rows] == [expected]
    assert all("number of records" in one.field for one in reading.rejections)


@pytest.mark.parametrize(
    ("detail", "field"),
    [
        ("16,195,1,Q,,,T/", "funds_type"),
        ("16,195,1,D,x,,,T/", "funds_type"),
        ("16,1A5,1,Z,,,T/", "type_code"),
        ("16,010,1,Z,,,T/", "type_code"),
        ("16,701,1,Z,,,T/", "type_code"),
        ("16,195,-1,Z,,,T/", "amount"),
        ("16,195,+1,Z,,,T/", "amount"),
        ("16,195,1.00,Z,,,T/", "amount"),
        ("16,195,1_0,Z,,,T/", "amount"),
        ("16,195,１,Z,,,T/", "amount"),
        ("16,195,1,Z,,,T\0/", "16"),
    ],
)
def test_detail_that_cannot_be_a_line_is_rejected(write: Writer, detail: str, field: str) -> None:
    rows, reading = read(write(report(detail)))
    assert rows == []
    found = [one for one in reading.rejections if "control" not in one.field]
    assert [(one.line, one.field) for one in found] == [(4, field)]
    assert (reading.statements[0].sum, reading.statements[0].lines) == ("0.00", 1)


def test_unknown_currency_is_rejected_as_its_decimals_are_not_known(write: Writer) -> None:
    rows, reading = read(write(report("16,195,1,Z,,,T/", account="03,1,XYZ,010,5,,/")))
    assert rows == []
    assert reading.rejections[0].field == "currency"
    assert (reading.statements[0].currency, reading.statements[0].opening) == ("XYZ", None)


def test_details_without_money_are_counted(write: Writer) -> None:
    rows, reading = read(write(report("16,890,,,,,NOTE/\n16,195,,Z,,,T/")))
    assert [("amount" in row, row["description"]) for row in rows] == [(False, "T")]
    assert reading.inferred["left_out"] == "details without money (type 890): 1"
    assert reading.statements[0].lines == 1


def test_currency_where_nothing_names_one(write: Writer) -> None:
    text = report("16,195,150,Z,,,T/", account="03,1,,,,,/", group="02,C,B,1,260301,2400,,2/")
    rows, reading = read(write(text))
    assert (rows[0]["currency"], rows[0]["amount"]) == ("USD", "1.50")
    assert reading.inferred["currency"] == "USD where neither account nor group names one"
    assert read(write(text), SourceOptions(currency="kwd"))[0][0]["amount"] == "0.150"


@pytest.mark.parametrize(("status", "reason"), [("2", "withdraws"), ("4", "test")])
def test_details_of_groups_that_are_no_report_are_rejected(write: Writer, status: str, reason: str) -> None:
    rows, reading = read(write(report("16,195,1,Z,,,T/", group=f"02,C,B,{status},260301,2400,USD,2/")))
    assert (rows, reading.statements) == ([], [])
    assert reason in reading.rejections[0].reason


def test_correction_is_read_and_said(write: Writer) -> None:
    rows, reading = read(write(report("16,195,1,Z,,,T/", group="02,C,B,3,260301,2400,USD,2/")))
    assert len(rows) == 1
    assert reading.inferred["corrections"] == "groups that correct what was reported before: 1"


def test_group_without_a_day_gives_no_lines_and_an_impossible_day_is_passed_through(write: Writer) -> None:
    rows, reading = read(write(report("16,195,1,Z,,,T/", group="02,C,B,1,,2400,USD,2/")))
    assert (rows, reading.rejections[0].field) == ([], "02")
    rows, reading = read(write(report("16,195,1,Z,,,T/", group="02,C,B,1,260230,2400,USD,2/")))
    assert (rows[0]["date"], reading.statements[0].to_date) == ("260230", None)


def test_summaries_that_cannot_be_read_are_a_rejection_and_keep_what_stood_before(write: Writer) -> None:
    _, reading = read(write(report("16,195,1,Z,,,T/", account="03,1,USD,010,100,,,01,5,,,015,101,,/")))
    assert reading.rejections[0].field == "03"
    assert (reading.statements[0].opening, reading.statements[0].closing) == ("1.00", None)


class TestControls:
    """Totals and counts that do not agree are rejections that name the account, group or file, and both numbers."""

    good = report("16,195,150,Z,,,T/\n16,475,50,Z,,,U/")

    def faults(self, write: Writer, old: str, new: str) -> list[tuple[int | None, str, str]]:
        assert old in self.good
        rows, reading = read(write(self.good.replace(old, new)))
        assert len(rows) + sum(one.field[:2] not in ("49", "98", "99") for one in reading.rejections) == 2
        failed = len(reading.rejections)
        assert reading.inferred["controls"] == f"{8 - failed} of 8 control totals and counts agree"
        return [(one.line, one.field, one.reason) for one in reading.rejections]

    @pytest.mark.parametrize(
        ("old", "new", "line", "field", "reason"),
        [
            ("16,195,150", "16,195,151", 6, "49 control total",
             "account 1: control total does not agree: stated 200, found 201"),
            ("49,200,4", "49,200,5", 6, "49 number of records",
             "account 1: number of records does not agree: stated 5, found 4"),
            ("98,200", "98,2000", 7, "98 control total",
             "group of 2026-03-01: control total does not agree: stated 2000, found 200"),
            ("98,200,1", "98,200,2", 7, "98 number of accounts",
             "group of 2026-03-01: number of accounts does not agree: stated 2, found 1"),
            ("99,200,1,8", "99,200,1,9", 8, "99 number of records",
             "file: number of records does not agree: stated 9, found 8"),
            ("99,200,1", "99,200,", 8, "99 number of groups",
             "file: number of groups does not agree: stated nothing, found 1"),
        ],
    )  # fmt: skip
    def test_fault(self, write: Writer, old: str, new: str, line: int, field: str, reason: str) -> None:
        assert (line, field, reason) in self.faults(write, old, new)

    def test_one_fault_is_reported_where_it_is_and_at_most_one_level_up(self, write: Writer) -> None:
        assert len(self.faults(write, "16,195,150", "16,195,151")) == 1
        assert len(self.faults(write, "98,200", "98,2000")) == 2

    def test_missing_detail_shows_twice(self, write: Writer) -> None:
        rows, reading = read(write(self.good.replace("16,475,50,Z,,,U/\n", "")))
        assert (len(rows), [one.field for one in reading.rejections]) == (
            1,
            ["49 control total", "49 number of records"],
        )


class TestRefusals:
    """What cannot be framed is refused whole, naming the line."""

    good = report("16,195,150,Z,,,T/")

    @pytest.mark.parametrize(
        ("text", "message", "line"),
        [
            ("", "holds no record", None),
            ("hello", "does not begin with a BAI2 record", 1),
            ("00,B,C,260302/", "does not begin with a BAI2 record", 1),
            ("88,TEXT/", "does not begin with a BAI2 record", 1),
            (good.partition("\n")[2], r"02 \(group header\) where a file header", 1),
            (good.replace("03,1,USD,,,,/\n", ""), r"16 \(transaction\) after a record 02", 3),
            (good.replace("49,", "98,", 1), r"98 \(group trailer\) after a record 16", 5),
            (good.rpartition("99,")[0], r"ends after a record 98 \(group trailer\)", 6),
            (good.partition("49,")[0], r"ends after a record 16 \(transaction\)", 4),
            (good + "16,195,1/\n", r"16 \(transaction\) after a record 99", 8),
            (good.replace("16,195", "17,195"), "not a BAI2 record, nor the text of one", 4),
            (good.replace("T/\n", "T/\nlost\n"), "not a BAI2 record, nor the text of one", 5),
            (good.replace(",,,2/", ",,,3/"), "BAI version '3' is not read", 1),
        ],
    )
    def test_refused(self, write: Writer, text: str, message: str, line: int | None) -> None:
        with pytest.raises(InputError, match=message) as caught:
            read(write(text))
        assert caught.value.place.line == line
        assert caught.value.hint

    def test_endless_record(self, write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bai2_records, "RECORD_LINES", 100)
        with pytest.raises(InputError, match="does not end"):
            read(write(report("16,195,1,Z,,,T/\n" + "88,T/\n" * 200)))

    def test_endless_line(self, write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bai2_records, "RECORD_CHARACTERS", 1_000_000)
        with pytest.raises(InputError, match="million characters"):
            read(write(report("16,195,1,Z,,,T" + "x" * 3_000_000)))


class TestLines:
    """The same records on other physical lines."""

    text = report("16,195,150,V,260303,,B/1,C,SLASH 08/16,2023 AND/88 IN TEXT/\n16,475,50,Z,,,U/")
    expected = read(FIXTURES / "report.bai2")

    def plain(self, write: Writer, text: str) -> tuple[list[Row], list[object]]:
        rows, reading = read(write(text))
        assert reading.rejections == []
        return [{k: v for k, v in row.items() if k != "line"} for row in rows], list(reading.statements)

    @pytest.mark.parametrize("joint", ["", " ", "     ", "\r\n", "\r", "\n\n", "   \n"])
    def test_other_joints(self, write: Writer, joint: str) -> None:
        whole = self.plain(write, self.text)
        assert whole[0][0]["description"] == "SLASH 08/16,2023 AND/88 IN TEXT"
        assert self.plain(write, self.text.replace("/\n", f"/{joint}")) == whole

    def test_everything_on_one_long_line(self, write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bai2_records, "_LONG_LINE", 100)
        monkeypatch.setattr(bai2_records, "BLOCK_CHARACTERS", 64)
        details = "\n".join(f"16,475,{number},Z,B{number},,TEXT {number}/" for number in range(1, 200))
        assert self.plain(write, report(details).replace("\n", "   ")) == self.plain(write, report(details))

    def test_padded_lines_byte_order_mark_and_control_z(self, write: Writer) -> None:
        padded = "\ufeff" + "".join(f"{line:<100}\n" for line in self.text.splitlines()) + "\x1a"
        assert self.plain(write, padded) == self.plain(write, self.text)

    def test_blocks_cut_anywhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for characters in range(1, 40):
            monkeypatch.setattr(bai2_records, "BLOCK_CHARACTERS", characters)
            rows, reading = read(FIXTURES / "report.bai2")
            assert (rows, reading.statements) == (self.expected[0], self.expected[1].statements)

    def test_two_files_in_one(self, write: Writer) -> None:
        rows, reading = read(write(self.text * 2))
        assert (len(rows), len(reading.statements), reading.rejections) == (4, 2, [])


@pytest.mark.parametrize("hostile", ["/", "/ ", "/88,", "/16,", "\n", "x\n", "88,x\n", ",", "/ 03,", "/49,1,"])
def test_hostile_repetition_takes_linear_time(write: Writer, hostile: str) -> None:
    with suppress(InputError):
        read(write(report("16,195,1,Z,,,T") + "16,195,1,Z,,," + hostile * 100_000))
    with suppress(InputError):
        read(write(report("16,195,1,Z,,,T" + hostile * 100_000)))


@pytest.mark.parametrize(
    ("head", "score"),
    [
        (b"01,BANK,CUSTOMER,260302,0800,1,80,,2/\r\n02,", 95),
        (b"\xef\xbb\xbf01,B,C,260302,0800,1,,,2/   02,", 95),
        (b"01,B,C,260302,0800,1/\n02,C,B,1,260301", 70),
        (b"01,B,C,260302,0800,1,80,,3/\n02,", 70),
        (b"01,02,03,04\n05,06,07,08\n", 0),
        (b"00,B,C,260302,0800,1,,,2/", 0),
        (b"", 0),
    ],
)
def test_sniff(head: bytes, score: int) -> None:
    assert bai2.SOURCE.sniff(head, "any") == score


@dataclass(frozen=True)
class Entry:
    """One random detail."""

    code: str
    amount_minor: int
    bank: str
    customer: str
    text: str
    funds: str


_REFERENCE = st.text("ABC123-/.", max_size=10).map(lambda text: text.rstrip("/ "))
_TEXT = (
    st.text("ABCabc 0123456789,.;:'-/é", max_size=40)
    .map(lambda text: text.strip(" /"))
    .filter(lambda text: not re.search(r"/ *[0-9]{2},", text))
)
_ENTRIES = st.builds(
    Entry,
    st.sampled_from(["108", "195", "399", "409", "475", "699", "925", "965"]),
    st.integers(0, 10**12),
    _REFERENCE,
    _REFERENCE,
    _TEXT,
    st.sampled_from(["", "Z", "0", "S,1,2,3", "V,260303,", "D,2,0,1,1,2"]),
)
_EXPONENTS = {"USD": 2, "JPY": 0, "KWD": 3}


def _signed(entry: Entry, currency: str) -> Decimal:
    sign = 1 if entry.code in ("108", "195", "399", "925") else -1
    return sign * Decimal(entry.amount_minor).scaleb(-_EXPONENTS[currency])


@given(
    st.lists(_ENTRIES, max_size=8),
    st.sampled_from(sorted(_EXPONENTS)),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "  "]),
)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_back(entries: list[Entry], currency: str, splits: bool, line_end: str) -> None:
    details = [
        f"16,{one.code},{one.amount_minor},{one.funds},{one.bank},{one.customer}"
        + ("/\n88," if splits else ",")
        + one.text
        for one in entries
    ]
    opening = 1_000
    total = opening + sum(one.amount_minor for one in entries)
    count = 2 + len(entries) * (2 if splits else 1)
    lines = ["01,B,C,260302,0800,1,,,2", f"02,C,B,1,260301,2400,{currency},2", f"03,ACC,,010,{opening},,", *details]
    lines += [f"49,{total},{count}", f"98,{total},1,{count + 2}", f"99,{total},1,{count + 4}"]
    content = "".join(f"{line}/\n" for line in lines).replace("\n", line_end)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "random.bai2"
        path.write_bytes(content.encode())
        rows, reading = read(path)
    assert reading.rejections == []
    found = [(row["category"], Decimal(str(row["amount"])), row.get("description", "")) for row in rows]
    assert found == [(one.code, _signed(one, currency), one.text) for one in entries]
    references = [(attributes(row) if "attributes" in row else {}) for row in rows]
    assert [(one.get("bank_reference", ""), one.get("customer_reference", "")) for one in references] == [
        (one.bank, one.customer) for one in entries
    ]
    (statement,) = reading.statements
    assert Decimal(statement.sum) == sum((_signed(one, currency) for one in entries), Decimal(0))
    assert Decimal(statement.opening or "") == Decimal(opening).scaleb(-_EXPONENTS[currency])


_SEEDS = [path.read_bytes() for path in sorted(FIXTURES.iterdir())]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_mutated_bytes_never_crash(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(_SEEDS)))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(content) - 1))
        end = min(len(content), start + data.draw(st.integers(0, 12)))
        content[start:end] = data.draw(
            st.binary(max_size=12) | st.sampled_from([b"/\n16,", b",", b"/", b"\n88,", b"49,"])
        )
        if not content:
            return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "mutated.bai2"
        path.write_bytes(bytes(content))
        try:
            rows, reading = read(path)
        except InputError:
            return
    for row in [*rows, reading.inferred]:
        for value in row.values():
            str(value).encode("utf-8")
    for rejection in reading.rejections:
        (rejection.field + rejection.reason + rejection.text).encode("utf-8")
    for statement in reading.statements:
        (statement.account + statement.statement_id + statement.currency).encode("utf-8")
        Decimal(statement.sum)


@needs_real_data
class TestRealFiles:
    """Files of another project."""

    def amounts(self, name: str) -> tuple[list[Decimal], Reading]:
        rows, reading = read(REAL / name)
        assert source_for(REAL / name).name == "bai2"
        return [Decimal(str(row["amount"])) for row in rows], reading

    def test_sample_1_has_as_many_credits_as_debits(self) -> None:
        amounts, reading = self.amounts("sample1.txt")
        assert len(amounts) == 17
        assert sum(amount for amount in amounts if amount > 0) == Decimal("3200.00")
        assert sum(amount for amount in amounts if amount < 0) == Decimal("-3200.00")
        assert reading.rejections == []
        assert reading.inferred["controls"] == "10 of 10 control totals and counts agree"

    def test_sample_2(self) -> None:
        amounts, reading = self.amounts("sample2.txt")
        assert (len(amounts), sum(amounts)) == (4, Decimal("309500.00"))
        assert [one.opening for one in reading.statements] == [
            "43500.00",
            "-5000.00",
            "100000.00",
            "5000.00",
            "8000.00",
        ]
        assert reading.rejections == []
        assert reading.inferred["controls"] == "25 of 25 control totals and counts agree"

    def test_sample_3_shares_lines_between_records_and_ties_throughout(self) -> None:
        amounts, reading = self.amounts("sample3.txt")
        assert (len(amounts), len(reading.statements)) == (26, 15)
        assert [one.ties for one in reading.statements] == [True] * 15
        assert reading.rejections == []
        assert reading.inferred["controls"] == "36 of 36 control totals and counts agree"

    @pytest.mark.parametrize(
        ("name", "details"), [("sample4-continuations-newline-delimited.txt", 17), ("sample5-issue113.txt", 20)]
    )
    def test_samples_4_and_5_are_read_although_their_controls_fail(self, name: str, details: int) -> None:
        amounts, reading = self.amounts(name)
        assert len(amounts) == details == (REAL / name).read_text().count("\n16,")
        assert {one.field[:2] for one in reading.rejections} == {"49", "98"}
        assert reading.inferred["controls"] == "9 of 16 control totals and counts agree"
        assert "account 107049932: control total does not agree: stated -1260161341762, found 7999960" in [
            one.reason for one in reading.rejections
        ]

    def test_slashes_in_references_and_text(self) -> None:
        rows, _ = read(REAL / "sample5-issue113.txt")
        assert rows[2]["reference"] == "AB/GS/RPFILERP0001/RPBA0001"
        assert any("08/18/23 Invoice - Sample" in str(row["description"]) for row in rows)

    def test_file_that_does_not_begin_as_one_is_refused(self) -> None:
        path = REAL / "errors" / "sample-parseError.txt"
        assert bai2.SOURCE.sniff(path.read_bytes(), path.name) == 0
        with pytest.raises(InputError, match="does not begin with a BAI2 record"):
            read(path)


@pytest.mark.slow
def test_memory_does_not_follow_the_file(tmp_path: Path) -> None:
    """30 MB of details on one physical line, in a process of its own."""
    script = dedent("""
        import resource, sys
        from pathlib import Path
        from tieout.adapters.sources.bai2.source import SOURCE
        from tieout.model.reading import SourceOptions
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        reading = SOURCE.read(Path(sys.argv[1]), SourceOptions())
        rows = sum(len(chunk["line"]) for chunk in reading.drafts)
        print(rows, len(reading.rejections), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """)
    path = tmp_path / "large.bai2"
    details = "\n".join(
        f"16,475,{number},V,260303,,BANK{number},{number},CHECK PAID AND SOME TEXT/" for number in range(500_000)
    )
    path.write_text(report(details).replace("\n", " "))
    assert path.stat().st_size > 30_000_000
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    rows, rejections, grown_megabytes = map(int, done.stdout.split())
    assert (rows, rejections) == (500_000, 0)
    assert grown_megabytes < 120

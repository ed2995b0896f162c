"""OFX in SGML and XML: what transactions and statements say, what is refused, and that work stays bounded."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.adapters.sources.catalogue import source_for
from tieout.adapters.sources.ofx import source as ofx
from tieout.adapters.sources.ofx import text as ofx_text
from tieout.adapters.sources.ofx.fields import amount_of, day_of, instant_of
from tieout.model.errors import InputError
from tieout.model.reading import Reading, SourceOptions
from tieout.model.record import DRAFT_COLUMNS

FIXTURES = Path(__file__).parent / "fixtures" / "ofx"
REAL = Path(__file__).parents[4] / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is not here")

Row = dict[str, object]
Writer = Callable[[str | bytes], Path]


def read(path: Path, options: SourceOptions | None = None) -> tuple[list[Row], Reading]:
    """Every draft of a file as a row of what it has, and the reading."""
    reading = ofx.SOURCE.read(path, options or SourceOptions())
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


def transaction(amount: str = "1.00", posted: str = "20260302", fitid: str = "1", more: str = "") -> str:
    """A small transaction in SGML."""
    return f"<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>{posted}<TRNAMT>{amount}<FITID>{fitid}{more}</STMTTRN>"


def document(transactions: str, header: str = "OFXHEADER:100\n", end: str = "", currency: str = "USD") -> str:
    """A small bank statement around some transactions."""
    start = f"<OFX><STMTTRNRS><STMTRS><CURDEF>{currency}<BANKACCTFROM><ACCTID>7</BANKACCTFROM><BANKTRANLIST>"
    return f"{header}{start}{transactions}</BANKTRANLIST>{end}</STMTRS></STMTTRNRS></OFX>"


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes a document and gives its path."""

    def _write(text: str | bytes) -> Path:
        path = tmp_path / "statement.ofx"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


class TestSgml:
    """A bank and a card account in OFX 1.02, in Windows-1252 and without closing tags."""

    rows, reading = read(FIXTURES / "bank_v102.ofx")

    def test_reading(self) -> None:
        assert self.reading.format == "ofx"
        assert self.reading.derived_ids
        assert self.reading.rejections == []
        assert self.reading.inferred == {
            "version": "OFX 1.0.2 (SGML)",
            "encoding": "cp1252: as the file's header says",
        }
        assert {row["kind"] for row in self.rows} == {"bank_line"}

    def test_transaction(self) -> None:
        row = self.rows[0]
        assert (row["line"], row["native_id"], row["account"]) == (21, "1234567/77", "1234567")
        assert (row["amount"], row["currency"], row["category"]) == ("1491.08", "EUR", "CREDIT")
        assert (row["counterparty"], row["description"]) == ("Café & Söhne", "Payout <77>")
        assert row["reference"] == "PAYOUT-77"
        assert attributes(row) == {
            "account_type": "CHECKING",
            "bank_id": "10070024",
            "check_number": "9",
            "posted": "20260302233000.250[-5:EST]",
        }

    def test_booking_date_stays_while_the_instant_becomes_utc(self) -> None:
        assert (self.rows[0]["date"], self.rows[0]["time"]) == ("2026-03-02", "2026-03-03T04:30:00.250000Z")
        assert "time" not in self.rows[2], "midnight without an offset only fills up a date"

    def test_blank_and_placeholder_ids_leave_identity_to_the_normaliser(self) -> None:
        assert ["native_id" in row for row in self.rows] == [True, False, False, False, True]
        first, second = ({k: v for k, v in row.items() if k != "line"} for row in self.rows[2:4])
        assert first == second, "two equal fees stay two lines"

    def test_empty_unclosed_values_take_nothing_with_them(self) -> None:
        row = self.rows[1]
        assert (row["reference"], row["amount"]) == ("1001", "-20.50")
        assert "description" not in row
        assert "reference" not in self.rows[2], "a check number of zeros is none"

    def test_ids_are_of_their_account(self) -> None:
        assert (self.rows[4]["native_id"], self.rows[4]["currency"]) == ("4000/77", "USD")

    def test_statements(self) -> None:
        bank, card = self.reading.statements
        assert (bank.account, bank.currency, bank.opening, bank.closing) == ("1234567", "EUR", None, "2345.67")
        assert (bank.sum, bank.lines, bank.ties) == ("1460.58", 4, None)
        assert (bank.from_date, bank.to_date) == ("2026-03-01", "2026-03-31")
        assert bank.statement_id == "1234567/20260301-20260331"
        assert (card.account, card.closing, card.sum) == ("4000", "-9.99", "-9.99")


class TestXml:
    """OFX 2.2 with what XML and the newer elements add."""

    rows, reading = read(FIXTURES / "bank_v220.ofx")

    def test_payee_account_and_texts(self) -> None:
        row = self.rows[0]
        assert (row["counterparty"], row["description"]) == ("Example & Partner", "Rent <March> & more second line")
        found = attributes(row)
        assert (found["counterparty_account"], found["payee_city"]) == ("555", "Zürich")
        assert (found["user_date"], found["server_id"], found["branch_id"]) == ("2026-02-28", "S9", "12")
        assert row["time"] == "2026-03-01T10:15:00Z", "no offset is UTC by the standard"

    def test_amount_converted_by_the_bank_keeps_the_account_currency(self) -> None:
        assert (self.rows[0]["currency"], self.rows[0]["amount"]) == ("CHF", "-25.00")
        assert attributes(self.rows[0])["original_currency"] == "EUR"

    def test_amount_not_converted_is_in_its_own_currency_and_outside_the_sum(self) -> None:
        assert (self.rows[1]["currency"], self.rows[1]["amount"]) == ("USD", "-10.00")
        found = attributes(self.rows[1])
        assert (found["currency_rate"], found["x.vendor"]) == ("0.9", "own")
        (statement,) = self.reading.statements
        assert (statement.currency, statement.sum, statement.lines) == ("CHF", "-25.00", 2)

    def test_extended_name_where_there_is_no_other(self) -> None:
        assert self.rows[1]["counterparty"] == "Long name of the shop"

    def test_pending_transactions_are_counted_not_read(self) -> None:
        assert self.reading.inferred["left_out"] == "no booked cash transactions: 1 STMTTRNP"

    def test_account_that_the_bank_could_not_give_is_a_rejection(self) -> None:
        (rejection,) = self.reading.rejections
        assert (rejection.line, rejection.field, rejection.text) == (53, "STATUS", "2003 Account not found")


def test_investment_statement_gives_its_cash_transactions_only() -> None:
    rows, reading = read(FIXTURES / "investment.qfx")
    assert [(row["native_id"], row["amount"], row["line"]) for row in rows] == [("X-1/C1", "100.00", 11)]
    assert reading.inferred["left_out"] == "no booked cash transactions: 1 BUYSTOCK, 1 INCOME"
    assert (reading.statements[0].closing, reading.statements[0].sum) == (None, "100.00")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", "5"), ("+5.10", "5.10"), ("-5,10", "-5.10"), (".5", "0.5"), ("5.", "5"), ("007.00", "7.00"),
        ("1,234", "1.234"), ("1,234.50", "1234.50"), ("-1.234.567,5", "-1234567.5"), ("12,34.50", None),
        ("1,234,567", None), ("$120", None), ("1_000", None), ("１２", None), ("1e3", None), ("NaN", None),
        ("", None), ("-", None), (".", None),
        ("5.00-", None), ("1 000", None), ("9" * 41, None), (None, None),
    ],
)  # fmt: skip
def test_amount(text: str | None, value: str | None) -> None:
    assert amount_of(text) == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    ("text", "day"),
    [("20260302", "2026-03-02"), ("20260302235959.999[+14:X]", "2026-03-02"), ("20260230", "20260230"),
     ("2026-03-02", "2026-03-02"), ("00000000", "00000000"), ("soon", "soon"), ("", ""), (None, None)],
)  # fmt: skip
def test_day(text: str | None, day: str | None) -> None:
    assert day_of(text) == day


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("20260302", None),
        ("20260302000000", None),
        ("20260302000000[0:GMT]", "2026-03-02T00:00:00Z"),
        ("202603021530", "2026-03-02T14:30:00Z"),
        ("20260302153000[-5:EST]", "2026-03-02T20:30:00Z"),
        ("20260302153000.123[-3.5:NST]", "2026-03-02T19:00:00.123000Z"),
        ("20260302153000[+5.30:IST]", "2026-03-02T10:00:00Z"),
        ("20260302153000[5.75]", "2026-03-02T09:45:00Z"),
        ("20260302153000[-:EST]", None),
        ("20260302153000[EST]", None),
        ("20260302153000[+5.33]", None),
        ("20260302153000[+15:X]", "20260302153000[+15:X]"),
        ("20260302250000", "20260302250000"),
        ("20260329023000", "20260329023000"),
        ("00010101000000[+14:X]", "00010101000000[+14:X]"),
        ("nonsense", None),
        (None, None),
    ],
)
def test_instant_in_a_zone(text: str | None, instant: str | None) -> None:
    """The zone is Berlin's: a time that its clocks skip is handed on, an offset without a number is not guessed."""
    assert instant_of(text, ZoneInfo("Europe/Berlin")) == instant


def test_garbled_amount_is_passed_through_and_left_out_of_the_sum(write: Writer) -> None:
    rows, reading = read(write(document(transaction("12..3") + transaction("1.00") + transaction("0.001"))))
    assert [row["amount"] for row in rows] == ["12..3", "1.00", "0.001"]
    assert (reading.statements[0].sum, reading.statements[0].lines) == ("1.00", 3)


def test_same_id_twice_stays_two_drafts(write: Writer) -> None:
    rows, _ = read(write(document(transaction("1.00") + transaction("2.00"))))
    assert [row["native_id"] for row in rows] == ["7/1", "7/1"]


def test_options_serve_what_the_file_leaves_open(write: Writer) -> None:
    text = document(transaction(posted="20260302153000"), currency="")
    rows, reading = read(write(text), SourceOptions(currency="eur", zone="Europe/Berlin"))
    assert (rows[0]["currency"], rows[0]["time"]) == ("EUR", "2026-03-02T14:30:00Z")
    assert reading.statements[0].currency == "EUR"


@pytest.mark.parametrize(
    ("tags", "field", "text"),
    [
        (transaction(posted=""), "DTPOSTED", "1 1.00"),
        ("<STMTTRN><TRNAMT>1.00<FITID>1</STMTTRN>", "DTPOSTED", "1 1.00"),
        (transaction(more="<CORRECTFITID>0<CORRECTACTION>DELETE"), "CORRECTFITID", "DELETE 0 1.00"),
        (transaction().removesuffix("</STMTTRN>") + transaction(), "STMTTRN", "20260302 1.00 1"),
        (transaction() + transaction().removesuffix("</STMTTRN>"), "STMTTRN", "20260302 1.00 1"),
        (transaction(more="<NAME>a\0b"), "NAME", "a�b"),
    ],
)
def test_transaction_that_cannot_be_a_line_is_rejected(write: Writer, tags: str, field: str, text: str) -> None:
    _, reading = read(write(document("\n" + tags)))
    (rejection,) = reading.rejections
    assert (rejection.line, rejection.field, rejection.text) == (3, field, text)


def test_transfer_confirmations_are_rejected_so_that_they_are_seen(write: Writer) -> None:
    transfer = "<INTRARS><CURDEF>USD<XFERINFO><BANKACCTFROM><ACCTID>1</BANKACCTFROM><TRNAMT>2</XFERINFO></INTRARS>"
    rows, reading = read(write(f"<OFX>{transfer}</OFX>"))
    assert (rows, reading.statements) == ([], [])
    assert [rejection.field for rejection in reading.rejections] == ["INTRARS"]


def test_transaction_outside_a_statement_is_rejected(write: Writer) -> None:
    _, reading = read(write(document(transaction()).replace("</OFX>", transaction() + "</OFX>")))
    assert [rejection.reason for rejection in reading.rejections] == [
        "the transaction stands outside any statement: its account is not known"
    ]


def test_several_documents_in_one_file(write: Writer) -> None:
    rows, reading = read(write(document(transaction()) + "\n" + document(transaction())))
    assert (len(rows), len(reading.statements)) == (2, 2)


class TestEncodings:
    """What header and bytes say of the encoding; the bytes win."""

    def text(self, charset: str) -> str:
        return document(transaction(more="<NAME>Grüße"), header=f"OFXHEADER:100\nENCODING:USASCII\nCHARSET:{charset}\n")

    @pytest.mark.parametrize(
        ("charset", "codec"),
        [("1252", "cp1252"), ("1252", "utf-8"), ("1252", "utf-8-sig"), ("1250", "cp1250"), ("8859-15", "iso8859-15"),
         ("ISO-8859-1", "latin-1"), ("NONE", "cp1252"), ("1252", "utf-16")],
    )  # fmt: skip
    def test_name_survives(self, write: Writer, charset: str, codec: str) -> None:
        path = write(self.text(charset).encode(codec))
        assert ofx.SOURCE.sniff(path.read_bytes(), "any") == 95
        assert read(path)[0][0]["counterparty"] == "Grüße"

    def test_xml_declaration(self, write: Writer) -> None:
        head = '<?xml version="1.0" encoding="ISO-8859-2"?>\n<?OFX OFXHEADER="200" VERSION="211"?>'
        rows, _ = read(write(document(transaction(more="<NAME>Łódź</NAME>"), header=head).encode("iso8859-2")))
        assert rows[0]["counterparty"] == "Łódź"

    def test_declared_in_settings(self, write: Writer) -> None:
        options = SourceOptions(settings={"encoding": "cp1251"})
        rows, _ = read(write(document(transaction(more="<NAME>Привет")).encode("cp1251")), options)
        assert rows[0]["counterparty"] == "Привет"

    def test_row_with_bytes_of_no_text_is_rejected(self, write: Writer) -> None:
        good = transaction(more="<NAME>Grüße</NAME>\n<MEMO>Maß</MEMO>\n")
        text = document(good + transaction(more="<NAME>~</NAME>\n") + good)
        broken = text.encode().replace(b"~", b"\xff")
        rows, reading = read(write(broken))
        assert [row["counterparty"] for row in rows] == ["Grüße", "Grüße"]
        assert [(one.field, one.text) for one in reading.rejections] == [("NAME", "�")]


class TestRefusals:
    """What cannot be framed is refused whole, naming the line."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "no OFX document"),
            ("not OFX", "no OFX document"),
            ("<html><STMTTRN></STMTTRN></html>", "no OFX document"),
            ("OFXHEADER:100\n<OFX></OFX>", "holds no bank"),
            ("<OFX><STATUS><CODE>15500<SEVERITY>ERROR<MESSAGE>Bad password</STATUS></OFX>", "15500 Bad password"),
            (document(transaction())[:-40], "the file ends inside"),
            (document(transaction()).replace("<STMTTRN>", "<STMTTRX>"), "</STMTTRN> closes what was never opened"),
            (document(transaction()).replace("<BANKTRANLIST>", ""), "</BANKTRANLIST> closes what was never opened"),
            (document(transaction() + "<BANKACCTFROM><ACCTID>8</BANKACCTFROM>"), "names its account only after"),
            (document(transaction() + "<CURDEF>EUR"), "names its currency only after"),
            ("<OFX>" + "<A>" * 200 + "</OFX>", "tags are open at once"),
        ],
    )
    def test_refused(self, write: Writer, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            read(write(text))

    def test_place(self, write: Writer) -> None:
        with pytest.raises(InputError) as caught:
            read(write(document("\n\n</STMTTRN>")))
        assert caught.value.place.line == 4

    @pytest.mark.parametrize("kind", ["DOCTYPE OFX SYSTEM 'file:///etc/hostname'", 'ENTITY x "y"', "doctype html"])
    def test_declarations(self, write: Writer, kind: str) -> None:
        with pytest.raises(InputError, match="DOCTYPE"):
            read(write(f"<?xml version='1.0'?>\n<!{kind}>" + document(transaction())))

    def test_entities_are_not_resolved(self, write: Writer) -> None:
        rows, _ = read(write(document(transaction(more="<NAME>&x; &#0; &#xD800; &amp;amp;</NAME>"))))
        assert rows[0]["counterparty"] == "&x; &#0; &#xD800; &amp;"

    def test_unknown_zone(self, write: Writer) -> None:
        with pytest.raises(InputError, match="unknown zone"):
            read(write(document("")), SourceOptions(zone="Mars/Base"))

    def test_unlimited_text(self, write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ofx_text, "TEXT_CHARACTERS", 1_000_000)
        with pytest.raises(InputError, match="million characters"):
            read(write(document(transaction(more="<MEMO>" + "x" * 1_100_000))))


def test_text_that_looks_like_markup_is_text(write: Writer) -> None:
    rows, _ = read(write(document(transaction(more="<NAME>a < b <3 & c <d e> f<MEMO>x<![CDATA[<STMTTRN>]]>y"))))
    assert (rows[0]["counterparty"], rows[0]["description"]) == ("a < b <3 & c <d e> f", "x<STMTTRN>y")


def test_tags_and_texts_may_be_cut_anywhere(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = FIXTURES / "bank_v220.ofx"
    whole = read(path)
    for characters in range(1, 40):
        monkeypatch.setattr(ofx_text, "BLOCK_CHARACTERS", characters)
        rows, reading = read(path)
        assert (rows, reading.statements, reading.rejections) == (whole[0], whole[1].statements, whole[1].rejections)


def test_ten_megabyte_field_is_left_to_the_normaliser(write: Writer) -> None:
    rows, _ = read(write(document(transaction(more="<MEMO>" + "x" * 10_000_000) + transaction("2.00", fitid="2"))))
    assert [row["amount"] for row in rows] == ["1.00", "2.00"]


@pytest.mark.parametrize("hostile", ["<", "<a ", "<a x='", "<!--", "<![CDATA[", "<?", "&", "&#", "</X>", " \n", "<X>1"])
def test_hostile_repetition_takes_linear_time(write: Writer, hostile: str) -> None:
    path = write(document(transaction(more="<NAME>" + hostile * 300_000)))
    with suppress(InputError):
        read(path)


@pytest.mark.parametrize(
    ("head", "name", "score"),
    [
        (b"OFXHEADER:100\r\nDATA:OFXSGML", "a", 95),
        (b"\n\n\nDATA:OFXSGML\nENCODING:UTF-8\n<OFX>", "a", 95),
        (b'\xef\xbb\xbf<?xml version="1.0"?><?OFX OFXHEADER="200"?>', "a", 95),
        (b"<OFX><SIGNONMSGSRSV1>", "a", 95),
        (b"junk\n<OFX>", "a", 60),
        (b"<STMTRS><STMTTRN>", "a", 60),
        (b"<Document><BkToCstmrStmt>", "a.ofx", 0),
        (b"date,amount\n", "a.qfx", 0),
        (b"", "a.ofx", 0),
    ],
)
def test_sniff(head: bytes, name: str, score: int) -> None:
    assert ofx.SOURCE.sniff(head, name) == score


@dataclass(frozen=True)
class Entry:
    """One random transaction."""

    day: date
    amount: Decimal
    fitid: str
    name: str
    memo: str


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=20).map(str.strip)
_ID = st.text("ABCDEFabc123/-.", min_size=1, max_size=12).filter(lambda text: bool(text.strip("0")))
_ENTRIES = st.builds(
    Entry,
    st.dates(date(1990, 1, 1), date(2090, 1, 1)),
    st.decimals(-(10**9), 10**9, places=2),
    _ID.filter(lambda text: text.upper() not in ("NA", "N/A", "NONE", "NULL")),
    _TEXT,
    _TEXT,
)


def written(entries: list[Entry], *, closes: bool, comma: bool, line_end: str) -> str:
    """Random transactions as a document, in SGML or XML."""

    def value(tag: str, text: str) -> str:
        return f"<{tag}>{escape(text)}" + (f"</{tag}>" if closes else "") + line_end

    def amount(entry: Entry) -> str:
        return f"{entry.amount:f}".replace(".", "," if comma else ".")

    return document(
        "".join(
            "<STMTTRN>"
            + value("DTPOSTED", f"{entry.day:%Y%m%d}")
            + value("TRNAMT", amount(entry))
            + value("FITID", entry.fitid)
            + value("NAME", entry.name)
            + value("MEMO", entry.memo)
            + "</STMTTRN>"
            for entry in entries
        )
    )


@given(st.lists(_ENTRIES, max_size=8), st.booleans(), st.booleans(), st.sampled_from(["", "\n", "\r\n", "\n\t "]))
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_back(entries: list[Entry], closes: bool, comma: bool, line_end: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "random.ofx"
        path.write_bytes(written(entries, closes=closes, comma=comma, line_end=line_end).encode())
        rows, reading = read(path)
    found = [
        (
            row["date"],
            Decimal(str(row["amount"])),
            row["native_id"],
            row.get("counterparty", ""),
            row.get("description", ""),
        )
        for row in rows
    ]
    assert found == [
        (entry.day.isoformat(), entry.amount, f"7/{entry.fitid}", entry.name, entry.memo) for entry in entries
    ]
    assert Decimal(reading.statements[0].sum) == sum((entry.amount for entry in entries), Decimal(0))
    assert reading.rejections == []


_SEEDS = [path.read_bytes() for path in sorted(FIXTURES.iterdir())]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_mutated_bytes_never_crash(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(_SEEDS)))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(content) - 1))
        end = min(len(content), start + data.draw(st.integers(0, 12)))
        content[start:end] = data.draw(
            st.binary(max_size=12) | st.sampled_from([b"<", b">", b"</STMTTRN>", b"<OFX>", b"&#"])
        )
        if not content:
            return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "mutated.ofx"
        path.write_bytes(bytes(content))
        try:
            rows, reading = read(path)
        except InputError:
            return
    texts: list[Mapping[str, object]] = [*rows, reading.inferred]
    for row in texts:
        for value in row.values():
            str(value).encode("utf-8")
    for rejection in reading.rejections:
        (rejection.field + rejection.reason + rejection.text).encode("utf-8")
    for statement in reading.statements:
        (statement.account + statement.statement_id + statement.currency).encode("utf-8")
        Decimal(statement.sum)


@needs_real_data
class TestRealFiles:
    """Files of other projects."""

    def test_fixtures_of_ofxparse_hold_24_transactions(self) -> None:
        """24 is the number of STMTTRN elements in the 24 files: each is a draft or a rejection, none is lost."""
        counts: dict[str, tuple[int, int]] = {}
        refused: dict[str, str] = {}
        for path in sorted((REAL / "ofx-ofxparse").rglob("*.ofx")):
            try:
                rows, reading = read(path)
            except InputError as error:
                refused[path.stem] = error.message
            else:
                counts[path.stem] = (len(rows), len(reading.rejections))
                assert sum(counts[path.stem]) == path.read_bytes().count(b"<STMTTRN>")
        assert len(counts) + len(refused) == 24
        assert sum(rows for rows, _ in counts.values()) == 22
        assert {name: rejected for name, (_, rejected) in counts.items() if rejected} == {"date_missing": 2}
        assert sorted(refused) == [
            "account_listing_aggregation", "bank_small", "error_message", "signon_fail", "signon_success",
            "signon_success_no_message",
        ]  # fmt: skip
        assert "2000 General Server Error" in refused["error_message"]
        assert refused["signon_fail"].startswith("the bank sent an error instead of a statement: 15500")

    def test_xml_header_over_sgml_body(self) -> None:
        rows, reading = read(REAL / "ofx-ofxparse" / "tests" / "fixtures" / "anzcc.ofx")
        assert [(row["native_id"], row["amount"]) for row in rows] == [("1234123412341234/201705080001", "-5.50")]
        assert (reading.statements[0].closing, reading.inferred["version"]) == ("-123.45", "OFX 2.0.3 (XML)")

    def test_currency_of_the_transaction_where_the_statement_names_none(self) -> None:
        rows, reading = read(REAL / "ofx-ofxparse" / "tests" / "fixtures" / "ofx-v102-empty-tags.ofx")
        assert [(row["currency"], row["amount"], "native_id" in row) for row in rows] == [("AUD", "12.34", False)]
        assert (reading.statements[0].currency, reading.statements[0].closing) == ("AUD", None)

    def test_several_accounts(self) -> None:
        _, reading = read(REAL / "ofx-ofxparse" / "tests" / "fixtures" / "multiple_accounts.ofx")
        assert [(one.account, one.closing) for one in reading.statements] == [("9100", "111"), ("9200", "222")]

    def test_every_file_of_csv2ofx_is_read(self) -> None:
        paths = sorted((REAL / "csv2ofx").rglob("*.ofx"))
        assert len(paths) == 23
        drafts = 0
        for path in paths:
            rows, reading = read(path)
            content = path.read_bytes()
            transfers = content.count(b"<INTRARS>")
            assert (len(rows), len(reading.rejections)) == (content.count(b"<STMTTRN>"), transfers)
            assert source_for(path).name == "ofx"
            drafts += len(rows)
        assert drafts == 76

    def test_sample_of_bankstatementparser(self) -> None:
        folder = REAL / "camt-bankstatementparser" / "tests" / "test_data"
        rows, reading = read(folder / "sample.ofx")
        assert [(row["amount"], row["counterparty"]) for row in rows] == [
            ("1250.50", "Salary"),
            ("-80.25", "Groceries"),
        ]
        assert (reading.statements[0].account, reading.statements[0].sum) == ("BE4455667788", "1170.25")
        assert [row["native_id"] for row in read(folder / "sample.qfx")[0]] == ["123456789/QFX-1"]


@pytest.mark.slow
def test_memory_does_not_follow_the_file(tmp_path: Path) -> None:
    """40 MB of transactions in a process of its own."""
    script = dedent("""
        import resource, sys
        from pathlib import Path
        from tieout.adapters.sources.ofx.source import SOURCE
        from tieout.model.reading import SourceOptions
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        reading = SOURCE.read(Path(sys.argv[1]), SourceOptions())
        rows = sum(len(chunk["line"]) for chunk in reading.drafts)
        print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """)
    path = tmp_path / "large.ofx"
    with path.open("w") as file:
        head, tail = document("|").split("|")
        file.write(head)
        for number in range(300_000):
            file.write(transaction(fitid=str(number + 1), more=f"<NAME>Example {number}\n<MEMO>Invoice {number}\n"))
        file.write(tail)
    assert path.stat().st_size > 35_000_000
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    rows, grown_megabytes = map(int, done.stdout.split())
    assert rows == 300_000
    assert grown_megabytes < 120

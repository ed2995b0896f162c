"""camt.052, 053 and 054: what entries and statements say, what is refused, and that memory stays bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from tieout.adapters.sources import drafting
from tieout.adapters.sources.camt import entry as camt_entry
from tieout.adapters.sources.camt import source as camt
from tieout.adapters.sources.camt.fields import day_of, instant_of
from tieout.model.errors import InputError
from tieout.model.reading import Reading, SourceOptions
from tieout.model.record import DRAFT_COLUMNS

FIXTURES = Path(__file__).parent / "fixtures" / "camt"
REAL = Path(__file__).parents[4] / "shared" / "data" / "camt-bankstatementparser" / "tests" / "test_data"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is not here")

Row = dict[str, object]
Writer = Callable[[str | bytes], Path]


def read(path: Path) -> tuple[list[Row], Reading]:
    """Every draft of a file as a row of what it has, and the reading."""
    reading = camt.SOURCE.read(path, SourceOptions())
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


def document(entries: str, header: str = "<Id>S</Id>", container: str = "BkToCstmrStmt", tag: str = "Stmt") -> str:
    """A small document around some entries."""
    return f"<Document><{container}><{tag}>{header}{entries}</{tag}></{container}></Document>"


def entry(amount: str = "1.00", direction: str = "CRDT", more: str = "<Sts>BOOK</Sts>", currency: str = "EUR") -> str:
    """A small entry."""
    return f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>{more}</Ntry>'


def balance(code: str, amount: str, currency: str = "EUR") -> str:
    """A credit balance."""
    kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
    return f'<Bal>{kind}<Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>'


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes a document and gives its path."""

    def _write(text: str | bytes) -> Path:
        path = tmp_path / "statement.xml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def attributes(row: Row) -> dict[str, object]:
    """A row's attributes, which must be canonical JSON."""
    text = row["attributes"]
    assert isinstance(text, str)
    value = json.loads(text)
    assert text == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert isinstance(value, dict)
    return value


class TestStatementV8:
    """One statement of version 8 with an entry of every kind."""

    rows, reading = read(FIXTURES / "statement_v8.xml")

    def test_statement_ties_without_the_pending_entry(self) -> None:
        (statement,) = self.reading.statements
        assert (statement.statement_id, statement.sequence) == ("STMT-2026-042", "42")
        assert (statement.account, statement.currency) == ("DE89370400440532013000", "EUR")
        assert (statement.opening, statement.sum, statement.closing) == ("-100.00", "1249.50", "1149.50")
        assert (statement.lines, statement.ties) == (5, True)
        assert (statement.from_date, statement.to_date) == ("2026-03-02", "2026-03-02")

    def test_reading(self) -> None:
        assert self.reading.format == "camt"
        assert self.reading.derived_ids
        assert self.reading.rejections == []
        assert self.reading.inferred == {"message": "camt.053.001.08"}
        assert all("native_id" not in row for row in self.rows)
        assert {row["kind"] for row in self.rows} == {"bank_line"}

    def test_single_transaction_speaks_for_the_entry(self) -> None:
        row = self.rows[0]
        assert row["line"] == 28
        assert row["date"] == "2026-03-02"
        assert (row["amount"], row["currency"], row["status"]) == ("491.08", "EUR", "book")
        assert row["reference"] == "PAYOUT-77"
        assert row["counterparty"] == "Example Payments Europe Ltd"
        assert row["description"] == "PAYOUT 77 MARCH"
        assert row["category"] == "PMNT-RCDT-ESCT"
        assert attributes(row) == {
            "account_servicer_ref": "BANK-1",
            "bank_transaction_code": "PMNT-RCDT-ESCT",
            "counterparty_account": "IE29AIBK93115212345678",
            "end_to_end_id": "PAYOUT-77",
            "entry_reference": "1",
            "transaction_id": "TX-1",
            "value_date": "2026-03-03",
        }

    def test_bundle_is_one_draft_that_lists_its_transactions(self) -> None:
        row = self.rows[1]
        assert (row["amount"], row["reference"]) == ("60.00", "BANK-2")
        assert row["description"] == "DIRECT DEBIT COLLECTION"
        assert "counterparty" not in row
        found = attributes(row)
        assert found["transactions"] == [
            {"amount": "10.00", "end_to_end_id": "INV-1"},
            {"account_servicer_ref": "BANK-2B", "amount": "50.00", "creditor_reference": "RF18539007547034"},
        ]
        assert (found["transaction_count"], found["transactions_add_up"]) == (2, True)
        assert (found["batch_reference"], found["batch_transactions"]) == ("COLLECTION-9", "2")

    def test_instant_becomes_utc_while_the_booking_date_stays(self) -> None:
        row = self.rows[1]
        assert (row["date"], row["time"]) == ("2026-03-02", "2026-03-01T22:30:00.250000Z")
        assert attributes(row)["booking_instant"] == "2026-03-02T00:30:00.250+02:00"

    def test_reversal_is_signed_once_and_its_parties_keep_their_roles(self) -> None:
        row = self.rows[2]
        assert row["amount"] == "-25.00"
        assert row["counterparty"] == "Example Customer AG"
        assert (row["reference"], row["invoice_ref"]) == ("RF47 0001", "INV-2026-5")
        assert row["description"] == "Returned direct debit"
        assert (attributes(row)["reversal"], attributes(row)["return_reason"]) == (True, "AC04")

    def test_value_date_stands_in_for_the_booking_date(self) -> None:
        row = self.rows[3]
        assert (row["date"], row["description"]) == ("2026-03-02", "CHEQUE")
        assert "reference" not in row

    def test_transaction_in_other_money(self) -> None:
        row = self.rows[4]
        assert (row["amount"], row["counterparty"]) == ("-1.58", "Example Hosting Inc")
        found = attributes(row)
        assert found["original_amount"] == "1.70 USD"
        assert found["transaction_amount"] == "1.50"
        assert found["counterparty_account"] == "0099"

    def test_pending_entry_is_read_as_such(self) -> None:
        assert (self.rows[5]["status"], self.rows[5]["amount"]) == ("pdng", "3000.00")


def test_interim_balances_open_and_close_pages() -> None:
    rows, reading = read(FIXTURES / "pages.xml")
    assert [row["amount"] for row in rows] == ["500", "-100"]
    ends = [(one.statement_id, one.opening, one.sum, one.closing, one.ties) for one in reading.statements]
    assert ends == [
        ("P1", "1000", "500", "1500", True),
        ("P2", "1500", "-100", "1400", True),
        ("PAGES", "1400", "0", "1400", True),
    ]
    assert [one.lines for one in reading.statements] == [1, 1, 0]


def test_report_proves_nothing_by_its_interim_balance_and_counts_booked_entries() -> None:
    rows, reading = read(FIXTURES / "report.xml")
    (statement,) = reading.statements
    assert [row["status"] for row in rows] == ["book", "info"]
    assert (statement.opening, statement.closing, statement.ties) == ("1.00", None, None)
    assert (statement.sum, statement.lines) == ("5.00", 1)
    assert (statement.from_date, statement.to_date) == ("2026-01-05", "2026-01-05")
    assert "time" not in rows[0], "an instant without an offset is kept, not guessed"
    assert attributes(rows[0]) == {"booking_instant": "2026-01-05T10:00:00"}


def test_notification() -> None:
    rows, reading = read(FIXTURES / "notification.xml")
    assert (rows[0]["account"], rows[0]["amount"], rows[0]["currency"]) == ("CH9300762011623852957", "5.00", "CHF")
    assert reading.inferred["message"] == "camt.054.001.04"
    assert reading.statements[0].ties is None


@pytest.mark.parametrize("text", ["12..34", "12,34", "1_000", "１２", "1e3", "NaN", "0x10", "9" * 41])
def test_garbled_amount_is_passed_through_and_left_out_of_the_sum(write: Writer, text: str) -> None:
    header = "<Id>S</Id>" + balance("OPBD", "0.00") + balance("CLBD", "13.34")
    rows, reading = read(write(document(entry(text) + entry("1.00"), header)))
    assert [row["amount"] for row in rows] == [text, "1.00"]
    assert reading.rejections == []
    (statement,) = reading.statements
    assert (statement.sum, statement.lines, statement.ties) == ("1.00", 2, False)


@pytest.mark.parametrize(
    ("written", "read_as"), [("5", "5"), ("+5.10", "5.10"), (".5", "0.5"), ("5.", "5"), ("007.00", "7.00"), ("0", "0")]
)
def test_every_form_of_an_xml_decimal_becomes_plain(write: Writer, written: str, read_as: str) -> None:
    rows, _ = read(write(document(entry(written))))
    assert rows[0]["amount"] == read_as


@pytest.mark.parametrize(
    ("amount", "direction", "field"),
    [("-5.00", "DBIT", "Amt"), ("-5.00", "CRDT", "Amt"), ("5.00", "", "CdtDbtInd"), ("5.00", "CREDIT", "CdtDbtInd")],
)
def test_entry_of_unknown_direction_is_rejected(write: Writer, amount: str, direction: str, field: str) -> None:
    rows, reading = read(write(document("\n" + entry(amount, direction))))
    assert rows == []
    (rejection,) = reading.rejections
    assert (rejection.line, rejection.field) == (2, field)
    assert "5.00" in rejection.text
    assert reading.statements[0].sum == "0"


def test_entries_of_another_currency_stay_out_of_the_sum(write: Writer) -> None:
    header = balance("OPBD", "0.00") + balance("CLBD", "1.00")
    _, reading = read(write(document(entry("1.00") + entry("9.00", currency="USD"), header)))
    assert (reading.statements[0].currency, reading.statements[0].sum) == ("EUR", "1.00")


def test_balances_of_several_currencies_are_not_mixed(write: Writer) -> None:
    header = balance("OPBD", "7.00", "USD") + balance("OPBD", "1.00") + balance("CLBD", "2.00")
    _, reading = read(write(document(entry("1.00"), header)))
    assert (reading.statements[0].opening, reading.statements[0].ties) == ("1.00", True)


def test_unreadable_balance_leaves_the_statement_unproven(write: Writer) -> None:
    _, reading = read(write(document(entry(), balance("OPBD", "1..0") + balance("CLBD", "1.00"))))
    assert (reading.statements[0].opening, reading.statements[0].ties) == (None, None)


def test_sum_is_exact_at_any_size(write: Writer) -> None:
    large = "9" * 30 + ".99"
    _, reading = read(write(document(entry(large) + entry("0.0000000001"))))
    assert reading.statements[0].sum == "9" * 30 + ".9900000001"


def test_first_version_has_details_and_account_in_other_places(write: Writer) -> None:
    header = "<Acct><Id><PrtryAcct><Id>12</Id></PrtryAcct></Id></Acct>"
    detail = "<TxDtls><Refs><EndToEndId>E1</EndToEndId></Refs></TxDtls>"
    rows, _ = read(write(document(entry("2.00", more=f"<Sts>BOOK</Sts>{detail}"), header)))
    assert (rows[0]["amount"], rows[0]["reference"], rows[0]["account"]) == ("2.00", "E1", "12")


def test_long_bundle_says_what_it_leaves_out(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camt_entry, "DETAILS_CHARACTERS", 30)
    detail = '<TxDtls><Refs><EndToEndId>E</EndToEndId></Refs><Amt Ccy="EUR">1.00</Amt></TxDtls>'
    rows, _ = read(write(document(entry("5.00", more=f"<Sts>BOOK</Sts><NtryDtls>{detail * 5}</NtryDtls>"))))
    found = attributes(rows[0])
    assert isinstance(found["transactions"], list)
    assert len(found["transactions"]) + int(str(found["transactions_left_out"])) == 5
    assert found["transactions_add_up"] is True


@pytest.mark.parametrize(
    ("text", "day"),
    [("2026-03-02", "2026-03-02"), ("2026-03-02Z", "2026-03-02"), ("2026-03-02T23:00:00-11:00", "2026-03-02"),
     ("02.03.2026", "02.03.2026"), (None, None)],
)  # fmt: skip
def test_day(text: str | None, day: str | None) -> None:
    assert day_of(text) == day


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-02T00:30:00+14:00", "2026-03-01T10:30:00Z"),
        ("2026-03-02T00:30:00Z", "2026-03-02T00:30:00Z"),
        ("2026-03-02T00:30:00", None),
        ("2026-02-30T00:30:00Z", "2026-02-30T00:30:00Z"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("yesterday", "yesterday"),
        (None, None),
    ],
)
def test_instant_without_offset_is_none_and_an_impossible_one_is_passed_through(
    text: str | None, instant: str | None
) -> None:
    assert instant_of(text) == instant


class TestRefusals:
    """What is not a camt document, or not only one."""

    @pytest.mark.parametrize(
        "text",
        [
            "<Document><!-- nothing --></Document>",
            "<Document><BkToCstmrStmt/></Document>",
            '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"><CstmrCdtTrfInitn/></Document>',
        ],
    )
    def test_no_statement(self, write: Writer, text: str) -> None:
        with pytest.raises(InputError, match="no bank statement"):
            read(write(text))

    def test_malformed_names_the_line(self, write: Writer) -> None:
        with pytest.raises(InputError, match="not well-formed") as caught:
            read(write("<Document>\n<BkToCstmrStmt>\n<Stmt>\n</Wrong>"))
        assert caught.value.place.line == 4

    @pytest.mark.parametrize("content", [b"", b"   ", b"<Document>", b"not xml", b"<Document>\x00</Document>"])
    def test_not_xml(self, write: Writer, content: bytes) -> None:
        with pytest.raises(InputError):
            read(write(content))

    def test_external_entity_reveals_nothing(self, write: Writer, tmp_path: Path) -> None:
        (tmp_path / "secret.txt").write_text("top secret")
        secret = (tmp_path / "secret.txt").as_uri()
        head = f'<!DOCTYPE Document [<!ENTITY x SYSTEM "{secret}">]>'
        with pytest.raises(InputError, match="DOCTYPE") as caught:
            read(write(head + document(entry("&x;"))))
        assert "top secret" not in str(caught.value)

    @pytest.mark.parametrize(
        "subset", ['<!ENTITY % p SYSTEM "http://localhost:1/x.dtd"> %p;', '<!ATTLIST Amt Ccy CDATA "EUR">', ""]
    )
    def test_any_doctype(self, write: Writer, subset: str) -> None:
        with pytest.raises(InputError, match="DOCTYPE"):
            read(write(f"<!DOCTYPE Document [{subset}]>" + document(entry())))

    @pytest.mark.parametrize("where", ["text", "attribute"])
    def test_billion_laughs(self, write: Writer, where: str) -> None:
        levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
        head = f'<!DOCTYPE Document [<!ENTITY l0 "laugh">{levels}]>'
        body = document(entry("&l11;")) if where == "text" else document(entry(), '<Id x="&l11;">S</Id>')
        with pytest.raises(InputError):
            read(write(head + body))

    def test_unlimited_text(self, write: Writer) -> None:
        with pytest.raises(InputError, match="not well-formed"):
            read(write(document(entry("1" * 11_000_000))))

    def test_unlimited_depth(self, write: Writer) -> None:
        with pytest.raises(InputError, match="not well-formed"):
            read(write("<a>" * 10_000))

    def test_deep_nesting_inside_an_entry_harms_nothing(self, write: Writer) -> None:
        deep = "<a>" * 200 + "</a>" * 200
        rows, _ = read(write(document(entry(more=f"<Sts>BOOK</Sts>{deep}"))))
        assert rows[0]["amount"] == "1.00"

    def test_statement_inside_a_statement_is_no_entry(self, write: Writer) -> None:
        rows, reading = read(write(document(entry() + "<Rpt><Id>X</Id></Rpt>" + entry())))
        assert (len(rows), len(reading.statements)) == (2, 1)

    def test_unlimited_padding(self, write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(camt, "HELD_BYTES", 100_000)
        with pytest.raises(InputError, match="no statement entry within"):
            read(write("<Document>" + "<Padding/>" * 100_000 + "</Document>"))


def test_chunks_stream_before_a_break_further_on(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "CHUNK_ROWS", 2)
    path = write("<Document><BkToCstmrStmt><Stmt>" + entry() * 5_000 + "</Broken>")
    chunks = camt.SOURCE.read(path, SourceOptions()).drafts
    assert isinstance(chunks, Iterator)
    assert len(next(chunks)["line"]) == 2
    with pytest.raises(InputError):
        list(chunks)


def test_line_numbers_beyond_65535(write: Writer) -> None:
    rows, _ = read(write(document("\n" * 70_000 + entry())))
    assert rows[0]["line"] == 70_001


def test_other_encodings(write: Writer) -> None:
    text = document(entry(more="<Sts>BOOK</Sts><AddtlNtryInf>Grüße</AddtlNtryInf>"))
    latin = ('<?xml version="1.0" encoding="ISO-8859-1"?>' + text).encode("latin-1")
    for content in (latin, text.encode("utf-16"), b"\xef\xbb\xbf" + text.encode()):
        rows, _ = read(write(content))
        assert rows[0]["description"] == "Grüße"


@pytest.mark.parametrize(
    ("head", "score"),
    [
        (b'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.12">', 95),
        (b"\xef\xbb\xbf\n<Document><BkToCstmrStmt>", 95),
        (b"<x:Document><x:BkToCstmrDbtCdtNtfctn>", 95),
        ("<Document><BkToCstmrAcctRpt>".encode("utf-16"), 95),
        (b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.03">', 5),
        (b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.029.001.03">', 5),
        (b"<html>", 5),
        (b'{"file": "camt.053"}', 0),
        (b"", 0),
    ],
)
def test_sniff(head: bytes, score: int) -> None:
    assert camt.SOURCE.sniff(head, "any") == score


@needs_real_data
class TestRealFiles:
    """Statements of another project."""

    def test_statement_of_three_entries_ties(self) -> None:
        rows, reading = read(REAL / "camt.053.001.02.xml")
        assert [row["amount"] for row in rows] == ["105678.50", "-200000", "30000"]
        assert [statement.ties for statement in reading.statements] == [True]
        assert [row["line"] for row in rows] == [61, 94, 122]
        assert rows[0]["time"] == "2010-10-18T12:15:00Z"

    def test_two_currencies_both_tie(self) -> None:
        rows, reading = read(REAL / "golden" / "camt053_multicurrency.xml")
        assert [(one.currency, one.ties) for one in reading.statements] == [("EUR", True), ("USD", True)]
        assert [row["account"] for row in rows] == ["DE89370400440532013000"] * 2 + ["US-ACCT-0099"]

    def test_equal_lines_stay_two(self) -> None:
        rows, reading = read(REAL / "golden" / "camt053_duplicate_same_day.xml")
        assert len(rows) == 2
        assert len({tuple(value for name, value in row.items() if name != "line") for row in rows}) == 1
        assert [statement.ties for statement in reading.statements] == [None]

    def test_no_namespace(self) -> None:
        path = REAL / "golden" / "camt053_no_namespace.xml"
        assert camt.SOURCE.sniff(path.read_bytes(), path.name) == 95
        assert [statement.ties for statement in read(path)[1].statements] == [True]

    def test_garbled_amount_is_passed_through(self) -> None:
        rows, reading = read(REAL / "golden" / "camt053_garbled_amount.xml")
        assert rows[0]["amount"] == "12..34"
        assert (reading.statements[0].sum, reading.statements[0].lines) == ("0", 1)

    @pytest.mark.parametrize("name", ["invalid.xml", "pain.001.001.03.xml"])
    def test_others_are_refused(self, name: str) -> None:
        assert camt.SOURCE.sniff((REAL / name).read_bytes(), name) < 10
        with pytest.raises(InputError):
            read(REAL / name)


@pytest.mark.slow
def test_memory_does_not_follow_the_file(tmp_path: Path) -> None:
    """50 MB of entries, one of them a bundle of 100,000 transactions, in a process of its own."""
    script = dedent("""
        import resource, sys
        from pathlib import Path
        from tieout.adapters.sources.camt.source import SOURCE
        from tieout.model.reading import SourceOptions
        import lxml.etree
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        reading = SOURCE.read(Path(sys.argv[1]), SourceOptions())
        rows = sum(len(chunk["line"]) for chunk in reading.drafts)
        print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """)
    path = tmp_path / "large.xml"
    detail = '<TxDtls><Refs><EndToEndId>REFERENCE-1</EndToEndId></Refs><Amt Ccy="EUR">1.00</Amt></TxDtls>\n'
    with path.open("w") as file:
        file.write("<Document><BkToCstmrStmt><Stmt><Id>S</Id>")
        for _ in range(100_000):
            file.write(entry(more="<Sts>BOOK</Sts><BookgDt><Dt>2026-01-05</Dt></BookgDt>" + detail * 4))
        file.write(entry("100000.00", more=f"<Sts>BOOK</Sts><NtryDtls>{detail * 100_000}</NtryDtls>"))
        file.write("</Stmt></BkToCstmrStmt></Document>")
    assert path.stat().st_size > 50_000_000
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    rows, grown_megabytes = map(int, done.stdout.split())
    assert rows == 100_001
    assert grown_megabytes < 150

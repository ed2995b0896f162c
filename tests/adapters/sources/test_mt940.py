"""MT940 and MT942: what entries and statements say in each dialect, what is rejected, and that memory stays bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import pytest

from tieout.adapters.sources import catalogue, drafting
from tieout.adapters.sources.mt940 import source as mt940
from tieout.adapters.sources.mt940 import statement as mt940_statement
from tieout.adapters.sources.mt940.fields import read_balance
from tieout.model.errors import InputError
from tieout.model.reading import Reading, SourceOptions
from tieout.model.record import DRAFT_COLUMNS

FIXTURES = Path(__file__).parent / "fixtures" / "mt940"
REAL = Path(__file__).parents[4] / "shared" / "data" / "mt940-wolph" / "mt940_tests"
needs_real_data = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is not here")

Row = dict[str, object]
Writer = Callable[[str | bytes], Path]
ENTRY = ":61:2603020302C1,00NTRFREF\n"
HEAD = ":20:S\n:25:1\n:60F:C260301EUR0,\n"


def read(path: Path, options: SourceOptions | None = None) -> tuple[list[Row], Reading]:
    """Every draft of a file as a row of what it has, and the reading."""
    reading = mt940.SOURCE.read(path, options or SourceOptions())
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


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes a file and gives its path."""

    def _write(text: str | bytes) -> Path:
        path = tmp_path / "statement.sta"
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


class TestStructured:
    """German subfields; two pages, a second account with a broken entry, stray lines around."""

    rows, reading = read(FIXTURES / "structured.sta")

    def test_each_page_is_a_statement_between_its_balances(self) -> None:
        found = [(one.statement_id, one.opening, one.sum, one.closing, one.lines) for one in self.reading.statements]
        assert found == [
            ("00001/00001 STARTUMS", "100", "466.58", "566.58", 3),
            ("00001/00002 STARTUMS", "566.58", "-1000", "-433.42", 1),
            ("00001/00001 STARTUMS", "0.00", "10.00", "20.00", 2),
        ]
        assert [one.ties for one in self.reading.statements] == [True, True, False]
        first = self.reading.statements[0]
        assert (first.account, first.currency, first.sequence) == ("37040044/0532013000", "EUR", "1/1")
        assert (first.from_date, first.to_date) == ("2025-12-31", "2025-12-31"), "it opens where the day before closed"

    def test_reading(self) -> None:
        assert self.reading.format == "mt940"
        assert self.reading.derived_ids
        assert self.reading.inferred == {"message": "MT940", "encoding": "utf-8: all bytes are ASCII"}
        assert all("native_id" not in row for row in self.rows)
        assert {(row["kind"], row["status"], row["currency"]) for row in self.rows} == {("bank_line", "book", "EUR")}

    def test_broken_entry_is_rejected_with_its_information(self) -> None:
        (rejection,) = self.reading.rejections
        assert (rejection.line, rejection.field) == (34, ":61:")
        assert "no transaction type" in rejection.reason
        assert rejection.text == "2512311231C10,0X"
        assert [row["description"] for row in self.rows if row["line"] in (34, 36)] == ["Good entry"]

    def test_entry(self) -> None:
        row = self.rows[0]
        assert row["line"] == 7
        assert (row["date"], row["amount"], row["category"]) == ("2025-12-31", "491.08", "NTRF")
        assert row["reference"] == "PAYOUT-77-WITH-A-LONG-NAME"
        assert row["counterparty"] == "Example Payments Europe Limited"
        assert row["description"] == "Auszahlung KW 52, net to"
        assert attributes(row) == {
            "account_servicer_ref": "BANK-1",
            "booking_text": "GUTSCHRIFT",
            "counterparty_account": "IE29AIBK93115212345678",
            "counterparty_bank": "AIBKIE2D",
            "end_to_end_id": "PAYOUT-77-WITH-A-LONG-NAME",
            "gvc_code": "166",
            "primanota": "9249",
            "transaction_type": "NTRF",
            "value_date": "2026-01-02",
        }

    def test_reversal_of_a_credit_takes_away_and_that_of_a_debit_brings_back(self) -> None:
        credit, debit = self.rows[1], self.rows[2]
        assert (credit["amount"], attributes(credit)["reversal"]) == ("-25.00", True)
        assert (debit["amount"], attributes(debit)["reversal"]) == ("0.5", True)
        assert "reversal" not in attributes(self.rows[0])

    def test_supplementary_details(self) -> None:
        found = attributes(self.rows[2])
        assert (found["original_amount"], found["charges"]) == ("0.58 USD", "0.1 EUR")
        assert found["supplementary_details"] == "/OCMT/USD0,58//CHGS/EUR0,1/"
        assert attributes(self.rows[3])["supplementary_details"] == "Paid at the counter"

    def test_free_text_after_three_digits_is_no_structure(self) -> None:
        row = self.rows[3]
        assert (row["amount"], row["description"]) == ("-1000", "020Cheque without structure")
        assert (row["reference"], row["date"]) == ("CHEQUE 12", "2025-12-31")
        assert attributes(row)["funds_code"] == "R"
        assert "gvc_code" not in attributes(row)


class TestSlashes:
    """Codes between slashes, SWIFT's envelope, \\r\\n."""

    rows, reading = read(FIXTURES / "slashes.sta")

    def test_statements_tie(self) -> None:
        found = [(one.statement_id, one.ties, one.lines, one.from_date) for one in self.reading.statements]
        assert found == [("00042/00001 P1", True, 3, "2026-03-02"), ("00043/00001 P2", True, 0, "2026-03-03")]
        assert {one.account for one in self.reading.statements} == {"NL91ABNA0417164300EUR"}

    def test_codes(self) -> None:
        row = self.rows[0]
        assert (row["reference"], row["counterparty"]) == ("E2E-4711", "Example Trading B.V.")
        assert row["description"] == "Invoice 2026/17 and 18"
        found = attributes(row)
        assert found["counterparty_account"] == "NL02RABO0123456789"
        assert "account_owner_ref" not in found, "EREF only points to the information"

    def test_counterparty_in_one_code_and_structured_remittance(self) -> None:
        row = self.rows[1]
        assert (row["counterparty"], row["reference"]) == ("Example GmbH", "RF18539007547034")
        assert "description" not in row

    def test_details_describe_an_entry_without_information(self) -> None:
        assert self.rows[2]["description"] == "Monthly fee"
        assert "reference" not in self.rows[2]


def test_interim_report_has_no_balances_and_its_expected_entries_are_not_booked() -> None:
    rows, reading = read(FIXTURES / "interim.sta")
    (statement,) = reading.statements
    assert [(row["amount"], row["status"]) for row in rows] == [("12.5", "book"), ("99", "pdng"), ("-1", "pdng")]
    assert {row["currency"] for row in rows} == {"GBP"}
    assert rows[0]["description"] == "CARD SALES BATCH 9 GRÜSSE"
    assert (statement.sum, statement.lines, statement.ties) == ("12.5", 1, None)
    assert (statement.from_date, statement.to_date) == (None, "2026-03-02")
    assert reading.inferred == {"message": "MT942", "encoding": "cp1252: not UTF-8; Western single bytes"}


def test_numbered_lines_and_lower_case() -> None:
    (row,), reading = read(FIXTURES / "numbered.sta")
    assert reading.statements[0].ties
    assert (row["amount"], row["currency"], row["category"]) == ("7.50", "EUR", "S051")
    assert (row["description"], row["counterparty"]) == ("Purpose line one and two", "Example Pay er")
    assert attributes(row)["counterparty_account"] == "0190000022"


def test_statement_line_broken_in_two_is_read_whole_and_never_in_part(write: Writer) -> None:
    text = HEAD + ":61:2603020302CR3\n0,00NTRFREF\nDetails\n:\n86:166?00CREDIT?20Text\n:62F:C260302EUR30,\n"
    (row,), reading = read(write(text))
    assert (row["amount"], row["reference"], row["description"]) == ("30.00", "REF", "Text")
    assert attributes(row)["supplementary_details"] == "Details"
    assert reading.statements[0].ties


@pytest.mark.parametrize("text", ["C260302EUR,", "X260302EUR1,", "C260302EU1,", "C2603021,", "C260302EUR1,005", ""])
def test_unreadable_balance_leaves_the_statement_unproven(write: Writer, text: str) -> None:
    assert read_balance(text) is None
    _, reading = read(write(f"{HEAD}{ENTRY}:62F:{text}\n"))
    (statement,) = reading.statements
    assert (statement.opening, statement.closing, statement.ties) == ("0", None, None)
    assert reading.inferred["balances"] == "1 could not be read and count as missing"


def test_closing_balance_of_another_currency_proves_nothing(write: Writer) -> None:
    _, reading = read(write(f"{HEAD}{ENTRY}:62F:C260302USD1,\n"))
    assert (reading.statements[0].currency, reading.statements[0].ties) == ("EUR", None)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        (f":20:S\n:25:1\n{ENTRY}:62F:C260302USD1,\n", "USD"),
        (f":20:S\n:25:70011110/4005287001CHF\n{ENTRY}", "CHF"),
        (f":20:S\n:25:1\n{ENTRY}:64:C260302SEK1,\n", "SEK"),
        (f":20:S\n:25:1\n{ENTRY}:90C:1NOK1,\n", "NOK"),
        (f":20:S\n:25:1\n{ENTRY}", "GBP"),
    ],
)
def test_currency_without_an_opening_balance(write: Writer, text: str, currency: str) -> None:
    rows, reading = read(write(text), SourceOptions(currency="GBP"))
    assert (rows[0]["currency"], reading.statements[0].currency) == (currency, currency)
    assert reading.statements[0].sum == "1.00"


def test_no_currency_is_left_to_the_normaliser(write: Writer) -> None:
    rows, _ = read(write(ENTRY))
    assert "currency" not in rows[0]


def test_amount_that_the_currency_cannot_hold_stays_out_of_the_sum(write: Writer) -> None:
    text = ":20:S\n:60F:C260301JPY0,\n:61:260302C1,5NTRF\n:61:260302C7,00NTRF\n:62F:C260302JPY8,\n"
    rows, reading = read(write(text))
    assert [row["amount"] for row in rows] == ["1.5", "7.00"]
    (statement,) = reading.statements
    assert (statement.sum, statement.lines, statement.ties) == ("7.00", 2, False)


def test_statements_without_their_own_reference_are_told_apart(write: Writer) -> None:
    one = f":25:1\n:28C:1\n:60F:C260301EUR0,\n{ENTRY}:62F:C260302EUR1,\n"
    _, reading = read(write(one * 3))
    assert [(statement.ties, statement.lines) for statement in reading.statements] == [(True, 1)] * 3


def test_entry_after_the_trailer_shows_as_a_gap_unless_the_envelope_ended(write: Writer) -> None:
    _, reading = read(write(f"{HEAD}:62F:C260302EUR0,\n-\n{ENTRY}"))
    assert [one.ties for one in reading.statements] == [False]
    _, reading = read(write(f"{HEAD}:62F:C260302EUR0,\n-}}\n{ENTRY}"))
    assert [one.ties for one in reading.statements] == [True, None]


def test_pages_sort_by_number(write: Writer) -> None:
    pages = "".join(f":20:R\n:28C:7/{page}\n:60F:C260301EUR0,\n" for page in (1, 2, 10))
    _, reading = read(write(pages))
    names = [statement.statement_id for statement in reading.statements]
    assert names == sorted(names) == ["00007/00001 R", "00007/00002 R", "00007/00010 R"]


def test_field_on_the_line_of_the_envelope(write: Writer) -> None:
    rows, reading = read(write("{1:F01X}{2:O940X}{4::20:S\n:60F:C260301EUR0,\n" + ENTRY + ":62F:C260302EUR1,\n-}"))
    assert (len(rows), reading.statements[0].statement_id, reading.statements[0].ties) == (1, "S", True)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_line_numbers(write: Writer, end: str) -> None:
    text = f"stray\n\n{HEAD}{ENTRY}:86:one\ntwo\n{ENTRY}:62F:C260302EUR2,".replace("\n", end)
    rows, reading = read(write(text))
    assert [row["line"] for row in rows] == [6, 9]
    assert rows[0]["description"] == "one two"
    assert reading.statements[0].ties


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
def test_encodings(write: Writer, encoding: str) -> None:
    rows, _ = read(write(f"{HEAD}{ENTRY}:86:Grüße aus Köln\n".encode(encoding)))
    assert rows[0]["description"] == "Grüße aus Köln"


def test_declared_encoding_and_unknown_setting(write: Writer) -> None:
    path = write(f"{HEAD}{ENTRY}:86:Deviza átutalás ő\n".encode("iso8859-2"))
    rows, reading = read(path, SourceOptions(settings={"encoding": "iso8859-2"}))
    assert rows[0]["description"] == "Deviza átutalás ő"
    assert "encoding" not in reading.inferred
    with pytest.raises(InputError, match="unknown setting 'delimiter'") as caught:
        read(path, SourceOptions(settings={"delimiter": ";"}))
    assert caught.value.place.field == "settings.delimiter"


def test_bytes_of_another_encoding_are_not_lost(write: Writer) -> None:
    lines = [f"{ENTRY}:86:Grüße\n".encode()] * 3 + [f"{ENTRY}:86:Grüße\n".encode("cp1252")]
    rows, _ = read(write(HEAD.encode() + b"".join(lines)))
    assert {row["description"] for row in rows} == {"Grüße"}


def test_control_characters_say_nothing(write: Writer) -> None:
    (row,), _ = read(write(f"\x01{HEAD}{ENTRY}:86:a\x00b\tc\x1fd\x03\n"))
    assert row["description"] == "ab cd"


def test_wrapped_time_is_no_field(write: Writer) -> None:
    full = "106?00FEE?20" + "x" * 33 + " 12-09-2026T16"
    (row,), reading = read(write(f"{HEAD}{ENTRY}:86:{full}\n:20:37 more\n:62F:C260302EUR1,\n"))
    assert str(row["description"]).endswith("T16:20:37 more")
    assert [one.ties for one in reading.statements] == [True]


def test_unlimited_information_is_held_in_part_and_counted(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mt940_statement, "FIELD_CHARACTERS", 50)
    monkeypatch.setattr(mt940, "LINE_CHARACTERS", 40)
    (row,), reading = read(write(f"{HEAD}{ENTRY}:86:" + "x" * 100 + "\n" + "y" * 30 + "\n:62F:C260302EUR1,\n"))
    assert row["description"] == "x" * 36 + " " + "y" * 13
    assert attributes(row)["characters_left_out"] == 64 + 17
    assert reading.statements[0].ties


class TestRefusals:
    """What is no bank statement of this format."""

    @pytest.mark.parametrize("content", [b"\n", b"text\nmore\n", b":86:091\n", b":NS:\n", b"\x00\x01\x02", b"20:S\n"])
    def test_no_field_of_a_statement(self, write: Writer, content: bytes) -> None:
        with pytest.raises(InputError, match="no bank statement") as caught:
            read(write(content))
        assert caught.value.place.file is not None

    @pytest.mark.parametrize(
        ("head", "name", "score"),
        [
            (b"{1:F01X}{2:O940X}{4:\r\n:20:S\r\n:60F:C260301EUR0,\r\n", "x.txt", 95),
            (b"\x01\n:20:S\n:25:1\n:28C:1\n", "x", 90),
            (b"\xef\xbb\xbf:20:S\n:28C:1\n", "x", 90),
            (":20:S\n:28C:1\n".encode("utf-16"), "x", 90),
            (b":20:S\r:28C:1\r", "x", 90),
            (b":61:260302C1,NTRF\n", "x.STA", 60),
            (b":61:260302C1,NTRF\n", "x", 30),
            (b":20:S\n:23B:CRED\n:32A:260302EUR1,\n", "x.sta", 0),
            (b"{1:F01X}{2:I103X}{4:\n:20:S\n", "x", 0),
            (b"a,b\n1,:61:\n", "x.csv", 0),
            (b"", "x.sta", 0),
        ],
    )
    def test_sniff(self, head: bytes, name: str, score: int) -> None:
        assert mt940.SOURCE.sniff(head, name) == score

    @pytest.mark.parametrize("name", ["structured.sta", "slashes.sta", "interim.sta", "numbered.sta"])
    def test_format_is_recognised_under_any_name(self, tmp_path: Path, name: str) -> None:
        for suffix in ("sta", "txt", "csv"):
            path = tmp_path / f"file.{suffix}"
            path.write_bytes((FIXTURES / name).read_bytes())
            assert catalogue.source_for(path) is mt940.SOURCE


def test_chunks_stream(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mt940, "CHUNK_ROWS", 2)
    monkeypatch.setattr(drafting, "CHUNK_ROWS", 2)
    drafts = mt940.SOURCE.read(write(HEAD + ENTRY * 5), SourceOptions()).drafts
    assert isinstance(drafts, Iterator)
    assert [len(chunk["line"]) for chunk in drafts] == [2, 2, 1]


def test_entries_wait_for_their_currency_in_bounded_number(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mt940, "CHUNK_ROWS", 2)
    monkeypatch.setattr(drafting, "CHUNK_ROWS", 2)
    rows, reading = read(write(":20:S\n" + ENTRY * 3 + ":62F:C260302EUR3,\n"))
    assert [row.get("currency") for row in rows] == [None, None, "EUR"]
    assert (reading.statements[0].sum, reading.statements[0].lines) == ("3.00", 3)


@needs_real_data
class TestRealFiles:
    """Statements that another project collected from banks and tools."""

    def test_every_line_and_every_balance(self) -> None:
        """One statement for each `:20:`, page by page; a balance without a currency is none; `-` ends no statement.

        Joining pages would make 95 that tie, lending a balance its neighbour's currency 104; ending statements at `-`
        would turn one gap into a tie and an entry without an account.
        """
        files = sorted(path for path in REAL.rglob("*") if path.suffix in (".sta", ".txt"))
        refused: list[str] = []
        drafts = rejections = 0
        ties: Counter[bool | None] = Counter()
        for path in files:
            try:
                rows, reading = read(path)
            except InputError:
                refused.append(path.name)
                continue
            drafts += len(rows)
            rejections += len(reading.rejections)
            ties.update(statement.ties for statement in reading.statements)
        assert len(files) == 45
        assert refused == ["empty_86.sta", "empty_non_swift.sta", "invalid_statement.sta"]
        assert (drafts, rejections) == (193, 0)
        assert (ties[True], ties[False]) == (101, 9)

    def test_reversals_tie(self) -> None:
        rows, reading = read(REAL / "betterplace" / "sepa_mt9401.sta")
        assert (len(rows), len(reading.statements)) == (97, 26)
        assert all(statement.ties for statement in reading.statements)
        assert sum(Decimal(str(row["amount"])) for row in rows) == Decimal("-9269135.90")
        assert any(attributes(row).get("reversal") for row in rows)

    @pytest.mark.parametrize("name", ["mt940.txt", "mt940_with_spaces_for_entry_date.txt"])
    def test_entry_dates_of_blanks(self, name: str) -> None:
        rows, reading = read(REAL / "ASNB" / name)
        assert len(rows) == 8
        assert sum(Decimal(str(row["amount"])) for row in rows) == Decimal("56.94")
        assert all(statement.ties for statement in reading.statements)
        assert rows[0]["date"] == "2020-01-01"

    def test_interim_report_and_statement_of_one_day_say_the_same(self) -> None:
        interim, _ = read(REAL / "mBank" / "mt942.sta")
        final, _ = read(REAL / "mBank" / "mt940.sta")
        assert [row.pop("line") for row in interim] != [row.pop("line") for row in final]
        assert interim == final


@pytest.mark.slow
def test_memory_does_not_follow_the_file(tmp_path: Path) -> None:
    """50 MB of entries, one of them with 20 MB of information, in a process of its own."""
    script = dedent("""
        import resource, sys
        from pathlib import Path
        from tieout.adapters.sources.mt940.source import SOURCE
        from tieout.model.reading import SourceOptions
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        reading = SOURCE.read(Path(sys.argv[1]), SourceOptions())
        rows = sum(len(chunk["line"]) for chunk in reading.drafts)
        print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """)
    path = tmp_path / "large.sta"
    with path.open("w") as file:
        file.write(HEAD)
        for _ in range(300_000):
            file.write(ENTRY + ":86:166?00CREDIT?20EREF+INVOICE-1?21SVWZ+What it is for?32Example Ltd\n")
        file.write(f"{ENTRY}:86:" + "x" * 20_000_000 + "\n" + ":62F:C260302EUR300001,\n")
    assert path.stat().st_size > 45_000_000
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    rows, grown_megabytes = map(int, done.stdout.split())
    assert rows == 300_001
    assert grown_megabytes < 150

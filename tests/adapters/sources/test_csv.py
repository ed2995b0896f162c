"""What a table's texts become: declared mappings, amounts, dates, instants, and what is concluded by itself."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from tieout.adapters.sources.csv.source import SOURCE
from tieout.model.errors import InputError
from tieout.model.reading import DraftQuery, Reading, SourceOptions

Row = dict[str, object]
FIXTURES = Path(__file__).parent / "fixtures" / "csv"


def drafts_of(reading: Reading) -> list[Row]:
    """The drafts of a reading, as the engine sees them; blanks left out."""
    assert isinstance(reading.drafts, DraftQuery)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")  # a result must not depend on the session
        cursor = connection.execute(reading.drafts.sql, reading.drafts.parameters)
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def read(directory: Path, text: str, options: SourceOptions | None = None) -> tuple[list[Row], Reading]:
    path = directory / "table.csv"
    path.write_text(text, encoding="utf-8", newline="")
    reading = SOURCE.read(path, options or SourceOptions())
    return drafts_of(reading), reading


def column(directory: Path, name: str, cells: list[str], entry: object = "x", **more: object) -> list[object]:
    """One draft column of a table with one column of text, `x`, under a declared mapping."""
    text = "n|x\n" + "".join(f"{number}|{cell}\n" for number, cell in enumerate(cells))
    options = SourceOptions(
        kind="payment",
        currency=str(more.pop("currency", "EUR")),
        zone=str(more.pop("zone", "UTC")),
        mapping={name: entry},
        settings={"delimiter": "|", "quote": "", **more},
    )
    return [row.get(name) for row in read(directory, text, options)[0]]


@pytest.mark.parametrize("case", sorted(FIXTURES.glob("*.csv")), ids=lambda path: path.stem)
def test_golden(case: Path) -> None:
    """Each sample beside what it must give: `<name>.json` holds the drafts and what the reader says."""
    reading = SOURCE.read(case, SourceOptions())
    expected = json.loads(case.with_suffix(".json").read_text(encoding="utf-8"))
    assert drafts_of(reading) == expected["drafts"]
    assert reading.inferred == expected["inferred"]
    assert [[rejection.line, rejection.reason] for rejection in reading.rejections] == expected["rejections"]


AMOUNTS = {
    "plain": (["1", "-1.5", "+2.25", "0001"], {}, ["1", "-1.5", "+2.25", "0001"]),
    "grouped": (["1,234.56", "-12,345,678.90", "999.99"], {}, ["1234.56", "-12345678.90", "999.99"]),
    "decimal comma": (["1.234,56", "-4,50", "12", "0,5"], {}, ["1234.56", "-4.50", "12", "0.5"]),
    "apostrophes": (["11'373.94", "1’000.00", "5.00"], {}, ["11373.94", "1000.00", "5.00"]),
    "spaces": (["1 234,56", "1\u00a0234,56", "-1\u202f234,5"], {}, ["1234.56", "1234.56", "-1234.5"]),
    "symbols": (["¥20", "¥1,036", "-¥5", "¥-5", "(¥5)"], {"currency": "JPY"}, ["20", "1036", "-5", "-5", "-5"]),
    "codes": (["EUR 20.00", "1,036.47EUR"], {}, ["20.00", "1036.47"]),
    "symbols behind": (["20,00 €", "-1.036,47 €", "7,00€"], {}, ["20.00", "-1036.47", "7.00"]),
    "parentheses": (["(1,234.50)", "( 2.00 )", "3.00"], {}, ["-1234.50", "-2.00", "3.00"]),
    "trailing minus": (["10.00-", "1,000.00 -", "5.00"], {}, ["-10.00", "-1000.00", "5.00"]),
    "true minus": (["−10.00", "5.00"], {}, ["-10.00", "5.00"]),
    "CR and DR": (["10.00 CR", "10.00 DR", "7.00dr"], {}, ["10.00", "-10.00", "-7.00"]),
    "no leading zero": ([".5", "-.25", "1.00"], {}, ["0.5", "-0.25", "1.00"]),
    "declared comma": (["1.234", "5,5"], {"decimal": ","}, ["1234", "5.5"]),
    "declared point": (["1,234", "5.5"], {"decimal": "."}, ["1234", "5.5"]),
    "declared thousands": (["1_234.5", "2.5"], {"decimal": ".", "thousands": "_"}, ["1234.5", "2.5"]),
}


@pytest.mark.parametrize(("cells", "settings", "amounts"), AMOUNTS.values(), ids=AMOUNTS)
def test_amounts(tmp_path: Path, cells: list[str], settings: dict[str, object], amounts: list[str]) -> None:
    assert column(tmp_path, "amount", cells, **settings) == amounts


@pytest.mark.parametrize(
    "garbled",
    ["12..34", "1_000", "1e5", "1E5", "NaN", "Infinity", "-", "", "١٢٣", "１２３", "0x10", "--5", "(5", "5)", "-5-",
     "(-5.00)", "1,23,4.5", "12,34.56", "$$5", "$5", "£5.00", "5 XX", "5 EURO", "1.2.3", "5.", "1,234,56",
     "1 2 3", "5;"],
)  # fmt: skip
@pytest.mark.parametrize("decimal", [None, ".", ","])
def test_what_is_no_amount_comes_out_as_it_was(tmp_path: Path, garbled: str, decimal: str | None) -> None:
    entry = "x" if decimal is None else {"from": "x", "decimal": decimal}
    sound = ["1.50", "-2.25", "3.00"] if decimal != "," else ["1,50", "-2,25", "3,00"]
    found = column(tmp_path, "amount", [*sound, garbled], entry)
    assert found[-1] == (garbled or None)
    assert found[:3] == ["1.50", "-2.25", "3.00"]


def test_a_code_beside_the_amount_is_the_rows_currency(tmp_path: Path) -> None:
    options = SourceOptions(kind="payment", currency="EUR", mapping={"amount": "a"})
    rows, _ = read(tmp_path, "a,b\n1.00,x\n2.00USD,x\nCHF 3.00,x\n", options)
    assert [(row["amount"], row["currency"]) for row in rows] == [("1.00", "EUR"), ("2.00", "USD"), ("3.00", "CHF")]


def test_negate_and_minor(tmp_path: Path) -> None:
    cells = ["100", "-5", "+7", "0", "x", "1.5", "1234567890123456789"]
    strange = [f"{cell} minor units" for cell in cells[4:]]
    entry = {"from": "x", "minor": True}
    assert column(tmp_path, "amount", cells, entry) == ["1.00", "-0.05", "0.07", "0.00", *strange]
    assert column(tmp_path, "amount", cells[:2], entry, currency="JPY") == ["100", "-5"]
    assert column(tmp_path, "amount", cells[:2], entry, currency="KWD") == ["0.100", "-0.005"]
    assert column(tmp_path, "amount", cells[:2], entry, currency="CLF") == ["0.0100", "-0.0005"]
    assert column(tmp_path, "amount", ["5"], entry, currency="XXX") == ["5 minor units"]
    assert column(tmp_path, "amount", ["1.50", "-2", "+3", "x"], {"from": "x", "negate": True}) == [
        "-1.50", "2", "-3", "x",
    ]  # fmt: skip


def test_minor_units_by_the_currency_of_each_row(tmp_path: Path) -> None:
    options = SourceOptions(kind="payment", mapping={"amount": {"from": "a", "minor": True}, "currency": "c"})
    rows, _ = read(tmp_path, "a,c\n150,usd\n150,JPY\n150,BHD\n150,\n150,???\n", options)
    assert [row["amount"] for row in rows] == ["1.50", "150", "0.150", "150 minor units", "150 minor units"]


def test_credit_and_debit(tmp_path: Path) -> None:
    table = "in,out\n10.00,\n,4.50\n0.00,3.00\n7.00,0\n10.00,2.25\n,\nx,\n,12..3\n1.00,y\n"
    options = SourceOptions(kind="payment", currency="EUR", mapping={"amount": {"credit": "in", "debit": "out"}})
    rows, _ = read(tmp_path, table, options)
    amounts = [row.get("amount") for row in rows]
    assert amounts == ["10.00", "-4.50", "-3.00", "7.00", "7.75", None, "x", "12..3", "1.00 / y"]


def test_debits_that_carry_their_minus(tmp_path: Path) -> None:
    rows, reading = read(tmp_path, "Date,Credit,Debit\n2026-01-01,10.00,\n2026-01-02,,-4.50\n")
    assert [row["amount"] for row in rows] == ["10.00", "-4.50"]
    assert "carry a minus" in reading.inferred["amount"]


def test_sign_from_another_column(tmp_path: Path) -> None:
    table = "sum,way\n10.00,S\n5.00,H\n4.00, debit \n3.00,?\n"
    entry = {"from": "sum", "sign_from": "way", "negative": ["s", "Debit"]}
    rows, _ = read(tmp_path, table, SourceOptions(kind="payment", mapping={"amount": entry}))
    assert [row["amount"] for row in rows] == ["-10.00", "5.00", "-4.00", "3.00"]


def test_an_unknown_direction_is_not_believed(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "Date,Amount,Type\n2026-01-01,1.00,debit\n2026-01-01,2.00,credit\n2026-01-01,3.00,dbit\n")
    assert [row["amount"] for row in rows] == ["-1.00", "2.00", "3.00 (dbit)"]


DATES = {
    "canonical": (["2026-03-04", "x"], "UTC", ["2026-03-04", "x"]),
    "dmy by evidence": (["03/04/2026", "13/04/2026", "31/02/2026"], "UTC", ["2026-04-03", "2026-04-13", "31/02/2026"]),
    "mdy by evidence": (["03/04/2026", "03/31/2026", "13/13/2026"], "UTC", ["2026-03-04", "2026-03-31", "13/13/2026"]),
    "points": (["1.2.2026", "03.04.26", "9.9.9"], "UTC", ["2026-02-01", "2026-04-03", "9.9.9"]),
    "compact": (["20260304", "20261231", "2026034"], "UTC", ["2026-03-04", "2026-12-31", "2026034"]),
    "month names": (["23-Jan-15", "1-Feb-2016", "Jan 3, 2017"], "UTC", ["2015-01-23", "2016-02-01", "2017-01-03"]),
    "Japanese": (["2026年4月2日", "2026/04/03"], "UTC", ["2026-04-02", "2026-04-03"]),
    "of instants": (["2026-01-01T23:30:00Z", "2026-01-01T23:30:00-05:00"], "Asia/Tokyo", ["2026-01-01"] * 2),
    "year 26 is not year 2026": (["01/13/2026", "01/14/26"], "UTC", ["2026-01-13", "2026-01-14"]),
}


@pytest.mark.parametrize(("cells", "zone", "days"), DATES.values(), ids=DATES)
def test_dates(tmp_path: Path, cells: list[str], zone: str, days: list[str]) -> None:
    assert column(tmp_path, "date", cells, zone=zone) == days


def test_a_declared_format_is_the_only_one(tmp_path: Path) -> None:
    entry = {"from": "x", "format": "%d/%m/%Y"}
    assert column(tmp_path, "date", ["01/02/2026", "01/02/26", "2026-02-01"], entry) == [
        "2026-02-01", "01/02/26", "2026-02-01",
    ]  # fmt: skip


def test_the_order_of_ambiguous_dates(tmp_path: Path) -> None:
    table = "date{}amount{}x\n03/04/2026{}1.00{}y\n"
    cases = {",": "2026-03-04", ";": "2026-04-03"}
    for delimiter, day in cases.items():
        rows, reading = read(tmp_path, table.format(*[delimiter] * 4))
        assert rows[0]["date"] == day
        assert "ambiguous" in reading.inferred["date"]
    rows, reading = read(tmp_path, table.format(*[","] * 4), SourceOptions(settings={"date_order": "dmy"}))
    assert rows[0]["date"] == "2026-04-03"
    assert "as declared" in reading.inferred["date"]


def test_the_order_is_decided_by_rows_far_down(tmp_path: Path) -> None:
    days = ["01/02/2026"] * 60_000 + ["25/02/2026"] * 1_000
    rows, reading = read(tmp_path, "date,amount,text\n" + "".join(f"{day},1.00,some words\n" for day in days))
    assert rows[0]["date"] == "2026-02-01"
    assert reading.inferred["date"].startswith("column 'date', dmy")


INSTANTS = {
    "UTC": ("2026-01-02 03:04:05", "UTC", "2026-01-02T03:04:05.000000Z"),
    "no seconds": ("2026-01-02 03:04", "UTC", "2026-01-02T03:04:00.000000Z"),
    "T": ("2026-01-02T03:04:05.25", "UTC", "2026-01-02T03:04:05.250000Z"),
    "Z": ("2026-01-02T03:04:05Z", "Europe/Berlin", "2026-01-02T03:04:05Z"),
    "zone": ("2026-07-02 03:04:05", "Europe/Berlin", "2026-07-02T01:04:05.000000Z"),
    "offset": ("2026-01-02T03:04:05+01:00", "UTC", "2026-01-02T02:04:05.000000Z"),
    "offset after a blank": ("2026-01-02 03:04:05 +0530", "UTC", "2026-01-01T21:34:05.000000Z"),
    "named UTC": ("2026-01-02 03:04:05 UTC", "Europe/Berlin", "2026-01-02T03:04:05.000000Z"),
    "fourteen hours": ("2026-01-02T03:04:05+14:00", "UTC", "2026-01-01T13:04:05.000000Z"),
    "fifteen hours": ("2026-01-02T03:04:05+15:00", "UTC", "2026-01-02T03:04:05+15:00"),
    "skipped by the clock": ("2026-03-29 02:30:00", "Europe/Berlin", "2026-03-29 02:30:00"),
    "twice on the clock": ("2026-10-25 02:30:00", "Europe/Berlin", "2026-10-25T01:30:00.000000Z"),
    "half past": ("13/02/2026 03:04 PM", "UTC", "2026-02-13T15:04:00.000000Z"),
    "hour 24": ("2026-01-02 24:00:00", "UTC", "2026-01-02 24:00:00"),
    "leap second": ("2026-01-02 23:59:60", "UTC", "2026-01-02 23:59:60"),
}


@pytest.mark.parametrize(("cell", "zone", "instant"), INSTANTS.values(), ids=INSTANTS)
def test_instants(tmp_path: Path, cell: str, zone: str, instant: str) -> None:
    assert column(tmp_path, "time", [cell], zone=zone) == [instant]


def test_an_instant_from_two_columns(tmp_path: Path) -> None:
    options = SourceOptions(kind="payment", zone="Europe/Berlin", mapping={"time": {"from": ["d", "t"]}})
    rows, _ = read(tmp_path, "d,t\n01.07.2026,12:30\n02.07.2026,\n31.12.2026,23:59\n", options)
    assert [row.get("time") for row in rows] == ["2026-07-01T10:30:00.000000Z", None, "2026-12-31T22:59:00.000000Z"]


def test_texts_patterns_words_and_constants(tmp_path: Path) -> None:
    options = SourceOptions(
        kind="payment",
        mapping={
            "reference": {"from": "memo", "pattern": "(INV-[0-9]+)"},
            "status": {"from": "state", "map": {"bezahlt": "PAID"}},
            "description": {"from": ["memo", "more"]},
            "order_ref": {"from": ["o1", "o2"]},
            "account": {"value": "main"},
            "amount": {"from": "memo", "pattern": "for ([0-9.]+)"},
            "attributes": ["state", "o 'quoted\" 1"],
        },
    )
    table = 'memo,more,state,o1,o2,"o \'quoted"" 1"\npays INV-12 for 3.50,now,bezahlt,,B,"x""y"\nnothing,,offen,A,B,\n'
    rows, _ = read(tmp_path, table, options)
    assert [row.get("reference") for row in rows] == ["INV-12", None]
    assert [row.get("status") for row in rows] == ["paid", "offen"]
    assert [row.get("description") for row in rows] == ["pays INV-12 for 3.50 now", "nothing"]
    assert [row.get("order_ref") for row in rows] == ["B", "A"]
    assert {row.get("account") for row in rows} == {"main"}
    assert [row.get("amount") for row in rows] == ["3.50", "nothing"]
    assert [json.loads(str(row["attributes"])) for row in rows] == [
        {"o 'quoted\" 1": 'x"y', "state": "bezahlt"},
        {"state": "offen"},
    ]


def test_a_column_that_the_file_lacks(tmp_path: Path) -> None:
    options = SourceOptions(mapping={"amount": "Betrg"})
    with pytest.raises(InputError) as refused:
        read(tmp_path, "Datum;Betrag\n2026-01-01;1,00\n", options)
    assert refused.value.code == "schema_change"
    assert refused.value.place.field == "mapping.amount"
    assert "did you mean 'Betrag'?" in refused.value.hint
    assert "Datum, Betrag" in refused.value.hint


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        ({"amout": "x"}, "mapping.amout"),
        ({"amount": {"frm": "x"}}, "mapping.amount.frm"),
        ({"amount": {"credit": "x"}}, "mapping.amount"),
        ({"amount": {"from": "x", "decimal": ";"}}, "mapping.amount.decimal"),
        ({"amount": {"from": "x", "negate": "yes"}}, "mapping.amount.negate"),
        ({"reference": {"from": "x", "negate": True}}, "mapping.reference.negate"),
        ({"reference": {"from": "x", "pattern": "(unclosed"}}, "mapping.reference"),
        ({"date": {"from": "x", "format": "%Q"}}, "mapping.date"),
        ({"amount": {"from": "x", "format": "%d"}}, "mapping.amount.format"),
        ({"amount": {"negate": True}}, "mapping.amount"),
        ({"attributes": 5}, "mapping.attributes"),
    ],
)
def test_mappings_that_make_no_sense(tmp_path: Path, mapping: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, "x,y\n1,2\n", SourceOptions(mapping=mapping))
    assert refused.value.place.field == field
    assert refused.value.hint


def test_an_unknown_zone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown zone"):
        read(tmp_path, "x,y\n1,2\n", SourceOptions(zone="Mars/Base"))


def test_names_and_values_never_become_sql(tmp_path: Path) -> None:
    name = "x'; DROP TABLE a; --\""
    table = f'"{name.replace(chr(34), chr(34) * 2)}",amount\nit\'s,1.00\n'
    mapping = {"reference": name, "account": {"value": "'; SELECT 1; --"}}
    rows, _ = read(tmp_path, table, SourceOptions(kind="payment", mapping=mapping))
    assert rows[0]["reference"] == "it's"
    assert rows[0]["account"] == "'; SELECT 1; --"


CURRENCIES = {
    "header": ("Date,Amount (EUR)\n2026-01-01,1.00\n", "EUR"),
    "header word": ("Date,Amount in USD\n2026-01-01,1.00\n", "USD"),
    "beside the amount": ("Date,Amount\n2026-01-01,1.00 SEK\n2026-01-02,SEK 2.00\n", "SEK"),
    "euro sign": ("Date,Amount\n2026-01-01,€1.00\n", "EUR"),
    "dollar sign": ("Date,Amount\n2026-01-01,$1.00\n", None),
    "column": ("Date,Amount,Ccy\n2026-01-01,1.00,gbp\n", "GBP"),
    "nowhere": ("Date,Amount\n2026-01-01,1.00\n", None),
}


@pytest.mark.parametrize(("table", "currency"), CURRENCIES.values(), ids=CURRENCIES)
def test_currencies(tmp_path: Path, table: str, currency: str | None) -> None:
    rows, reading = read(tmp_path, table)
    assert rows[0].get("currency") == currency
    assert rows[0]["amount"] == "1.00"
    assert currency is not None or "declare currency" in reading.inferred["currency"]


def test_a_code_that_is_not_the_currency_stays_beside_the_amount(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "Date,Amount,Ccy\n2026-01-01,USD 1.00,EUR\n2026-01-01,2.00,EUR\n2026-01-01,3.00,EUR\n")
    assert [row["amount"] for row in rows] == ["USD 1.00", "2.00", "3.00"]


def test_the_default_currency_fills_blanks(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "Date,Amount,Ccy\n2026-01-01,1.00,EUR\n2026-01-01,2.00,\n", SourceOptions(currency="CHF"))
    assert [row["currency"] for row in rows] == ["EUR", "CHF"]


KINDS = {
    "statement": ("Date,Amount,Balance\n2026-01-01,1.00,5.00\n", "bank_line"),
    "no ids": ("Date,Amount\n2026-01-01,1.00\n", "bank_line"),
    "charge": ("id,date,amount,currency\nch_1,2026-01-05,1.00,usd\npy_2,2026-01-05,1.00,usd\nch_3,,1.00,\n", "charge"),
    "invoice": ("Invoice Number,Date,Total\nA-1,2026-01-01,1.00\nA-2,2026-01-01,2.00\n", "invoice"),
    "payment": ("Payment ID,Date,Amount,Invoice Number\n1,2026-01-01,1.00,A-1\n2,2026-01-01,2.00,A-1\n", "payment"),
    "ledger": ("JournalNumber,Date,Amount\n1,2026-01-01,1.00\n", "ledger_entry"),
    "order": ("Order ID,Date,Total\n1,2026-01-01,1.00\n", "order"),
}  # fmt: skip


@pytest.mark.parametrize(("table", "kind"), KINDS.values(), ids=KINDS)
def test_kinds(tmp_path: Path, table: str, kind: str) -> None:
    rows, reading = read(tmp_path, table)
    assert {row["kind"] for row in rows} == {kind}
    assert reading.inferred["kind"].startswith(kind)


def test_an_id_must_be_unique_and_filled(tmp_path: Path) -> None:
    for ids, derived in ((("a", "b"), False), (("a", "a"), True), (("a", ""), True)):
        rows, reading = read(tmp_path, f"id,date,amount\n{ids[0]},2026-01-01,1.00\n{ids[1]},2026-01-01,1.00\n")
        assert ("native_id" in rows[0]) != derived
        assert reading.derived_ids is derived


def test_what_is_declared_is_not_guessed(tmp_path: Path) -> None:
    table = "Date,Amount,Other,Note\n2026-01-01,1.00,2.00,n\n"
    rows, reading = read(tmp_path, table, SourceOptions(mapping={"amount": "Other", "description": None}))
    assert rows[0]["amount"] == "2.00"
    assert "description" not in rows[0]
    assert "amount" not in reading.inferred


def test_a_number_under_an_unknown_header_is_no_amount_unless_it_is_the_only_one(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "Date,Quantity,Booked\n2026-01-01,5,1.50\n")
    assert rows[0]["amount"] == "1.50"
    for table in ("Date,Quantity\n2026-01-01,5\n", "Date,Weight,Height\n2026-01-01,1.50,2.50\n"):
        rows, _ = read(tmp_path, table)
        assert "amount" not in rows[0]


def test_the_line_that_tells_spreadsheets_the_delimiter(tmp_path: Path) -> None:
    rows, reading = read(tmp_path, "sep=;\nDate;Amount\n2026-01-01;1,50\n")
    assert (rows[0]["line"], rows[0]["amount"]) == (3, "1.50")
    assert reading.inferred["delimiter"].startswith("semicolon")


def test_sniffing() -> None:
    assert SOURCE.sniff(b"a,b\n1,2\n", "x.csv") == 50
    assert SOURCE.sniff("a,b\n1,2\n".encode("utf-16"), "x.csv") == 50
    assert SOURCE.sniff(b"a;b\n1;2\n", "export") == 20
    for head in (
        b"<?xml version='1.0'?>",
        b'{"a": 1}',
        b"[1,2]",
        b":20:START\n:25:1,2\n",
        b"PAR1\0\0",
        b"only words\n",
    ):
        assert SOURCE.sniff(head, "export") == 0

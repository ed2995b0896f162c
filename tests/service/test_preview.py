"""A file read without a workspace: the same records whatever the format, in line order, and nothing left behind."""

from __future__ import annotations

import json
import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tieout.core.config.parsing import parse_configuration
from tieout.core.starter import starter_configuration
from tieout.model.configuration import EngineConfig, SourceConfig
from tieout.model.errors import InputError, UsageError
from tieout.model.reading import SourceOptions
from tieout.service.preview import CHUNK_LINES, RECORD_KEYS, preview
from tieout.service.starting import starter_source

SOURCE = SourceConfig(name="preview")
CSV = """\
id,date,amount,fee,currency,description
a,2026-09-01,10.00,0.30,EUR,first
b,2026-09-02,-1000,,JPY,second
c,2026-09-03,1.2345,,EUR,too fine
d,2026-09-04,5.000,,KWD,fils
"""


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, so that what is left behind can be seen."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def test_records_are_exact_text_in_line_order(tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(CSV)
    with preview(path, SOURCE) as shown:
        records = list(shown.records())
        assert (shown.rows_read, shown.records_count, shown.quarantined_count) == (4, 3, 1)
        assert [tuple(record) for record in records] == [RECORD_KEYS] * 3
        assert [(record["line"], record["amount"], record["fee"], record["currency"]) for record in records] == [
            (2, "10.00", "0.30", "EUR"),
            (3, "-1000", None, "JPY"),
            (5, "5.000", None, "KWD"),
        ]
        assert [(one.line, one.field, one.text) for one in shown.quarantined] == [(4, "amount", "1.2345")]
        assert {total.currency: total.amount_minor for total in shown.totals} == {
            "EUR": 1000,
            "JPY": -1000,
            "KWD": 5000,
        }
        assert list(shown.records(limit=1)) == records[:1]
        assert list(shown.records(limit=0)) == []
    assert list(scratch.iterdir()) == []


def test_one_content_in_three_formats_gives_the_same_records(tmp_path: Path) -> None:
    rows = [("a", "2026-09-01", "10.00", "EUR"), ("b", "2026-09-02", "-2.50", "EUR")]
    names = ("id", "date", "amount", "currency")
    (tmp_path / "r.csv").write_text("\n".join(",".join(row) for row in (names, *rows)) + "\n")
    (tmp_path / "r.json").write_text(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
    values = ", ".join(f"('{i}', DATE '{day}', {amount}::DECIMAL(18,2), '{unit}')" for i, day, amount, unit in rows)
    target = tmp_path / "r.parquet"
    duckdb.sql(f"COPY (SELECT * FROM (VALUES {values}) AS r(id, date, amount, currency)) TO '{target}'")
    found = []
    source = SourceConfig(name="x", options=SourceOptions(kind="payment"))
    for suffix in ("csv", "json", "parquet"):
        with preview(tmp_path / f"r.{suffix}", source) as shown:
            assert shown.format == suffix
            found.append([{key: record[key] for key in RECORD_KEYS if key != "line"} for record in shown.records()])
    assert found[0] == found[1] == found[2]
    assert [record["amount"] for record in found[0]] == ["10.00", "-2.50"]


def test_records_of_several_chunks_and_their_limit(tmp_path: Path) -> None:
    count = CHUNK_LINES * 2 + 10
    path = tmp_path / "rows.csv"
    path.write_text("id,date,amount,currency\n" + "".join(f"r{row},2026-09-01,1.00,EUR\n" for row in range(count)))
    with preview(path, SOURCE, engine=EngineConfig(threads=2)) as shown:
        ids = [record["native_id"] for record in shown.records()]
        assert ids == [f"r{row}" for row in range(count)]
        assert len(list(shown.records(limit=CHUNK_LINES + 5))) == CHUNK_LINES + 5
        assert shown.totals[0].amount_minor == count * 100


def test_records_on_one_line_stay_in_their_order(tmp_path: Path) -> None:
    entries = "".join(
        f"<Ntry><Amt Ccy='EUR'>{number}.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>"
        f"<BookgDt><Dt>2026-09-{number:02}</Dt></BookgDt></Ntry>"
        for number in range(1, 20)
    )
    path = tmp_path / "one-line.xml"
    path.write_text(
        "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.02'><BkToCstmrStmt><Stmt><Id>S</Id>"
        f"<Acct><Id><IBAN>DE02120300000000202051</IBAN></Id></Acct>{entries}</Stmt></BkToCstmrStmt></Document>"
    )
    with preview(path, SOURCE) as shown:
        records = list(shown.records())
    assert {record["line"] for record in records} == {1}
    assert sorted(Decimal(str(record["amount"])) for record in records) == [Decimal(one) for one in range(1, 20)]
    with preview(path, SOURCE) as again:
        assert list(again.records()) == records


def test_a_file_of_faults_only(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,date,amount,currency\na,2026-02-30,1.00,EUR\nb,2026-09-01,1.00,XXY\n")
    mapping = {"native_id": "id", "date": "date", "amount": "amount", "currency": "currency"}
    options = SourceOptions(kind="payment", mapping=mapping)
    with preview(path, SourceConfig(name="x", options=options)) as shown:
        assert list(shown.records()) == []
        assert shown.totals == ()
        assert shown.quarantined_count == shown.rows_read == 2


def test_what_cannot_be_previewed(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(UsageError), preview(tmp_path / "nowhere.csv", SOURCE):
        pass
    with pytest.raises(UsageError), preview(tmp_path, SOURCE):
        pass
    with pytest.raises(InputError) as refused, preview(tmp_path / "empty.csv", SOURCE):
        pass
    assert refused.value.place.file == "empty.csv"
    with pytest.raises(UsageError), preview(tmp_path / "empty.csv", SOURCE, declared_format="nonsense"):
        pass
    assert list(scratch.iterdir()) == []


def test_a_sample_becomes_a_source_that_reads_it_the_same(tmp_path: Path) -> None:
    path = tmp_path / "invoices.csv"
    path.write_text("invoice_number;issued;total;currency\nINV-1;13.09.2026;1.234,50;EUR\nINV-2;14.09.2026;9,00;EUR\n")
    source = starter_source("invoices", path, "invoices*.csv")
    assert source.mapping["amount"] == {"from": "total", "decimal": ","}
    assert source.mapping["native_id"] == "invoice_number"
    configuration = parse_configuration(starter_configuration("acme", [source]))
    with preview(path, configuration.sources["invoices"]) as shown, preview(path, SOURCE) as plain:
        assert [(record["native_id"], record["amount"], record["date"]) for record in shown.records()] == [
            ("INV-1", "1234.50", date(2026, 9, 13).isoformat()),
            ("INV-2", "9.00", "2026-09-14"),
        ]
        assert shown.totals == plain.totals


def test_a_sample_in_a_format_that_knows_itself_needs_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "objects.jsonl"
    path.write_text(
        json.dumps({"object": "charge", "id": "ch_1", "amount": 1, "currency": "eur", "created": 1790000000})
    )
    source = starter_source("stripe", path, "objects.jsonl")
    assert (source.format, dict(source.mapping)) == ("stripe", {})

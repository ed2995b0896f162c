"""Rows and lines: what is broken is rejected with its line, the rest goes on, and no row is lost or made up."""

from __future__ import annotations

import gc
from pathlib import Path

import duckdb
import pytest

from tieout.adapters.sources.csv.source import SOURCE
from tieout.model.errors import InputError
from tieout.model.reading import DraftQuery, Reading, SourceOptions

Row = dict[str, object]
HEADER = b"id,date,amount,description\n"


def drafts_of(reading: Reading) -> list[Row]:
    """The drafts of a reading, as the engine sees them."""
    assert isinstance(reading.drafts, DraftQuery)
    with duckdb.connect() as connection:
        cursor = connection.execute(reading.drafts.sql, reading.drafts.parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def read(directory: Path, data: bytes, **settings: object) -> tuple[list[Row], Reading]:
    path = directory / "table.csv"
    path.write_bytes(data)
    reading = SOURCE.read(path, SourceOptions(settings=settings))
    return drafts_of(reading), reading


def found(rows: list[Row]) -> dict[object, object]:
    return {row["line"]: row["native_id"] for row in rows}


GOOD = b"a,2026-01-01,1.00,x\n"

BROKEN = {
    "too few columns": (b"b,2026-01-02\n", "2 columns where 4 are expected"),
    "too many columns": (b"b,2026-01-02,1.00,x,y\n", "5 columns where 4 are expected"),
    "text after a quote": (b'b,"2026"-01,1.00,x\n', "quotes do not pair up"),
    "an open quote": (b'b,2026-01-02,1.00,"x\n', "quotes do not pair up"),
    "an open quote with commas": (b'"b,2026-01-02,1.00,x\n', "quotes do not pair up"),
    "NUL": (b"b,2026-01-02,1.00,x\0y\n", "a NUL character"),
    "invalid UTF-8": (b"b,2026-01-02,1.00,\xff\xfe\n", "bytes that are not of the file's encoding"),
    "a lone carriage return": (b"b,2026-01-02,1.00\r,x\n", None),
    "a noncharacter": ("\ufdd0,2026-01-02,1.00,x\n".encode(), "a Unicode noncharacter"),
}


@pytest.mark.parametrize(("broken", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_row_is_rejected_and_the_rest_goes_on(tmp_path: Path, broken: bytes, reason: str | None) -> None:
    data = HEADER + GOOD + broken + b'c,2026-01-03,1.00,"quoted"\n' + b"d,2026-01-04,1.00,\xc3\xa9\n"
    rows, reading = read(tmp_path, data, encoding="utf-8")
    assert [row["native_id"] for row in rows] == ["a", "c", "d"]
    first = reading.rejections[0]
    assert first.line == 3
    assert reason is None or (first.reason == reason and len(reading.rejections) == 1)
    assert len(rows) + len(reading.rejections) == 4 + (reason is None)


def test_an_open_quote_does_not_swallow_the_rest(tmp_path: Path) -> None:
    data = HEADER + b'a,2026-01-01,1.00,"open\n' + b"".join(b"r%d,2026-01-02,2.00,x\n" % n for n in range(5_000))
    rows, reading = read(tmp_path, data)
    assert len(rows) == 5_000
    assert [(r.line, r.text) for r in reading.rejections] == [(2, 'a,2026-01-01,1.00,"open')]
    assert found(rows)[3] == "r0"
    assert found(rows)[5_002] == "r4999"


def test_many_open_quotes_cost_no_square(tmp_path: Path) -> None:
    data = HEADER + b'a,2026-01-01,1.00,"o\n' * 20_000
    rows, reading = read(tmp_path, data, delimiter=",", header=True)
    assert len(rows) + len(reading.rejections) == 20_000


def test_lines_count_blanks_fields_over_lines_and_rejections(tmp_path: Path) -> None:
    data = b"\n\n" + HEADER + b'a,2026-01-01,1.00,"one\ntwo\r\nthree"\n\nb,2026-01-02\n   \nc,2026-01-03,3.00,x'
    rows, reading = read(tmp_path, data)
    assert found(rows) == {4: "a", 10: "c"}
    assert [rejection.line for rejection in reading.rejections] == [8]
    assert rows[0]["description"] == "one\ntwo\r\nthree"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CR LF", "CR"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "unended"])
def test_line_ends(tmp_path: Path, end: bytes, last: bool) -> None:
    lines = [HEADER.strip(), b"a,2026-01-01,1.00,x", b"b,2026-01-02,2.00,", b'c,2026-01-03,3.00,"z"']
    rows, reading = read(tmp_path, end.join(lines) + (end if last else b""))
    assert found(rows) == {2: "a", 3: "b", 4: "c"}
    assert [row["description"] for row in rows] == ["x", None, "z"]
    assert not reading.rejections


@pytest.mark.parametrize("inner", ["\r", "\n", "\r\n"], ids=["CR", "LF", "CR LF"])
@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"], ids=["in CR", "in LF", "in CR LF"])
def test_line_ends_inside_fields(tmp_path: Path, inner: str, end: str) -> None:
    lines = ["id,date,amount,description", f'a,2026-01-01,1.00,"{inner}x{inner}"', f'b,2026-01-02,2.00,"y{inner}"', ""]
    rows, reading = read(tmp_path, end.join(lines).encode())
    assert found(rows) == {2: "a", 5: "b"}
    assert reading.rejections == []
    assert inner in str(rows[1]["description"]) or str(rows[1]["description"]) == "y"


def test_mixed_line_ends(tmp_path: Path) -> None:
    data = HEADER + b"a,2026-01-01,1.00,x\r\nb,2026-01-02,2.00,y\rc,2026-01-03,3.00,z\n"
    rows, _ = read(tmp_path, data)
    assert found(rows) == {2: "a", 3: "b", 4: "c"}


def test_quotes_inside_unquoted_fields_are_text(tmp_path: Path) -> None:
    rows, reading = read(tmp_path, HEADER + b'a,2026-01-01,1.00,5" pipe\nb,2026-01-02,2.00,6" and 7" pipe\n')
    assert [row["description"] for row in rows] == ['5" pipe', '6" and 7" pipe']
    assert not reading.rejections


def test_two_inch_marks_do_not_join_two_lines(tmp_path: Path) -> None:
    # The line has an even number of quotes, yet the second one opens a field that never closes.
    data = HEADER + b'a,2026-01-01,5",""6\nb,2026-01-02,2.00,x\n'
    rows, reading = read(tmp_path, data)
    assert found(rows) == {3: "b"}
    assert [rejection.line for rejection in reading.rejections] == [2]


def test_blanks_around_quotes_are_allowed(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, HEADER + b'a, "2026-01-01" ,"1.00" , "x, y"\n')
    assert (rows[0]["date"], rows[0]["amount"], rows[0]["description"]) == ("2026-01-01", "1.00", "x, y")


def test_a_delimiter_at_the_end_of_every_row_but_the_header(tmp_path: Path) -> None:
    rows, reading = read(tmp_path, HEADER + b"a,2026-01-01,1.00,x,\nb,2026-01-02,2.00,y,\n")
    assert found(rows) == {2: "a", 3: "b"}
    assert not reading.rejections


def test_a_delimiter_at_the_end_of_the_header_only(tmp_path: Path) -> None:
    rows, reading = read(tmp_path, HEADER.strip() + b",\na,2026-01-01,1.00,x\nb,2026-01-02,2.00,y\n")
    assert found(rows) == {2: "a", 3: "b"}
    assert not reading.rejections


@pytest.mark.parametrize("quoted", [True, False])
def test_fields_of_ten_megabytes(tmp_path: Path, quoted: bool) -> None:
    mark = b'"' if quoted else b""
    long = mark + b"x" * 10_000_000 + mark
    data = HEADER + GOOD + b"b,2026-01-02,2.00," + long + b"\nc,2026-01-03,3.00,x\n"
    rows, reading = read(tmp_path, data)
    assert [len(str(row["description"])) for row in rows] == [1, 10_000_000, 1]
    assert not reading.rejections


def test_a_row_of_sixty_megabytes_is_rejected(tmp_path: Path) -> None:
    data = HEADER + GOOD + b"b,2026-01-02,2.00," + b"x" * 60_000_000 + b"\nc,2026-01-03,3.00,x\n"
    rows, reading = read(tmp_path, data)
    assert found(rows) == {2: "a", 4: "c"}
    assert [(r.line, r.reason) for r in reading.rejections] == [(3, "longer than 32 MiB")]


def test_a_long_plain_file_keeps_its_lines(tmp_path: Path) -> None:
    data = HEADER + b"".join(b"%d,2026-01-01,1.00,row %d\n" % (n, n) for n in range(200_000))
    (tmp_path / "table.csv").write_bytes(data)
    reading = SOURCE.read(tmp_path / "table.csv", SourceOptions())
    assert isinstance(reading.drafts, DraftQuery)
    with duckdb.connect() as connection:
        connection.execute("SET threads = 4")
        query = f"SELECT count(*), count(*) FILTER (line <> native_id::BIGINT + 2) FROM ({reading.drafts.sql})"
        assert connection.execute(query, reading.drafts.parameters).fetchall() == [(200_000, 0)]


def test_a_long_file_with_faults_keeps_its_lines(tmp_path: Path) -> None:
    lines = [b"%d,2026-01-01,1.00,row" % n for n in range(100_000)]
    lines[70_000] = b'70000,2026-01-01,1.00,"a\nb"'
    lines[80_000] = b"80000,2026-01-01"
    rows, reading = read(tmp_path, HEADER + b"\n".join(lines))
    assert len(rows) == 99_999
    assert all(row["line"] == int(str(row["native_id"])) + 2 + (int(str(row["native_id"])) > 70_000) for row in rows)
    assert [rejection.line for rejection in reading.rejections] == [80_003]


def test_numbering_refuses_an_engine_that_does_not_keep_order(tmp_path: Path) -> None:
    if duckdb.__version__.startswith("1."):
        pytest.skip("DuckDB 1 numbers rows while it reads them")
    _, reading = read(tmp_path, HEADER + GOOD)
    assert isinstance(reading.drafts, DraftQuery)
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        with pytest.raises(duckdb.Error, match="preserve_insertion_order"):
            connection.execute(reading.drafts.sql, reading.drafts.parameters)


@pytest.mark.parametrize("name", ["a[1].csv", "b*.csv", "c?.csv", "it's.csv", "year=2026.csv", "d.gz"])
def test_names_that_look_like_patterns(tmp_path: Path, name: str) -> None:
    (tmp_path / "a1.csv").write_bytes(HEADER + b"wrong,2026-01-01,1.00,x\n")
    path = tmp_path / name
    path.write_bytes(HEADER + GOOD)
    rows = drafts_of(SOURCE.read(path, SourceOptions()))
    assert [row["native_id"] for row in rows] == ["a"]


def test_the_copy_of_a_mended_file_goes_with_the_reading(tmp_path: Path) -> None:
    _, reading = read(tmp_path, HEADER + GOOD + b"b\n")
    assert isinstance(reading.drafts, DraftQuery)
    copy = Path(str(reading.drafts.parameters["file"]))
    assert copy.exists()
    assert copy != tmp_path / "table.csv"
    del reading
    gc.collect()
    assert not copy.exists()


@pytest.mark.parametrize("data", [b"\n\n", b"\xef\xbb\xbf", b"   \n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError, match="no rows"):
        read(tmp_path, data)


def test_a_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    rows, reading = read(tmp_path, HEADER)
    assert rows == []
    assert reading.rejections == []


ENCODINGS = {
    "utf-8": "Überweisung café",
    "utf-8-sig": "Überweisung café",
    "utf-16": "Überweisung 東京",
    "utf-16-le": "Überweisung and more words",
    "cp1252": "Überweisung – “café” €",
    "latin-1": "Überweisung café",
    "cp932": "株式会社テスト 入金 ｶ)ﾀﾅｶ",
}


@pytest.mark.parametrize(("encoding", "text"), ENCODINGS.items(), ids=ENCODINGS)
def test_encodings_are_found_and_can_be_declared(tmp_path: Path, encoding: str, text: str) -> None:
    header = "日付,金額,摘要" if encoding == "cp932" else "date,amount,description"
    data = f"{header}\n2026-01-01,1.00,{text}\n2026-01-02,2.00,plain\n".encode(encoding)
    for settings in ({}, {"encoding": encoding}):
        rows, reading = read(tmp_path, data, **settings)
        assert [row["description"] for row in rows] == [text, "plain"]
        assert not reading.rejections
        assert ("encoding" in reading.inferred) == (not settings)


def test_one_broken_byte_does_not_make_a_file_western(tmp_path: Path) -> None:
    data = HEADER + "".join(f"k{n},2026-01-01,1.00,é\n" for n in range(5)).encode() + b"bad,2026-01-01,1.00,\xe9\n"
    rows, reading = read(tmp_path, data)
    assert len(rows) == 5
    assert [rejection.line for rejection in reading.rejections] == [7]
    assert "rejected" in reading.inferred["encoding"]


def test_what_cannot_be_decoded_is_rejected(tmp_path: Path) -> None:
    data = "日付,金額,摘要\n2026-01-01,1.00,東京\n".encode("cp932") + b"2026-01-02,2.00,\x81\xff\n2026-01-03,3.00,x\n"
    rows, reading = read(tmp_path, data, encoding="cp932")
    assert [row["date"] for row in rows] == ["2026-01-01", "2026-01-03"]
    assert [rejection.line for rejection in reading.rejections] == [3]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"encoding": "klingon"}, "settings.encoding"),
        ({"delimiter": "ab"}, "settings.delimiter"),
        ({"skip_lines": -1}, "settings.skip_lines"),
        ({"header": "yes"}, "settings.header"),
        ({"date_order": "ydm"}, "settings.date_order"),
        ({"delimeter": ";"}, "settings.delimeter"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, settings: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, HEADER + GOOD, **settings)
    assert refused.value.place.field == field
    assert refused.value.hint

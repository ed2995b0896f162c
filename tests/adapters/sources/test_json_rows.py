"""Generic JSON: framing, strictness, exact numbers, nested names, and what is rejected row by row."""

from __future__ import annotations

import gc
import json
import tempfile
from pathlib import Path
from unittest import mock

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.adapters.sources.json_rows import values as json_values
from tieout.adapters.sources.json_rows.source import SOURCE
from tieout.model.errors import InputError
from tieout.model.reading import DraftQuery, Reading, SourceOptions

Row = dict[str, object]


def drafts_of(reading: Reading) -> list[Row]:
    assert isinstance(reading.drafts, DraftQuery)
    with duckdb.connect() as connection:
        cursor = connection.execute(reading.drafts.sql, reading.drafts.parameters)
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def read(
    directory: Path, text: str | bytes, options: SourceOptions | None = None, name: str = "rows"
) -> tuple[list[Row], Reading]:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    reading = SOURCE.read(path, options or SourceOptions())
    return drafts_of(reading), reading


ONE = '{"id": "a", "date": "2026-01-02", "amount": 1.10, "currency": "eur"}'
TWO = '{"id": "b", "date": "2026-01-03", "amount": -2, "currency": "eur", "note": "x,\\n\\"y\\""}'

FRAMINGS = {
    "list": (f"[{ONE}, {TWO}]", (1, 2)),
    "pretty list": (json.dumps([json.loads(ONE), json.loads(TWO)], indent=2), (1, 2)),
    "lines": (f"{ONE}\n{TWO}\n", (1, 2)),
    "lines with blanks": (f"\n{ONE}\r\n\r\n{TWO}", (2, 4)),
    "one list in an object": (
        f'{{"total": 2, "meta": {{"a": [1, {{}}]}}, "data": [{ONE},{TWO}], "more": false}}',
        (1, 2),
    ),
    "pretty object": ('{\n "rows": [\n' + ONE + ",\n" + TWO + "\n ]\n}\n", (1, 2)),
    "byte order mark": ("\ufeff" + f"[{ONE},{TWO}]", (1, 2)),
}


@pytest.mark.parametrize(("text", "lines"), FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("block", [1 << 18, 7])
def test_framings(tmp_path: Path, text: str, lines: tuple[int, int], block: int) -> None:
    with mock.patch.object(json_values, "_READ_CHARACTERS", block):
        rows, reading = read(tmp_path, text)
    assert [(row["line"], row["native_id"], row["currency"]) for row in rows] == [
        (lines[0], "a", "EUR"),
        (lines[1], "b", "EUR"),
    ]
    assert [row["amount"] in ("1.10", "1.1", "-2") for row in rows] == [True, True]
    assert rows[1]["description"] == 'x,\n"y"' if "description" in rows[1] else True
    assert reading.rejections == []


def test_utf_16(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, f"[{ONE}]".encode("utf-16"))
    assert rows[0]["native_id"] == "a"


def test_numbers_keep_their_text(tmp_path: Path) -> None:
    numbers = ["0.10", "9007199254740993.01", "1E5", "-0.0", "123456789012345678901234567890", "1e400"]
    rows, _ = read(
        tmp_path,
        "\n".join(f'{{"amount": {number}, "id": "x"}}' for number in numbers),
        SourceOptions(kind="payment", mapping={"amount": "amount"}),
    )
    assert [row["amount"] for row in rows] == numbers


BROKEN = {
    "NaN": ('{"id": "x", "amount": NaN}', "NaN is not JSON"),
    "Infinity": ('{"id": "x", "amount": -Infinity}', "-Infinity is not JSON"),
    "duplicate key": ('{"id": "x", "amount": 1, "amount": 2}', "key 'amount' stands twice"),
    "nested duplicate": ('{"id": "x", "a": {"b": 1, "b": 1}}', "key 'b' stands twice"),
    "colliding names": ('{"id": "x", "a.b": 1, "a": {"b": 2}}', "two values for 'a.b'"),
    "no object": ("[1, 2]", "not an object"),
    "NUL": ('{"id": "x\\u0000"}', "a NUL character"),
    "half a pair": ('{"id": "\\ud800"}', "bytes that are not UTF-8, or half a surrogate pair"),
    "trailing comma": ('{"id": "x",}', None),
    "single quotes": ("{'id': 'x'}", None),
    "deep": ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
}


@pytest.mark.parametrize(("broken", "reason"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("framing", ["{0}\n{1}\n{2}\n", "[{0},{1},{2}]", '{{"rows": [{0}, {1}, {2}]}}'])
def test_a_broken_row_is_rejected_and_the_rest_goes_on(
    tmp_path: Path, broken: str, reason: str | None, framing: str
) -> None:
    rows, reading = read(tmp_path, framing.format(ONE, broken, TWO))
    assert [row["native_id"] for row in rows] == ["a", "b"]
    assert [rejection.line for rejection in reading.rejections] == [2]
    assert reading.rejections[0].reason.startswith(reason or "not JSON: ")


def test_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    rows, reading = read(tmp_path, f"{ONE}\n".encode() + b'{"id": "\xff"}\n' + f"{TWO}\n".encode())
    assert [row["native_id"] for row in rows] == ["a", "b"]
    assert [rejection.line for rejection in reading.rejections] == [2]


def test_a_line_that_is_cut_short(tmp_path: Path) -> None:
    rows, reading = read(tmp_path, f'{ONE}\n{{"id": "b", "amo')
    assert len(rows) == 1
    assert [(r.line, r.text) for r in reading.rejections] == [(2, '{"id": "b", "amo')]


@pytest.mark.parametrize(
    "text",
    [
        f"[{ONE}, {TWO}",
        f"[{ONE} {TWO}]",
        f"[{ONE}] x",
        '{"a": 1}x',
        "[{]",
        '{"a": [{}], "b": [{}]}',
        '{"x": 1, "x": [{}]}',
        "5",
    ],
)
def test_what_cannot_be_framed_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, text, name="document.json")
    assert refused.value.hint


def test_the_list_can_be_named(tmp_path: Path) -> None:
    text = f'{{"a": [{{"id": "no"}}], "b": [{ONE}]}}'
    rows, _ = read(tmp_path, text, SourceOptions(settings={"rows": "b"}))
    assert [row["native_id"] for row in rows] == ["a"]


def test_nested_objects_are_dotted_names_and_late_columns_count(tmp_path: Path) -> None:
    text = (
        '{"id": 1, "customer": {"id": "c1", "tags": ["x", 1.50]}}\n'
        '{"id": 2, "money": {"amount": 150, "currency": "eur"}, "paid": true, "none": null, "empty": {}}\n'
    )
    options = SourceOptions(
        kind="payment",
        mapping={
            "native_id": "id",
            "amount": {"from": "money.amount", "minor": True},
            "currency": "money.currency",
            "customer_ref": "customer.id",
            "attributes": ["customer.tags", "paid", "empty"],
        },
    )
    rows, _ = read(tmp_path, text, options)
    assert rows == [
        {
            "line": 1, "kind": "payment", "native_id": "1", "customer_ref": "c1",
            "attributes": r'{"customer.tags":"[\"x\",1.50]"}',
        },
        {
            "line": 2, "kind": "payment", "native_id": "2", "amount": "1.50", "currency": "EUR",
            "attributes": '{"empty":"{}","paid":"true"}',
        },
    ]  # fmt: skip


def test_a_missing_path_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read(tmp_path, '{"a": {"total": 1}}\n{"a": {"total": 1}}', SourceOptions(mapping={"amount": "a.totl"}))
    assert "did you mean 'a.total'" in refused.value.hint


def test_too_many_columns_are_refused(tmp_path: Path) -> None:
    text = "\n".join(f'{{"id": 1, "key{number}": 1}}' for number in range(1_200))
    with pytest.raises(InputError, match="more than 1,000 columns"):
        read(tmp_path, text)


def test_a_long_cell(tmp_path: Path) -> None:
    text = json.dumps(
        [{"id": "a", "description": "é" * 5_000_000}, {"id": "b", "description": "x"}], ensure_ascii=False
    )
    rows, _ = read(tmp_path, text, SourceOptions(kind="event"))
    assert [len(str(row["description"])) for row in rows] == [5_000_000, 1]


def test_an_empty_document_has_no_rows(tmp_path: Path) -> None:
    for text in ("[]", '{"rows": []}', "\n"):
        with pytest.raises(InputError):
            read(tmp_path, text)


def test_the_temporary_table_goes_with_the_reading(tmp_path: Path) -> None:
    _, reading = read(tmp_path, f"[{ONE}]")
    assert isinstance(reading.drafts, DraftQuery)
    table = Path(str(reading.drafts.parameters["file"]))
    assert table.exists()
    del reading
    gc.collect()
    assert not table.exists()


def test_sniffing() -> None:
    assert SOURCE.sniff(b' [ {"a": 1}]', "x") == 40
    assert SOURCE.sniff(b'\xef\xbb\xbf{"a": 1}', "x") == 40
    for head in (b"a,b\n", b"[1, 2]", b"<xml/>", b"{1:F01BANK}", b""):
        assert SOURCE.sniff(head, "x.json") == 0


_KEYS = st.text(alphabet="abcü._ '\"", min_size=1, max_size=4)
_CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(st.characters(codec="utf-8", exclude_characters="\0"))
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.dictionaries(_KEYS, _CELLS, min_size=1, max_size=4), min_size=1, max_size=6),
    st.sampled_from(["lines", "list", "object"]),
    st.sampled_from([5, 1 << 18]),
)
def test_what_was_written_is_read(rows: list[dict[str, object]], framing: str, block: int) -> None:
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = {"lines": "\n".join(texts), "list": f"[{','.join(texts)}]", "object": f'{{"r": [{" , ".join(texts)}]}}'}[
        framing
    ]
    names = sorted({key for row in rows for key in row})
    options = SourceOptions(kind="event", mapping={"attributes": names, "description": None})
    with tempfile.TemporaryDirectory() as directory, mock.patch.object(json_values, "_READ_CHARACTERS", block):
        path = Path(directory) / ("rows.jsonl" if framing == "lines" else "rows.json")
        path.write_text(text, encoding="utf-8", newline="")
        reading = SOURCE.read(path, options)
        found = [json.loads(str(row.get("attributes", "{}"))) for row in drafts_of(reading)]

    def shown(cell: object) -> str:
        return json.dumps(cell) if isinstance(cell, bool | int) else str(cell)

    wanted = [{key: shown(cell) for key, cell in row.items() if cell not in (None, "")} for row in rows]
    assert [_stripped(row) for row in found] == [_stripped(row) for row in wanted]
    assert reading.rejections == []


def _stripped(row: dict[str, str]) -> dict[str, str]:
    """Outer blanks may go (where a column has any, all its cells are trimmed); what is left must be equal."""
    return {key: cell.strip() for key, cell in row.items() if cell.strip()}

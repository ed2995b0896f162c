"""Parquet: exact numbers, dates and instants as text, lines, and no floating point near money."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tieout.adapters.sources.parquet import SOURCE
from tieout.model.errors import InputError
from tieout.model.reading import DraftQuery, Reading, SourceOptions

Row = dict[str, object]
NOON = dt.datetime(2026, 1, 2, 12, 0, 0, 250_000, tzinfo=dt.UTC)


def read(path: Path, options: SourceOptions | None = None) -> tuple[list[Row], Reading]:
    reading = SOURCE.read(path, options or SourceOptions())
    assert isinstance(reading.drafts, DraftQuery)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'America/New_York'")
        cursor = connection.execute(reading.drafts.sql, reading.drafts.parameters)
        names = [column[0] for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [{name: value for name, value in row.items() if value is not None} for row in rows], reading


def written(directory: Path, columns: dict[str, pa.Array], name: str = "table.parquet") -> Path:
    path = directory / name
    pq.write_table(pa.table(columns), path)
    return path


def test_columns_are_recognised_and_numbers_stay_exact(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {
            "payment_id": pa.array(["p1", "p2", ""]),
            "paid_at": pa.array([NOON, NOON, None], pa.timestamp("us", tz="Europe/Berlin")),
            "amount": pa.array([Decimal("0.10"), Decimal("-9007199254740993.01"), None], pa.decimal128(38, 2)),
            "currency": pa.array(["eur", "JPY", None]),
            "customer_id": pa.array([7, 2**63 - 1, None], pa.int64()),
            "balance": pa.array([1, 2, 3], pa.int32()),
        },
    )
    rows, reading = read(path, SourceOptions(kind="payment", mapping={"native_id": "payment_id"}))
    assert rows == [
        {
            "line": 1, "kind": "payment", "native_id": "p1", "date": "2026-01-02",
            "time": "2026-01-02T12:00:00.250000Z", "amount": "0.10",
            "currency": "EUR", "customer_ref": "7", "attributes": '{"balance":"1"}',
        },
        {
            "line": 2, "kind": "payment", "native_id": "p2", "date": "2026-01-02",
            "time": "2026-01-02T12:00:00.250000Z", "amount": "-9007199254740993.01",
            "currency": "JPY", "customer_ref": "9223372036854775807",
            "attributes": '{"balance":"2"}',
        },
        {"line": 3, "kind": "payment", "attributes": '{"balance":"3"}'},
    ]  # fmt: skip
    assert reading.derived_ids is False
    assert reading.inferred["amount"].startswith("column 'amount'")


def test_dates_and_local_timestamps(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {
            "date": pa.array([dt.date(2026, 1, 2), dt.date(1970, 1, 1)]),
            "at": pa.array(
                [NOON.replace(tzinfo=None), dt.datetime(2026, 7, 1, tzinfo=dt.UTC).replace(tzinfo=None)],
                pa.timestamp("ns"),
            ),
            "ns": pa.array(["x", "y"]),
        },
    )
    options = SourceOptions(kind="event", zone="Europe/Berlin", mapping={"date": "date", "time": "at"})
    rows, _ = read(path, options)
    assert [row["date"] for row in rows] == ["2026-01-02", "1970-01-01"]
    assert [row["time"] for row in rows] == ["2026-01-02T11:00:00.250000Z", "2026-06-30T22:00:00.000000Z"]


def test_a_midnight_column_is_a_date(tmp_path: Path) -> None:
    midnight = [dt.datetime(2026, 1, day, tzinfo=dt.UTC).replace(tzinfo=None) for day in (1, 2)]
    path = written(tmp_path, {"date": pa.array(midnight), "amount": pa.array([1, 2])})
    rows, _ = read(path)
    assert [row["date"] for row in rows] == ["2026-01-01", "2026-01-02"]
    assert "time" not in rows[0]


@pytest.mark.parametrize("mapping", [{}, {"amount": "amount"}, {"amount": {"from": "amount", "minor": True}}])
def test_floating_point_is_refused_for_money(tmp_path: Path, mapping: dict[str, object]) -> None:
    path = written(tmp_path, {"date": pa.array([dt.date(2026, 1, 2)]), "amount": pa.array([0.1], pa.float64())})
    with pytest.raises(InputError) as refused:
        read(path, SourceOptions(mapping=mapping))
    assert "decimal, integer or text" in refused.value.hint


def test_floating_point_elsewhere_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, {"amount": pa.array([1]), "fee": pa.array([0.5]), "rate": pa.array([1.25])})
    rows, _ = read(path, SourceOptions(kind="payment", mapping={"attributes": ["rate"]}))
    assert rows[0]["attributes"] == '{"rate":"1.25"}'
    assert "fee" not in rows[0]


def test_minor_units(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"amount_minor": pa.array([150, -5, 150, 150], pa.int64()), "currency": pa.array(["EUR", "USD", "JPY", "KWD"])},
    )
    options = SourceOptions(
        kind="payment", mapping={"amount": {"from": "amount_minor", "minor": True}, "currency": "currency"}
    )
    rows, _ = read(path, options)
    assert [row["amount"] for row in rows] == ["1.50", "-0.05", "150", "0.150"]


def test_nested_columns_and_bytes(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {
            "tags": pa.array([["a", "b"]]),
            "who": pa.array([{"name": 'x"y'}]),
            "raw": pa.array([b"\xff"]),
            "id": pa.array(["1"]),
        },
    )
    rows, _ = read(path, SourceOptions(kind="event", mapping={"attributes": ["tags", "who"]}))
    assert rows[0]["attributes"] == r'{"tags":"[\"a\",\"b\"]","who":"{\"name\":\"x\\\"y\"}"}'
    with pytest.raises(InputError, match="holds no text"):
        read(path, SourceOptions(mapping={"reference": "raw"}))


def test_lines_over_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "many.parquet"
    pq.write_table(
        pa.table({"id": pa.array(range(50_000)), "amount": pa.array(range(50_000))}), path, row_group_size=999
    )
    rows, _ = read(path, SourceOptions(kind="payment", mapping={"native_id": "id"}))
    assert {int(str(row["line"])) - int(str(row["native_id"])) for row in rows} == {1}


@pytest.mark.parametrize("name", ["a[1].parquet", "year=2026.parquet", "b*.parquet"])
def test_names_that_look_like_patterns(tmp_path: Path, name: str) -> None:
    written(tmp_path, {"id": pa.array(["wrong"]), "amount": pa.array([1])}, "a1.parquet")
    rows, _ = read(written(tmp_path, {"id": pa.array(["right"]), "amount": pa.array([1])}, name))
    assert [row["native_id"] for row in rows] == ["right"]


def test_a_column_named_like_ours(tmp_path: Path) -> None:
    path = written(tmp_path, {"c0": pa.array(["x"]), "line": pa.array([9]), 'a"b': pa.array(["q"])})
    rows, _ = read(path, SourceOptions(kind="event", mapping={"reference": "line", "account": 'a"b'}))
    assert (rows[0]["line"], rows[0]["reference"], rows[0]["account"]) == (1, "9", "q")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        SOURCE.read(path, SourceOptions())


def test_sniffing() -> None:
    assert SOURCE.sniff(b"PAR1\x15\x04", "x") == 100
    assert SOURCE.sniff(b"a,b\n", "x.parquet") == 0

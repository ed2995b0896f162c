"""Drafts that Python yields, on their way to the engine: every text arrives as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.adapters.engine.duckdb import DuckEngine
from tieout.adapters.spool import as_query, ids_query, rejections_query
from tieout.model.errors import InputError
from tieout.model.reading import DraftQuery, Reading
from tieout.model.record import DRAFT_COLUMNS, Rejection


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckEngine]:
    """One engine for the module."""
    with DuckEngine(threads=1) as engine:
        yield engine


def _back(engine: DuckEngine, query: DraftQuery, columns: str) -> list[tuple[Any, ...]]:
    return engine.fetch(DraftQuery(f"SELECT {columns} FROM ({query.sql})", query.parameters))


STRANGE = ["", " ", "null", "NULL", "007", "1e5", "true", "2026-01-01", '"', "\\", "a\nb", "\u2028", "🏦", "\x00",
           "\x7f", "{}", "[1]", "9" * 40, "é"]  # fmt: skip


def test_texts_arrive_as_they_were(engine: DuckEngine, tmp_path: Path) -> None:
    """No type is guessed: numbers, dates and words stay text."""
    chunk: dict[str, Any] = {"line": list(range(len(STRANGE))), "description": list(STRANGE)}
    query, present = as_query(Reading("test", iter([chunk])), tmp_path / "spool")
    assert present == ["description"]
    assert _back(engine, query, "line, description") == list(enumerate(STRANGE))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.none() | st.text(max_size=12), min_size=1, max_size=10))
def test_any_text(engine: DuckEngine, tmp_path_factory: pytest.TempPathFactory, texts: list[str | None]) -> None:
    """Whatever is valid Unicode comes back unchanged, None as NULL."""
    chunk: dict[str, Any] = {"line": [1] * len(texts), "native_id": texts}
    query, _ = as_query(Reading("test", iter([chunk])), tmp_path_factory.mktemp("spool") / "spool")
    assert [row[0] for row in _back(engine, query, "native_id")] == texts


def test_chunks_with_different_columns(engine: DuckEngine, tmp_path: Path) -> None:
    """A column that a chunk leaves out is NULL there; one that is NULL throughout is not present."""
    chunks: list[Any] = [
        {"line": [1], "native_id": ["a"], "fee": [None]},
        {"line": [2], "native_id": ["b"], "amount": ["5"], "unknown": ["x"]},
    ]
    query, present = as_query(Reading("test", iter(chunks)), tmp_path / "spool")
    assert present == ["amount", "native_id"]
    assert _back(engine, query, "line, native_id, amount, fee") == [(1, "a", None, None), (2, "b", "5", None)]
    assert engine.columns(query) == ["line", *DRAFT_COLUMNS]


def test_rejections_are_complete_afterwards(tmp_path: Path) -> None:
    """A reader's rejections count only once its drafts are consumed: spooling does that."""
    reading = Reading("test", iter([]))

    def chunks() -> Iterator[Any]:
        yield {"line": [1], "native_id": ["a"]}
        reading.rejections.append(Rejection(2, "row", "odd"))

    reading.drafts = chunks()
    as_query(reading, tmp_path / "spool")
    assert len(reading.rejections) == 1


def test_a_query_is_passed_through(tmp_path: Path) -> None:
    """What the engine reads by itself is not spooled."""
    query = DraftQuery("SELECT 1 AS line")
    assert as_query(Reading("test", query), tmp_path / "spool") == (query, None)
    assert not (tmp_path / "spool").exists()


def test_no_rows_at_all(engine: DuckEngine, tmp_path: Path) -> None:
    """An empty file of a known format is an empty relation."""
    query, present = as_query(Reading("test", iter([])), tmp_path / "spool")
    assert (present, _back(engine, query, "count(*)")) == ([], [(0,)])


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    """A lone surrogate is no text; a reader must reject its row, else the file is refused."""
    with pytest.raises(InputError, match="Unicode"):
        as_query(Reading("test", iter([{"line": [1], "native_id": ["\ud800"]}])), tmp_path / "spool")


def test_chunks_of_unequal_length_are_a_defect(tmp_path: Path) -> None:
    """A reader that loses a cell must not shift the others."""
    with pytest.raises(ValueError, match="argument"):
        as_query(Reading("test", iter([{"line": [1, 2], "native_id": ["a"]}])), tmp_path / "spool")


def test_rejections_and_ids(engine: DuckEngine, tmp_path: Path) -> None:
    """Small relations with and without rows."""
    rejections = [Rejection(None, "a", 'b"c', "\n"), Rejection(3, "d", "e")]
    query = rejections_query(rejections, tmp_path / "r")
    assert _back(engine, query, "line, field, reason, text") == [(None, "a", 'b"c', "\n"), (3, "d", "e", "")]
    assert _back(engine, rejections_query([], tmp_path / "r2"), "line, field") == []
    assert _back(engine, ids_query(["1", "x'y"], tmp_path / "i"), "native_id") == [("1",), ("x'y",)]
    assert _back(engine, ids_query([], tmp_path / "i2"), "native_id") == []


def test_a_directory_named_like_a_pattern(engine: DuckEngine, tmp_path: Path) -> None:
    """The spool of `acme[1]` is not that of `acme1`."""
    chunk: dict[str, Any] = {"line": [1]}
    for name in ("acme1", "acme[1]"):
        (tmp_path / name).mkdir()
        query, _ = as_query(Reading("test", iter([chunk | {"native_id": [name]}])), tmp_path / name / "spool")
    assert _back(engine, query, "native_id") == [("acme[1]",)]


def test_a_directory_named_like_a_partition(engine: DuckEngine, tmp_path: Path) -> None:
    """The spool in `currency=USD` says nothing about currencies."""
    (tmp_path / "currency=USD").mkdir()
    chunk: dict[str, Any] = {"line": [1], "native_id": ["a"], "currency": ["EUR"]}
    query, _ = as_query(Reading("test", iter([chunk])), tmp_path / "currency=USD" / "spool")
    assert _back(engine, query, "native_id, currency") == [("a", "EUR")]

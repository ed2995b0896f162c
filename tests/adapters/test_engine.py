"""The DuckDB engine: plans over Parquet files, exact paths, faults in plain words, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tieout.adapters.engine.duckdb import DuckEngine
from tieout.model.errors import IncompleteError, InputError
from tieout.model.plan import Plan, Step
from tieout.model.reading import DraftQuery

NUMBERS = (("n", "BIGINT"), ("word", "VARCHAR"))


@pytest.fixture
def engine() -> Iterator[DuckEngine]:
    """A fresh engine."""
    with DuckEngine(threads=1) as engine:
        yield engine


def _write(engine: DuckEngine, path: Path, sql: str = "SELECT 1::BIGINT AS n, 'a' AS word") -> Path:
    engine.run(Plan((Step("out", sql, "output"),)), {}, {"out": path})
    return path


def test_steps_of_every_shape(engine: DuckEngine, tmp_path: Path) -> None:
    """Views, tables, outputs and measures; parameters are values, never text."""
    source = _write(engine, tmp_path / "in.parquet", "SELECT range::BIGINT AS n, 'w' || range AS word FROM range(5)")
    plan = Plan(
        (
            Step("few", "SELECT * FROM numbers WHERE n < getvariable('limit')", "view"),
            Step("kept", "SELECT * FROM few WHERE word <> getvariable('word')"),
            Step("out", "SELECT * FROM kept", "output"),
            Step("told", "SELECT count(*), sum(n::DECIMAL(38,0)) FROM out", "measure"),
        ),
        {"limit": 4, "word": "w1'; DROP TABLE kept; --"},
        {"numbers": NUMBERS},
    )
    results = engine.run(plan, {"numbers": [source]}, {"out": tmp_path / "out.parquet"})
    assert results.written == {"out": 4}
    assert results.measured == {"told": [(4, Decimal(6))]}
    assert engine.rows([tmp_path / "out.parquet"], NUMBERS, order=("n",), limit=2) == [(0, "w0"), (1, "w1")]


def test_an_input_without_files_is_empty(engine: DuckEngine) -> None:
    """An input without files has its columns and types, and no row."""
    plan = Plan(
        (Step("told", "SELECT count(*), count(n), any_value(word) FROM numbers", "measure"),), {}, {"numbers": NUMBERS}
    )
    assert engine.run(plan, {}, {}).measured["told"] == [(0, 0, None)]


def test_several_files_are_one_relation(engine: DuckEngine, tmp_path: Path) -> None:
    """Files of one dataset are read together."""
    files = [_write(engine, tmp_path / f"{n}.parquet", f"SELECT {n}::BIGINT AS n, 'x' AS word") for n in range(3)]
    plan = Plan((Step("told", "SELECT sum(n::DECIMAL(38,0)) FROM numbers", "measure"),), {}, {"numbers": NUMBERS})
    assert engine.run(plan, {"numbers": files}, {}).measured["told"] == [(Decimal(3),)]


def test_an_output_that_nobody_asked_for_is_not_written(engine: DuckEngine, tmp_path: Path) -> None:
    """Only outputs with a path are written."""
    results = engine.run(Plan((Step("out", "SELECT 1 AS n", "output"),)), {}, {})
    assert results.written == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["acme[1]", "what?", "st*r", "we[ir]d*?", "{a,b}", "back\\slash", "it's", "with space", "é", "currency=USD"]
)
def test_a_path_is_that_file_and_no_pattern(engine: DuckEngine, tmp_path: Path, name: str) -> None:
    """Directories named like patterns, or like hive partitions, neither match others nor add columns."""
    for other in ("acme1", "whatx", "star", "weidab", "a", "b"):
        (tmp_path / other).mkdir()
        _write(engine, tmp_path / other / "t.parquet", "SELECT 666::BIGINT AS n, 'other' AS word, 'EUR' AS currency")
    (tmp_path / name).mkdir()
    path = _write(engine, tmp_path / name / "t.parquet", "SELECT 1::BIGINT AS n, 'own' AS word, 'EUR' AS currency")
    columns = (*NUMBERS, ("currency", "VARCHAR"))
    assert engine.rows([path], columns) == [(1, "own", "EUR")]
    plan = Plan((Step("told", "SELECT n, word, currency FROM numbers", "measure"),), {}, {"numbers": columns})
    assert engine.run(plan, {"numbers": [path]}, {}).measured["told"] == [(1, "own", "EUR")]


def test_a_finished_plan_leaves_nothing(engine: DuckEngine, tmp_path: Path) -> None:
    """Names may be used again in any shape, also after a plan that failed."""
    _write(engine, tmp_path / "in.parquet")
    for shape in ("table", "view", "table"):
        plan = Plan((Step("same", "SELECT 1 AS n", shape), Step("m", "SELECT n FROM same", "measure")))  # type: ignore[arg-type]
        assert engine.run(plan, {}, {}).measured["m"] == [(1,)]
    failing = Plan((Step("same", "SELECT 1 AS n"), Step("m", "SELECT ('x' || n)::BIGINT FROM same", "measure")))
    with pytest.raises(IncompleteError):
        engine.run(failing, {}, {})
    left = engine.fetch(DraftQuery("SELECT table_name FROM information_schema.tables"))
    assert left == []


def test_drafts_are_read_by_the_engine_itself(engine: DuckEngine, tmp_path: Path) -> None:
    """A query is a relation of the plan; its parameters are bound where it is used."""
    (tmp_path / "in.csv").write_text("a,b\n1,x\n2,y\n")
    query = DraftQuery(
        "SELECT * FROM read_csv($file, header = true, all_varchar = true)", {"file": str(tmp_path / "in.csv")}
    )
    assert engine.columns(query) == ["a", "b"]
    plan = Plan(
        (
            Step("upper", "SELECT upper(b) AS b FROM drafts", "view"),
            Step("m", "SELECT b FROM upper ORDER BY b", "measure"),
        )
    )
    assert engine.run(plan, {}, {}, {"drafts": query}).measured["m"] == [("X",), ("Y",)]


def test_faults_are_told_in_plain_words(engine: DuckEngine, tmp_path: Path) -> None:
    """A file that cannot be read as declared is the input's fault; a damaged part or an overflow is not."""
    (tmp_path / "bad.csv").write_text('a,b\n1,"x\n')
    query = DraftQuery(
        "SELECT * FROM read_csv($file, columns = {'a': 'BIGINT', 'b': 'VARCHAR'}, delim = ',', quote = '\"', "
        "auto_detect = false)",
        {"file": str(tmp_path / "bad.csv")},
    )
    with pytest.raises(InputError):
        engine.run(Plan((Step("m", "SELECT * FROM drafts", "measure"),)), {}, {}, {"drafts": query})
    damaged = tmp_path / "part.parquet"
    damaged.write_bytes(b"no parquet at all")
    plan = Plan((Step("m", "SELECT n FROM numbers", "measure"),), {}, {"numbers": NUMBERS})
    with pytest.raises(IncompleteError, match="part"):
        engine.run(plan, {"numbers": [damaged]}, {})
    with pytest.raises(IncompleteError):
        engine.run(plan, {"numbers": [tmp_path / "missing.parquet"]}, {})
    with pytest.raises(IncompleteError):
        engine.run(Plan((Step("m", "SELECT 9223372036854775807::BIGINT + 1::BIGINT", "measure"),)), {}, {})
    with pytest.raises(InputError):
        engine.columns(DraftQuery("SELECT * FROM read_csv($file)", {"file": str(tmp_path / "missing.csv")}))


def test_memory_bound_spills_or_says_so(tmp_path: Path) -> None:
    """What does not fit the bound goes to the spill directory; what cannot is told as such."""
    heavy = Plan(
        (
            Step(
                "m", "SELECT count(*) FROM (SELECT range AS n FROM range(3000000) ORDER BY hash(range) DESC)", "measure"
            ),
        )
    )
    with DuckEngine(memory="64MB", threads=1, spill_directory=tmp_path / "spill") as engine:
        assert engine.run(heavy, {}, {}).measured["m"] == [(3_000_000,)]
    listed = Plan((Step("m", "SELECT length(list(range)::VARCHAR) FROM range(5000000)", "measure"),))
    with DuckEngine(memory="16MB", threads=1, spill_directory=tmp_path / "spill") as engine:
        with pytest.raises(IncompleteError, match=r"(?i)memory"):
            engine.run(listed, {}, {})
        assert engine.run(Plan((Step("m", "SELECT 1", "measure"),)), {}, {}).measured["m"] == [(1,)]


def test_no_extension_is_fetched(engine: DuckEngine) -> None:
    """The engine neither installs nor loads extensions by itself."""
    settings = "SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%known_extensions' ORDER BY name"
    assert {value for _, value in engine.fetch(DraftQuery(settings))} == {"false"}


def test_no_number_becomes_a_float(engine: DuckEngine, tmp_path: Path) -> None:
    """A sum of minor units, cast as plans do, is a DECIMAL in the file and in Python."""
    path = _write(
        engine,
        tmp_path / "t.parquet",
        "SELECT sum(n::DECIMAL(38,0)) AS n, 'x' AS word FROM (SELECT 10::BIGINT ** 0 AS n) WHERE false",
    )
    assert engine.columns(DraftQuery("SELECT * FROM read_parquet($p)", {"p": str(path)})) == ["n", "word"]
    kinds = engine.fetch(DraftQuery("DESCRIBE SELECT * FROM read_parquet($p)", {"p": str(path)}))
    assert kinds[0][1] == "DECIMAL(38,0)"

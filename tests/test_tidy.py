"""The house's limits, held by reading the source: sizes, docstrings, floats, imports, names, contracts, SQL."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from tieout.core import checks, exporting, normalise, verifying, versions
from tieout.core.matching.plan import match_plan
from tieout.model.configuration import PassConfig, ReconciliationConfig, SideConfig
from tieout.model.plan import Plan
from tieout.model.record import DRAFT_COLUMNS

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
MODULES = sorted(
    path for path in (SOURCE / "tieout").rglob("*.py") if not {"__pycache__", "node_modules"} & set(path.parts)
)
MOST_MODULE_LINES = 500
MOST_FUNCTION_LINES = 70
NOT_IMPORTABLE = {"tieout.adapters.store.migrations.env": "runs only inside Alembic"}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
ABBREVIATION = re.compile(r"(^|_)(amt|recon|mgr|qty|txn|cfg|util|helper)(_|$)")
FLOATS = {
    "core/config/check.py": "likeness of words",
    "core/config/entry.py": "likeness of words",
    "core/config/shape.py": "likeness of words",
    "adapters/sources/csv/dialect.py": "share of lines that a delimiter cuts alike",
    "adapters/sources/csv/encoding.py": "share of bytes that tell an encoding",
    "adapters/sources/tabular/mapping.py": "likeness of words",
    "adapters/store/database.py": "seconds between two attempts",
}
"""Modules in which a float literal stands, and what it measures. None of it is money."""
FLOAT_FOLDERS = ("simulate", "surfaces")
"""Folders whose floats are shares of a made-up world, or widths and seconds on a screen."""


def _name(path: Path) -> str:
    return path.relative_to(SOURCE / "tieout").as_posix()


def _module(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(_tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_modules_are_short() -> None:
    """No module over 500 lines."""
    sizes = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in sizes.items() if lines > MOST_MODULE_LINES} == {}


def test_functions_are_short() -> None:
    """No function over 70 lines, docstring included."""
    long = {
        f"{_name(path)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in _functions(path)
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > MOST_FUNCTION_LINES
    }
    assert long == {}


def _undocumented(path: Path) -> Iterator[str]:
    """Public names without a docstring: the module, its classes and functions, and the methods of public classes.

    Dunder methods, overriding property setters and what lies inside a function need none.
    """
    tree = _tree(path)
    if not ast.get_docstring(tree):
        yield _name(path)
    pending: list[tuple[str, ast.AST]] = [("", tree)]
    while pending:
        prefix, parent = pending.pop()
        for node in ast.iter_child_nodes(parent):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            if not ast.get_docstring(node):
                yield f"{_name(path)}:{node.lineno} {prefix}{node.name}"
            if isinstance(node, ast.ClassDef):
                pending.append((f"{node.name}.", node))


def test_public_names_are_documented() -> None:
    """Every public module, class, function and method has a docstring."""
    assert [name for path in MODULES for name in _undocumented(path)] == []


def _floats(path: Path) -> Iterator[str]:
    for node in ast.walk(_tree(path)):
        literal = isinstance(node, ast.Constant) and isinstance(node.value, float | complex)
        call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
        if literal or call:
            yield f"{_name(path)}:{node.lineno}"


def test_no_floats_near_money() -> None:
    """Float literals and conversions only where a reason is written down, and no reason is kept without one."""
    found = {path: list(_floats(path)) for path in MODULES if not _name(path).startswith(FLOAT_FOLDERS)}
    assert [place for path, places in found.items() if _name(path) not in FLOATS for place in places] == []
    with_floats = {_name(path) for path, places in found.items() if places}
    assert set(FLOATS) - with_floats == set(), "these need no allowance any more"


def test_no_internal_import_inside_functions() -> None:
    """Our own modules are imported at the top, where the floors can be seen; only heavy libraries may wait."""
    found = []
    for path in MODULES:
        for function in _functions(path):
            for node in ast.walk(function):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                found += [f"{_name(path)}:{node.lineno}" for name in names if name.split(".")[0] == "tieout"]
    assert found == []


def test_imports_are_absolute() -> None:
    """A relative import hides which floor it crosses."""
    relative = [
        f"{_name(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_names_say_something() -> None:
    """No module, folder, class or function is called by a word that fits everything."""
    words = {word for path in MODULES for part in _module(path).split(".") for word in part.split("_")}
    assert words & VAGUE_NAMES == set()
    abbreviated = [
        f"{_name(path)}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ABBREVIATION.search(node.name.lower())
    ]
    assert abbreviated == []


def test_no_eval() -> None:
    """No eval, exec, pickle or shell."""
    found = []
    for path in MODULES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
                found.append(f"{_name(path)}:{node.lineno}")
            if isinstance(node, ast.keyword) and node.arg == "shell":
                found.append(f"{_name(path)}:{node.lineno}")
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                if names & {"pickle", "marshal", "shelve"}:
                    found.append(f"{_name(path)}:{node.lineno}")
    assert found == []


def _clock_reads(path: Path) -> Iterator[str]:
    """Where a module asks for the time or for chance by itself."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            asked = f"{node.value.id}.{node.attr}"
            if asked in ("datetime.now", "datetime.utcnow", "date.today", "time.time", "random.random"):
                yield f"{_name(path)}:{node.lineno} {asked}"


def test_time_is_an_input() -> None:
    """Model, core, adapters and service get the time from their callers; only the clock itself reads it."""
    floors = ("model", "core", "adapters", "service")
    found = [
        place
        for path in MODULES
        if _name(path).startswith(floors) and _name(path) != "model/clock.py"
        for place in _clock_reads(path)
    ]
    assert found == []


def test_core_touches_nothing_outside() -> None:
    """Core does no input or output: no files, processes, network, database or engine."""
    outside = {"os", "io", "subprocess", "socket", "sqlite3", "duckdb", "sqlalchemy", "shutil", "tempfile", "http",
               "urllib.request", "pyarrow", "asyncio", "threading"}  # fmt: skip
    found = []
    for path in MODULES:
        if _name(path).startswith(("core/", "model/")):
            for node in ast.walk(_tree(path)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                found += [f"{_name(path)} imports {name}" for name in names if {name, name.split(".")[0]} & outside]
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
                    found.append(f"{_name(path)}:{node.lineno} opens a file")
    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_every_module_imports(path: Path) -> None:
    """Every module can be imported by itself."""
    if _module(path) in NOT_IMPORTABLE:
        pytest.skip(NOT_IMPORTABLE[_module(path)])
    import_module(_module(path))


WORKPLACE = re.compile(r"(?<![\w.-])/work/|shared/(data|seeds|hooks)|\bpreamble\b", re.IGNORECASE)


def _texts() -> Iterator[Path]:
    """Every text that is published: source, documentation, packs and build files. Tests may look for sample data."""
    folders = ("src", "docs", "benchmarks", "examples")
    endings = {".py", ".md", ".yaml", ".yml", ".toml", ".json", ".html", ".css", ".js", ".txt", ".cfg", ".sql"}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in endings and "__pycache__" not in path.parts and path.is_file():
                yield path
    yield from (path for path in sorted(ROOT.iterdir()) if path.is_file() and path.suffix in endings)


def test_nothing_names_a_workplace() -> None:
    """No path of a machine on which this was made stands in what is published."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in _texts()
        if path.name != "uv.lock"
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if WORKPLACE.search(line)
    ]
    assert found == []


def test_tests_mirror_the_source(record_property: Any) -> None:
    """Modules without a test file of their name are listed, not refused: some are tested through another's."""
    tests = " ".join(path.stem for path in (ROOT / "tests").rglob("test_*.py"))
    untested = [_name(path) for path in MODULES if path.stem != "__init__" and path.stem not in tests]
    record_property("modules_without_a_test_of_their_name", untested)


def test_import_contracts_hold() -> None:
    """The floors and rooms that pyproject.toml declares."""
    program = Path(sys.executable).with_name("lint-imports")
    if not program.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


SIDES = (
    SideConfig("invoices", "billing", ("invoice",), where={"status": ("paid",)}),
    SideConfig("payments", "psp", ("payment",), where_not={"category": ("payout",)}, amount="net", sign=-1),
)
THREE = (*SIDES, SideConfig("bank", "bank", ("bank_line",)))


def _reconciliation(sides: tuple[SideConfig, ...], fee: str | None, unique: tuple[str, ...]) -> ReconciliationConfig:
    on = {side.name: "reference" for side in sides}
    other = {side.name: "order_ref" for side in sides}
    passes = (
        PassConfig("e", "exact", on, unique=unique, fee=fee),
        PassConfig("g", "grouped", on, unique=unique, fee=fee),
        PassConfig("o", "grouped", other),
    )
    return ReconciliationConfig("r", sides, passes if len(sides) == 2 else passes[1:])


TWO_SIDED = _reconciliation(SIDES, "payments", ("payments",))
PLANS: dict[str, list[Plan]] = {
    "normalise_plan": [
        normalise.normalise_plan("s", 1, DRAFT_COLUMNS, derived_ids=True),
        normalise.normalise_plan("s", 1, ["kind", "native_id", "amount", "currency"], derived_ids=False),
    ],
    "staged_measures": [normalise.staged_measures()],
    "missing_plan": [normalise.missing_plan(DRAFT_COLUMNS)],
    "overlap_plan": [versions.overlap_plan()],
    "classify_plan": [versions.classify_plan()],
    "quarantine_plan": [versions.quarantine_plan(1)],
    "state_plan": [versions.state_plan()],
    "check_plan": [checks.check_plan(customers=flag, group_over=9) for flag in (False, True)],
    "disputes_plan": [checks.disputes_plan()],
    "match_plan": [
        match_plan(rules, 1, opening=opening, complete=complete)
        for rules in (TWO_SIDED, _reconciliation(SIDES, None, ()), _reconciliation(THREE, None, ()))
        for opening in (False, True)
        for complete in (False, True)
    ],
    "record_plan": [verifying.record_plan()],
    "identity_plan": [verifying.identity_plan()],
    "conservation_plan": [verifying.conservation_plan()],
    "figures_plan": [verifying.figures_plan()],
    "weighed_plan": [verifying.weighed_plan(TWO_SIDED)],
    "allocation_plan": [verifying.allocation_plan(complete=flag) for flag in (False, True)],
    "liveness_plan": [verifying.liveness_plan()],
}
BOUND_BY_CALLER = {"liveness_plan": {"today"}}
EXPORTS = {name for name, one in vars(exporting).items() if inspect.isfunction(one) and name.endswith("plan")}
"""Plans for people's files, not for results: exempt from what keeps results equal on every engine."""
BANNED = (
    exp.Avg,
    exp.Round,
    exp.Rand,
    exp.Randn,
    exp.CurrentTimestamp,
    exp.CurrentDate,
    exp.CurrentTime,
    exp.Div,
    exp.Stddev,
    exp.Variance,
)
BANNED_WORDS = {"now", "random", "uuid", "gen_random_uuid", "today", "get_current_timestamp", "sqrt", "ln", "log",
                "exp", "pow", "power", "current_date", "current_timestamp", "setseed", "nextval", "median"}  # fmt: skip


def test_every_plan_is_looked_at() -> None:
    """A new plan of core joins the list above."""
    known = set()
    for path in MODULES:
        if _name(path).startswith("core/"):
            known |= {
                node.name
                for node in _tree(path).body
                if isinstance(node, ast.FunctionDef) and node.name.endswith("_plan")
            }
    assert {name for name in known if not name.startswith("_")} - EXPORTS == {
        name for name in PLANS if name.endswith("_plan")
    }


@cache
def _parsed(sql: str) -> exp.Expression:
    return sqlglot.parse_one(sql, dialect="duckdb")


@pytest.mark.parametrize("name", PLANS)
def test_sql_is_exact_and_timeless(name: str) -> None:
    """Every step parses, and uses no float, no division, no rounding, no time and no chance."""
    floats = {exp.DataType.Type.FLOAT, exp.DataType.Type.DOUBLE}
    for sql in {step.sql for plan in PLANS[name] for step in plan.steps}:
        tree = _parsed(sql)
        assert list(tree.find_all(*BANNED)) == []
        assert {node.name.lower() for node in tree.find_all(exp.Anonymous)} & BANNED_WORDS == set()
        assert [node for node in tree.find_all(exp.DataType) if node.this in floats] == []
        numbers = [node for node in tree.find_all(exp.Literal) if not node.is_string]
        assert [str(node) for node in numbers if not str(node.this).isdigit()] == []


@pytest.mark.parametrize("name", PLANS)
def test_sums_are_cast(name: str) -> None:
    """A sum that leaves the engine is DECIMAL(38,0) or BIGINT: DuckDB's own is HUGEINT and lands as DOUBLE."""
    for sql in {step.sql for plan in PLANS[name] for step in plan.steps if step.shape in ("measure", "output")}:
        for total in _parsed(sql).find_all(exp.Sum):
            outside = total.parent
            while isinstance(outside, exp.Coalesce | exp.Paren | exp.Filter):
                outside = outside.parent
            assert isinstance(total.this, exp.Cast) or isinstance(outside, exp.Cast), total.sql("duckdb")


@pytest.mark.parametrize("name", PLANS)
def test_values_are_bound(name: str) -> None:
    """What a plan reads as a variable is among its parameters: no value stands in the text of a step."""
    for plan in PLANS[name]:
        read = set(re.findall(r"getvariable\('(\w+)'\)", " ".join(step.sql for step in plan.steps)))
        bound = set(plan.parameters) | BOUND_BY_CALLER.get(name, set())
        assert {one for one in read if not one.startswith("files_")} <= bound

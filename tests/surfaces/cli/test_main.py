"""The frame around every command: help without weight, exit codes, errors for people and programs, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from tieout import __version__
from tieout.service import listing
from tieout.surfaces.cli.main import ENTRIES

Call = Callable[..., Result]

HEAVY = (
    "sqlalchemy",
    "duckdb",
    "lxml",
    "pyarrow",
    "alembic",
    "rich",
    "tieout.service",
    "tieout.adapters",
    "tieout.core",
)


def shell(
    *words: object, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command line as a process of its own."""
    program = "from tieout.surfaces.cli.main import main; main()"
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **(env or {})}
    )


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["-h"], [], ["nonsense"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys\n"
        "from tieout.surfaces.cli.main import app\n"
        "try:\n    app(sys.argv[1:])\n"
        "finally:\n    sys.stderr.write('LOADED ' + ' '.join(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    loaded = done.stderr.partition("LOADED ")[2].split()
    assert "typer" in loaded
    assert [name for name in loaded if name.startswith(HEAVY)] == []


def test_help_names_every_command(call: Call) -> None:
    for words in (["--help"], ["-h"]):
        result = call(*words)
        assert result.exit_code == 0
        for name, entry in ENTRIES.items():
            assert f"  {name:<10}  {entry.help}\n" in result.stdout, "a line of the table should fit 80 columns"


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_every_command_has_help(call: Call, name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0
    assert f"tieout {name}" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_version(call: Call) -> None:
    assert call("--version").stdout == f"tieout {__version__}\n"
    assert json.loads(call("version", "--json").stdout)["tieout"] == __version__
    assert f"tieout {__version__}" in call("version").stdout


def test_no_words_show_the_help_and_are_no_success(call: Call) -> None:
    result = call()
    assert result.exit_code == 2
    assert "Every day:" in result.stderr
    assert result.stdout == ""


def test_an_unknown_command_names_the_likely_one(call: Call) -> None:
    result = call("rum")
    assert result.exit_code == 2
    assert result.stderr == "error: there is no command 'rum'\n  hint: did you mean `tieout run`?\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "--nonsense"], "No such option"),
        (["proof", "1", "2"], "unexpected extra argument"),
        (["replay", "x"], "valid integer"),
        (["supersede", "1"], "Missing option"),
        (["findings", "--limit", "-1"], "greater than or equal to 0"),
        (["parse"], "Missing argument"),
    ],
)
def test_wrong_words_end_with_2(call: Call, words: list[str], says: str) -> None:
    result = call(*words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Usage: tieout" in result.stderr
    assert result.stdout == ""
    told = json.loads(call(*words, "--json").stdout) if words[0] != "demo" else {}
    assert told["error"]["code"] == "usage"


def test_without_a_configuration(call: Call, tmp_path: Path) -> None:
    for words in (["status"], ["run"], ["ingest"], ["check"], ["findings"]):
        result = call(*words, cwd=tmp_path)
        assert result.exit_code == 2
        assert "there is no tieout.yaml" in result.stderr
        assert "tieout init" in result.stderr
    named = call("-C", tmp_path / "nowhere", "status", "--json")
    assert named.exit_code == 2
    assert "nowhere" in json.loads(named.stdout)["error"]["message"]
    assert call("--config", tmp_path / "other.yaml", "status").exit_code == 2


def test_without_a_workspace(call: Call, fresh: Path) -> None:
    for words in (["status"], ["run"], ["ingest"], ["proof"], ["verify"]):
        result = call("-C", fresh, *words)
        assert result.exit_code == 2
        assert "there is no workspace" in result.stderr
        assert not (fresh / ".tieout").exists()


def test_the_nearest_configuration_upwards_is_used(call: Call, reconciled: Path) -> None:
    below = reconciled / "exports" / "september"
    below.mkdir(parents=True, exist_ok=True)
    assert "workspace acme" in call("status", cwd=below).stdout
    assert "workspace acme" in call("-C", reconciled, "status", cwd=below).stdout
    assert "workspace acme" in call("--config", reconciled / "tieout.yaml", "status").stdout


def test_every_problem_of_a_configuration_is_told(call: Call, tmp_path: Path) -> None:
    (tmp_path / "tieout.yaml").write_text("workspace: acme\nsources:\n  a: {fromat: csv}\n  b: {kind: invoices}\n")
    result = call("check", cwd=tmp_path)
    assert result.exit_code == 2
    assert "tieout.yaml:3" in result.stderr
    assert "tieout.yaml:4" in result.stderr
    assert result.stderr.count("hint:") >= 2
    problems = json.loads(call("check", "--json", cwd=tmp_path).stdout)["error"]["problems"]
    assert [problem["place"]["line"] for problem in problems][:2] == [3, 4]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A service that fails in a way that nobody foresaw, with a secret in its message."""

    def fail(*_words: object, **_options: object) -> None:
        raise KeyError("4242 4242 4242 4242")

    monkeypatch.setattr(listing, "select", fail)
    return


@pytest.mark.usefixtures("broken")
def test_an_unforeseen_fault_is_one_line_without_data(
    call: Call, reconciled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = call("-C", reconciled, "runs")
    assert result.exit_code == 3
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: internal error: KeyError at ")
    assert line.endswith("; please report")
    assert "4242" not in result.output
    assert json.loads(call("-C", reconciled, "runs", "--json").stdout)["error"]["code"] == "internal"
    monkeypatch.setenv("TIEOUT_DEBUG", "1")
    assert "Traceback" in call("-C", reconciled, "runs").stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("Query interrupted")])
def test_an_interruption_is_no_fault(
    call: Call, reconciled: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_words: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(listing, "select", fail)
    result = call("-C", reconciled, "runs")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.startswith("interrupted:")


def test_as_a_process(reconciled: Path) -> None:
    done = shell("-C", reconciled, "findings", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["total"] > 0
    assert done.stderr == ""
    failed = shell("-C", reconciled, "proof", "99")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error: there is no run 99")


def test_a_reader_that_goes_away_is_no_traceback(reconciled: Path) -> None:
    command = "from tieout.surfaces.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", command, "-C", str(reconciled), "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 3
    assert said == b""


def test_colour_only_where_it_is_wanted(reconciled: Path) -> None:
    plain = shell("-C", reconciled, "findings", env={"FORCE_COLOR": "", "NO_COLOR": "1", "TTY_COMPATIBLE": ""})
    assert "\x1b" not in plain.stdout
    coloured = shell("-C", reconciled, "findings", env={"FORCE_COLOR": "1", "NO_COLOR": "", "TERM": "xterm-256color"})
    assert "\x1b[" in coloured.stdout
    silenced = shell("-C", reconciled, "findings", env={"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm-256color"})
    assert "\x1b[3" not in silenced.stdout


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_nothing_is_wider_than_the_terminal(call: Call, reconciled: Path, columns: int) -> None:
    for words in (
        ["status"],
        ["proof"],
        ["findings"],
        ["batches"],
        ["runs"],
        ["run"],
        ["check"],
        ["findings", "show", 1],
    ):
        result = call("-C", reconciled, *words, columns=columns)
        to_copy = ("next: tieout", "      tieout")  # a command is one line, however long its directory
        lines = [line for line in result.stdout.splitlines() if not line.startswith(to_copy)]
        assert max(map(len, lines)) <= columns, words

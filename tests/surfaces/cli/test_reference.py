"""docs/cli.md names every command, argument and option, and nothing that does not exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tieout.surfaces.cli.main import ENTRIES, app

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = (DOCS / "cli.md").read_text(encoding="utf-8")


def commands() -> Iterator[tuple[str, Any]]:
    """Every command and sub-command by its full name."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group)
    for name in ENTRIES:
        command = group.get_command(context, name)
        yield name, command
        for below, inner in getattr(command, "commands", {}).items():
            yield f"{name} {below}", inner


def section(name: str) -> str:
    """The reference's section of a command, up to the next heading."""
    found = re.search(rf"^###? `tieout {name}`\n(.*?)(?=^##|\Z)", REFERENCE, re.DOTALL | re.MULTILINE)
    assert found, f"docs/cli.md has no section for `tieout {name}`"
    return found[1]


ALL = dict(commands())


def options_of(command: Any) -> set[str]:
    """The long and short names of a command's options, without help."""
    names = {name for parameter in command.params if parameter.param_type_name == "option" for name in parameter.opts}
    return names - {"--help", "-h"}


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_option_and_argument_is_described(name: str) -> None:
    words = section(name)
    rows = [line for line in words.splitlines() if line.startswith("| `")]
    described = {option for row in rows for option in re.findall(r"`(--?[a-z-]+)`", row.split(" | ")[0])}
    assert described == options_of(ALL[name])
    for parameter in ALL[name].params:
        if parameter.param_type_name == "argument":
            shown = (parameter.metavar or parameter.name).strip("[]").upper().replace("|", "\\|")
            assert any(row.startswith(f"| `{shown}`") for row in rows), f"{name}: argument {shown}"


@pytest.mark.parametrize("name", sorted(name for name in ALL if name != "simulate"))
def test_every_command_has_an_example_that_parses(name: str) -> None:
    examples = re.findall(rf"^    (tieout (?:.* )?{name}\b.*)$", section(name), re.MULTILINE)
    assert examples, f"{name} has no example"
    known = options_of(ALL[name]) | {"-C", "--config", "-r"}
    for example in examples:
        words = re.sub(r'"[^"]*"|#.*|\|.*', "", example).split()
        assert {word for word in words if word.startswith("-")} <= known, example


def test_no_section_describes_a_command_that_is_not_there() -> None:
    described = re.findall(r"^###? `tieout ([a-z ]+)`$", REFERENCE, re.MULTILINE)
    assert sorted(described) == sorted(ALL)


def test_global_options_are_described() -> None:
    group = typer.main.get_command(app)
    words = REFERENCE.partition("## Global options")[2].partition("\n## ")[0]
    for parameter in group.params:
        for name in parameter.opts:
            assert f"`{name}`" in words, name


def test_the_json_example_of_parse_is_json() -> None:
    text = (DOCS / "parse-json.md").read_text(encoding="utf-8")
    example = json.loads(text.partition("```json\n")[2].partition("```")[0])
    assert set(example["files"][1]) == {"file", "error"}
    described = set(re.findall(r"`([a-z_]+)`", text))
    (record,) = example["files"][0]["records"]
    (one,) = example["files"][0]["statements"]
    assert {*record, *one, *example["files"][0]} <= described

"""The schema, what is published of it, its reference page and the checker: four views that must agree."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tieout.core.config.parsing import json_schema, parse_configuration
from tieout.core.config.schema import schema
from tieout.core.config.shape import check_shape
from tieout.core.config.tree import read_yaml
from tieout.model.configuration import Configuration, Contract, ReconciliationConfig, SeverityThresholds, SideConfig
from tieout.model.reading import SourceOptions

DOCS = Path(__file__).parents[2] / "docs"
PUBLISHED = DOCS / "tieout.schema.json"
REFERENCE = DOCS / "configuration.md"
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

Row = tuple[str, dict[str, Any]]


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the schema with its reference followed; words at the place of use win."""
    if "$ref" not in part:
        return part
    target = SCHEMA["$defs"][part["$ref"].removeprefix("#/$defs/")]
    return {**resolved(target), **{key: value for key, value in part.items() if key != "$ref"}}


def keys(part: dict[str, Any], prefix: str = "") -> list[Row]:
    """Every key of the schema with its dotted path; what a user names himself stands as <name>."""
    part = resolved(part)
    if "anyOf" in part:
        branches = [resolved(branch) for branch in part["anyOf"]]
        return [row for branch in branches if branch.get("type") == "object" for row in keys(branch, prefix)]
    rows: list[Row] = []
    for key, below in part.get("properties", {}).items():
        rows.append((f"{prefix}{key}", below))
        rows += keys(below, f"{prefix}{key}.") if key not in COLUMN_TABLES else []
    items, additional = part.get("items"), part.get("additionalProperties")
    if isinstance(items, dict):
        rows += keys(items, f"{prefix.removesuffix('.')}[].")
    if isinstance(additional, dict) and "setting" not in str(additional):
        rows += keys(additional, f"{prefix}<name>.")
    return rows


COLUMN_TABLES = ("mapping", "where", "where_not")
"""Keys whose own keys are record columns: documented once, as tables of their own."""


def type_words(part: dict[str, Any]) -> str:
    """A schema part's type as the reference page says it."""
    part = resolved(part)
    if "anyOf" in part:
        branches = [type_words(branch) for branch in part["anyOf"]]
        if len(branches) == 2 and branches[1] == f"list of {branches[0]}":
            return f"{branches[0]}, or a list"
        return " or ".join(branches)
    if "pattern" in part and part["pattern"] == SCHEMA["$defs"]["name"]["pattern"]:
        return "name"
    if 1 < len(part.get("enum", ())) <= 5:
        return " or ".join(f"`{value}`" for value in part["enum"])
    if part["type"] == "integer":
        return f"whole number, {part['minimum']} to {part['maximum']}"
    if part["type"] == "array":
        return f"list of {type_words(part['items'])}"
    words = {"string": "text", "boolean": "`true` or `false`"}
    return words.get(part["type"], "map") if isinstance(part["type"], str) else "map"


def yaml_words(value: object) -> str:
    """An example as one would write it in YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_words(below)}" for key, below in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(yaml_words(item) for item in value) + "]"
    text = json.dumps(value, ensure_ascii=False)
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z.][A-Za-z0-9 ./_-]*|env:[A-Z_]+|[0-9]+[A-Z]+", value)
    return str(value) if plain else text


def row_text(path: str, part: dict[str, Any]) -> str:
    """The row that the reference page must have for a key."""
    whole = resolved(part)
    default = f"`{yaml_words(whole['default'])}`" if "default" in whole else ""
    examples = " or ".join(f"`{yaml_words(example)}`" for example in whole.get("examples", [])[:2])
    return f"| `{path}` | {type_words(part)} | {default} | {whole['description']} | {examples} |"


def column_rows() -> list[str]:
    """Rows of the table of record columns, and of each kind of mapping entry."""
    columns = resolved(resolved(SCHEMA["$defs"]["source"])["properties"]["mapping"])["properties"]
    rows = [f"| `{name}` | {entry_words(part)} | {part['description']} |" for name, part in columns.items()]
    for entry in ("text_entry", "moment_entry", "money_entry", "amount_entry"):
        rows += [row_text(key, part) for key, part in SCHEMA["$defs"][entry]["properties"].items()]
    return list(dict.fromkeys(rows))


def entry_words(part: dict[str, Any]) -> str:
    """Which keys an entry of a column may have beside those of every entry."""
    if "anyOf" not in part:
        return "a list of columns"
    definition = part["anyOf"][1]["$ref"].removeprefix("#/$defs/")
    more = SCHEMA["$defs"][definition]["properties"].keys() - SCHEMA["$defs"]["text_entry"]["properties"].keys()
    order = [key for key in SCHEMA["$defs"][definition]["properties"] if key in more]
    return ", ".join(f"`{key}`" for key in order)


def test_published_schema_is_current() -> None:
    assert json.loads(PUBLISHED.read_text("utf-8")) == SCHEMA, "write json_schema() to docs/tieout.schema.json"


def test_schema_is_a_schema_and_a_fresh_copy() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    json_schema()["$defs"].clear()
    assert json_schema()["$defs"]


@pytest.mark.parametrize("path_and_part", keys(SCHEMA), ids=lambda row: row[0])
def test_every_key_is_documented(path_and_part: Row) -> None:
    path, part = path_and_part
    assert resolved(part).get("description"), "a key needs a description"
    assert row_text(path, part) in REFERENCE.read_text("utf-8").splitlines()


@pytest.mark.parametrize("row", column_rows())
def test_every_column_and_entry_key_is_documented(row: str) -> None:
    assert row in REFERENCE.read_text("utf-8").splitlines()


def test_reference_names_no_key_that_is_gone() -> None:
    known = {row_text(path, part) for path, part in keys(SCHEMA)} | set(column_rows())
    rows = {line for line in REFERENCE.read_text("utf-8").splitlines() if line.startswith("| `")}
    assert rows <= known


def blocks() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", REFERENCE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", blocks())
def test_documented_examples_are_accepted(text: str) -> None:
    configuration = parse_configuration(text, "tieout.yaml", {"sources/banks.yaml": "sources: {}"}.__getitem__)
    assert configuration.workspace
    node, _ = read_yaml(text, "tieout.yaml")
    assert node is not None
    data, _ = check_shape(node, SCHEMA)
    VALIDATOR.validate(json.loads(json.dumps(data)))


@pytest.mark.parametrize("path_and_part", [row for row in keys(SCHEMA) if "examples" in resolved(row[1])])
def test_examples_of_keys_are_valid(path_and_part: Row) -> None:
    part = resolved(path_and_part[1])
    for example in part["examples"]:
        jsonschema.Draft202012Validator({**part, "$defs": SCHEMA["$defs"]}).validate(example)


@pytest.mark.parametrize(
    ("definition", "model"),
    [
        (SCHEMA, Configuration),
        (SCHEMA["$defs"]["contract"], Contract),
        (SCHEMA["$defs"]["source"], SourceOptions),
        (SCHEMA["$defs"]["side"], SideConfig),
        (SCHEMA["$defs"]["reconciliation"], ReconciliationConfig),
        (SCHEMA["$defs"]["reconciliation"]["properties"]["severity"], SeverityThresholds),
    ],
)
def test_defaults_are_those_of_the_model(definition: dict[str, Any], model: type) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(model)}
    for key, part in definition["properties"].items():
        if key in defaults and "default" in part:
            assert part["default"] == defaults[key], key


def test_an_unknown_keyword_of_the_schema_is_refused() -> None:
    node, _ = read_yaml("a: 1", "x")
    assert node is not None
    with pytest.raises(ValueError, match="maxProperties"):
        check_shape(node, {"type": "object", "maxProperties": 1})


VALUES = st.sampled_from(
    [None, True, 0, 1, -1, 40, 10**20, "", "billing", "a b", "EUR", "NO", "match", "native_id", "100", "4GB"]
) | st.sampled_from([[], ["billing"], [1], {}, {"from": "x"}, {"a": "b"}, {"status": ["x"]}, [{}], [["x"]]])


def whole() -> dict[str, Any]:
    """A configuration that uses every section."""
    text = max(blocks(), key=len)
    node, _ = read_yaml(text, "tieout.yaml")
    assert node is not None
    return json.loads(json.dumps(check_shape(node, schema())[0]))  # type: ignore[no-any-return]


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values below a value."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in below for found in [(*path, key), *places(item, (*path, key))]]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_verdict_is_that_of_a_general_validator(data: st.DataObject) -> None:
    """One value replaced, renamed or removed anywhere: both accept, or both refuse."""
    document = whole()
    path = data.draw(st.sampled_from(places(document)))
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    action = data.draw(st.sampled_from(["replace", "remove", "rename"]))
    if action == "replace":
        parent[path[-1]] = data.draw(VALUES)
    elif action == "remove":
        del parent[path[-1]]
    elif isinstance(parent, dict):
        parent[data.draw(st.sampled_from(["x", "X y", "from", "kind", "status", "name"]))] = parent.pop(path[-1])
    node, problems = read_yaml(json.dumps(document), "tieout.yaml")
    assert node is not None
    assert not problems
    ours = check_shape(node, SCHEMA)[1]
    assert (not ours) == VALIDATOR.is_valid(document), [str(problem) for problem in ours]

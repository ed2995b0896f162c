"""From the text of `tieout.yaml` to a checked Configuration, or to every problem it has, with places and fixes.

Three steps, each data in and (result, problems) out: include reads the YAML of all files into one tree
with lines, shape holds it against schema, check looks at what relates one place to
another. Here the checked data becomes the model's dataclasses and gets its digest. Nothing here does input or
output: secrets stay references, included files come from the caller.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tieout.core.config.check import check_references
from tieout.core.config.include import Loader, read_files
from tieout.core.config.schema import schema
from tieout.core.config.schema_parts import Schema
from tieout.core.config.shape import MAX_PROBLEMS, check_shape
from tieout.model.configuration import (
    Configuration,
    Contract,
    EngineConfig,
    IdentityConfig,
    PassConfig,
    ReconciliationConfig,
    SeverityThresholds,
    SideConfig,
    SourceConfig,
)
from tieout.model.errors import ConfigError, Problem
from tieout.model.reading import SourceOptions

Table = Mapping[str, Any]


def parse_configuration(text: str, filename: str = "tieout.yaml", load: Loader | None = None) -> Configuration:
    """The configuration that a YAML text declares. Raises ConfigError with every problem found
    (the first MAX_PROBLEMS of a hopeless file).

    `filename` is what problems name. `load` gives the text of an included file by its path relative to the
    directory of `filename`; names that leave that directory are refused before it is asked.
    """
    files = read_files(text, filename, load)
    if files.root is None:
        raise ConfigError(_in_order(files.problems)[:MAX_PROBLEMS])
    data, faults = check_shape(files.root, schema())
    problems = files.problems + faults
    if files.complete:
        problems += check_references(data, files.root)
    if problems:
        raise ConfigError(_in_order(problems)[:MAX_PROBLEMS])
    configuration = _configuration(data)
    return dataclasses.replace(configuration, digest=_digest(configuration))


def json_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of `tieout.yaml`, as published for editors."""
    return copy.deepcopy(schema())


def rules_digest(reconciliation: ReconciliationConfig) -> str:
    """SHA-256 (hex) of one reconciliation's content: the version of its rules in a run's manifest.

    The order of sides and passes counts, that of keys, comments and layout does not.
    """
    return _digest(reconciliation)


def _digest(value: Configuration | ReconciliationConfig) -> str:
    """SHA-256 of the canonical JSON (sorted keys, no blanks, UTF-8); the data holds no floats."""
    content = dataclasses.asdict(value)
    content.pop("digest", None)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Problems as a reader meets them: file by file, the main one first, then by line."""
    files = list(dict.fromkeys(problem.place.file for problem in problems))
    return sorted(problems, key=lambda problem: (files.index(problem.place.file), problem.place.line or 0))


def _configuration(data: Table) -> Configuration:
    engine, identity = data.get("engine", {}), data.get("identity", {})
    sources, reconciliations = data.get("sources") or {}, data.get("reconciliations") or {}
    return Configuration(
        workspace=data["workspace"],
        sources={name: _source(name, source) for name, source in sources.items()},
        reconciliations={name: _reconciliation(name, item, sources) for name, item in reconciliations.items()},
        identity=IdentityConfig(**identity),
        authority={attribute: _texts(names) for attribute, names in (data.get("authority") or {}).items()},
        engine=EngineConfig(**engine),
        **_present(data, "data_directory", "database_url"),
    )


def _source(name: str, data: Table) -> SourceConfig:
    options = _present(data, "kind", "mapping", "currency", "zone", "settings")
    return SourceConfig(
        name=name,
        options=SourceOptions(**{key: _plain(value) for key, value in options.items()}),
        format=data.get("format"),
        files=_texts(data.get("files", ())),
        declares_customers=data.get("customers", False),
        contract=Contract(**data.get("contract", {})),
    )


def _reconciliation(name: str, data: Table, sources: Table) -> ReconciliationConfig:
    sides = tuple(_side(side, item, sources) for side, item in data["sides"].items())
    if "on" in data:
        passes: tuple[PassConfig, ...] = (
            PassConfig(name="exact", type="exact", on=dict(data["on"])),
            PassConfig(name="grouped", type="grouped", on=dict(data["on"])),
        )
    else:
        passes = tuple(_pass(item) for item in data["passes"])
    return ReconciliationConfig(
        name=name,
        sides=sides,
        passes=passes,
        severity=SeverityThresholds(**data.get("severity", {})),
        **_present(data, "grace_days", "window_days", "group_over", "disputes", "threshold"),
    )


def _side(name: str, data: Table, sources: Table) -> SideConfig:
    kinds = data["kind"] if "kind" in data else sources[data["source"]]["kind"]
    return SideConfig(
        name=name,
        source=data["source"],
        kinds=_texts(kinds),
        where={column: _texts(values) for column, values in data.get("where", {}).items()},
        where_not={column: _texts(values) for column, values in data.get("where_not", {}).items()},
        **_present(data, "amount", "sign"),
    )


def _pass(data: Table) -> PassConfig:
    unique = _texts(data.get("unique", ()))
    return PassConfig(name=data["name"], type=data["type"], on=data["on"], unique=unique, fee=data.get("fee"))


def _present(data: Table, *keys: str) -> dict[str, Any]:
    """The keys that are there, so that absent ones take the model's own defaults."""
    return {key: data[key] for key in keys if key in data}


def _texts(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """Maps and lists as plain dicts and lists, as source readers expect them."""
    if isinstance(value, Mapping):
        return {key: _plain(below) for key, below in value.items()}
    return [_plain(below) for below in value] if isinstance(value, tuple) else value

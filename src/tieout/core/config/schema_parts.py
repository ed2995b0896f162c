"""The few forms of JSON Schema that the schema of `tieout.yaml` is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string", "minLength": 1}


def object_(
    description: str,
    properties: Mapping[str, Schema],
    required: Sequence[str] = (),
    examples: Sequence[object] = (),
) -> Schema:
    """A map whose keys are all known."""
    made: Schema = {"type": "object", "description": description, "additionalProperties": False}
    if required:
        made["required"] = list(required)
    if examples:
        made["examples"] = list(examples)
    return {**made, "properties": dict(properties)}


def named(description: str, value: Schema) -> Schema:
    """A map from names that the user gives; it may also be left empty."""
    return {
        "type": ["object", "null"],
        "description": description,
        "propertyNames": reference("name"),
        "additionalProperties": value,
    }


def array(description: str, items: Schema) -> Schema:
    """A list of like items."""
    return {"type": "array", "description": description, "items": items}


def text(description: str, default: str | None = None, examples: Sequence[str] = ()) -> Schema:
    """A text that is not empty."""
    made: Schema = {"type": "string", "minLength": 1, "description": description}
    if default is not None:
        made["default"] = default
    if examples:
        made["examples"] = list(examples)
    return made


def integer(description: str, minimum: int, maximum: int, default: int | None = None) -> Schema:
    """A whole number within bounds."""
    made: Schema = {"type": "integer", "minimum": minimum, "maximum": maximum, "description": description}
    return made if default is None else {**made, "default": default}


def reference(definition: str, description: str = "") -> Schema:
    """A part that stands in `$defs`, with words for this use of it."""
    made: Schema = {"$ref": f"#/$defs/{definition}"}
    return {**made, "description": description} if description else made

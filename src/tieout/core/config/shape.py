"""Checks a tree of YAML nodes against a JSON Schema and says, in a person's words, what is off and where.

Of JSON Schema only what schema uses is understood; a keyword from elsewhere raises, so that no rule is
published but unchecked. A general validator knows neither lines nor the likely fix ("quote it", "did you mean"),
which is why there is one here; a test holds its verdicts against a general one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tieout.core.config.tree import ListNode, MapNode, Node, ScalarNode
from tieout.model.errors import Place, Problem

Path = tuple[str | int, ...]


class Invalid:
    """Stands where a value was refused, so that later checks neither trust it nor take it for missing."""

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = Invalid()

_ANNOTATIONS = {"description", "default", "examples", "title", "$schema", "$defs", "x-says", "x-not-yet"}
_KEYWORDS = _ANNOTATIONS | {
    "$ref", "type", "enum", "pattern", "patternErrorMessage", "minLength", "maxLength", "minimum", "maximum",
    "properties", "additionalProperties", "propertyNames", "required", "minProperties", "items", "minItems",
    "anyOf",
}  # fmt: skip

_TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "nothing",
    "array": "a list",
    "object": "a map of keys and values",
}
_SCALAR_TYPES = {"text": "string", "integer": "integer", "boolean": "boolean", "null": "null"}
_YES_NO = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
_LISTED = 25
_COMPARED = 500

MAX_PROBLEMS: Final = 100
"""Nearest names are searched for each problem, so their number bounds the time that a hopeless file takes."""

SECRET_KEY: Final = re.compile(
    r"(passw(or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|credential)s?$|^database_url$",
    re.IGNORECASE,
)
"""Ends of keys whose values are secrets: no message repeats such a value."""


def check_shape(node: Node, schema: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
    """The tree as plain data, with INVALID where a value was refused, and every problem of its shape.

    Maps become dicts in the order written (unknown keys left out), lists become tuples.
    """
    shape = _Shape(schema.get("$defs", {}))
    return shape.value(node, schema, ()), shape.problems


def path_text(path: Path) -> str:
    """A dotted path: ("a", "b", 0, "c") gives "a.b[0].c"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part[:80]}"
    return text.removeprefix(".")


def place_of(root: Node, path: Path, of_key: bool = False) -> Place:
    """Where a path stands: the value's line, the key's line on demand; else the nearest place above it."""
    node, file, line = root, root.file, root.line
    for index, part in enumerate(path):
        if isinstance(node, MapNode) and isinstance(part, str) and part in node.entries:
            entry = node.entries[part]
            node, file, line = entry.node, entry.file, entry.line
            if isinstance(node, ScalarNode) and not (of_key and index == len(path) - 1):
                file, line = node.file, node.line
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            file, line = node.file, node.line
        else:
            break
    return Place(file, line, path_text(path))


def is_secret_key(key: str) -> bool:
    """Whether a key's value is a secret, by its name ("client_secret", "apiKey")."""
    return SECRET_KEY.search(key) is not None


def nearest(word: str, options: Iterable[str]) -> str:
    """A hint that names the option most like a word, or else all of them; empty when there are none."""
    listed = list(options)
    lowered = {option.lower(): option for option in listed[:_COMPARED]}
    close = difflib.get_close_matches(word.lower()[:100], lowered, n=1, cutoff=0.6)
    if close:
        return f"did you mean {lowered[close[0]]}?"
    if not listed:
        return ""
    more = " …" if len(listed) > _LISTED else ""
    return f"one of: {', '.join(listed[:_LISTED])}{more}"


def quoted(text: str) -> str:
    """A short, printable quotation of a person's text."""
    return repr(text if len(text) <= 60 else text[:59] + "…")


class _Shape:
    def __init__(self, definitions: Mapping[str, Any]):
        self.definitions = definitions
        self.problems: list[Problem] = []

    def value(self, node: Node, schema: Mapping[str, Any], path: Path) -> Any:
        """Plain data of one node. Schemas are walked in step with the tree, whose depth is bounded."""
        if len(self.problems) >= MAX_PROBLEMS:
            return INVALID
        schema = self._resolved(schema)
        if "anyOf" in schema:
            chosen = self._chosen(node, [self._resolved(branch) for branch in schema["anyOf"]])
            if chosen is None:
                return self._wrong_type(node, [branch["type"] for branch in map(self._resolved, schema["anyOf"])], path)
            return self.value(node, chosen, path)
        types = _types(schema)
        if _type_of(node) not in types:
            return self._wrong_type(node, types, path)
        if isinstance(node, MapNode):
            return self._map(node, schema, path)
        if isinstance(node, ListNode):
            return self._list(node, schema, path)
        return self._scalar(node, schema, path)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        unknown = schema.keys() - _KEYWORDS
        if unknown:
            raise ValueError(f"the schema uses keywords that are not checked: {sorted(unknown)}")
        if "$ref" not in schema:
            return schema
        target: Mapping[str, Any] = self.definitions[schema["$ref"].removeprefix("#/$defs/")]
        return self._resolved(target)

    def _chosen(self, node: Node, branches: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """The branch that this node must satisfy: no two branches of our schema accept one type."""
        return next((branch for branch in branches if _type_of(node) in _types(branch)), None)

    def _map(self, node: MapNode, schema: Mapping[str, Any], path: Path) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        additional = schema.get("additionalProperties", False)
        names = self._resolved(schema["propertyNames"]) if "propertyNames" in schema else None
        result: dict[str, Any] = {}
        for key, entry in node.entries.items():
            if key in properties:
                result[key] = self.value(entry.node, properties[key], (*path, key))
            elif additional is False:
                self._unknown_key(key, Place(entry.file, entry.line, path_text((*path, key))), schema)
            else:
                if names is not None and not _matches(names["pattern"], key):
                    place = Place(entry.file, entry.line, path_text((*path, key)))
                    self._say(f"name {quoted(key)}: {names['patternErrorMessage']}", place, _name_hint(key, names))
                result[key] = self.value(entry.node, additional, (*path, key))
        self._counts(node, schema, path)
        return result

    def _counts(self, node: MapNode, schema: Mapping[str, Any], path: Path) -> None:
        place = Place(node.file, node.line, path_text(path))
        for key in schema.get("required", ()):
            if key not in node.entries:
                hint = f"add `{key}: …`" + (f" to {path_text(path)}" if path else "")
                self._say(f"key {key!r} is missing", place, hint)
        least = schema.get("minProperties", 0)
        if len(node.entries) < least:
            has = len(node.entries)
            hint = str(schema.get("description", ""))
            self._say(f"expected at least {least} {'entry' if least == 1 else 'entries'}, got {has}", place, hint)

    def _unknown_key(self, key: str, place: Place, schema: Mapping[str, Any]) -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            return
        says = schema.get("x-says", "unknown key {}").format(quoted(key))
        self._say(says, place, nearest(key, schema["properties"]))

    def _list(self, node: ListNode, schema: Mapping[str, Any], path: Path) -> tuple[Any, ...]:
        if len(node.items) < schema.get("minItems", 0):
            self._say("the list is empty", Place(node.file, node.line, path_text(path)), "name at least one")
        items = schema["items"]
        return tuple(self.value(item, items, (*path, index)) for index, item in enumerate(node.items))

    def _scalar(self, node: ScalarNode, schema: Mapping[str, Any], path: Path) -> Any:
        value = node.value
        message, hint = "", ""
        if isinstance(value, str):
            message, hint = _text_fault(value, schema)
        elif isinstance(value, int) and not isinstance(value, bool):
            message, hint = _integer_fault(value, schema)
        if not message:
            return value
        self._say(message, Place(node.file, node.line, path_text(path)), hint)
        return INVALID

    def _wrong_type(self, node: Node, types: list[Any], path: Path) -> Invalid:
        flat = [name for entry in types for name in ([entry] if isinstance(entry, str) else entry)]
        expected = " or ".join(_TYPE_WORDS[name] for name in flat if name != "null" or flat == ["null"])
        place = Place(node.file, node.line, path_text(path))
        if path and isinstance(path[-1], str) and is_secret_key(path[-1]):
            self._say(f"expected {expected}", place, "use env:NAME or file:PATH")
        else:
            self._say(f"expected {expected}, got {_node_words(node)}", place, _type_hint(node, flat))
        return INVALID

    def _say(self, message: str, place: Place, hint: str) -> None:
        self.problems.append(Problem(message, place, hint))


def _types(schema: Mapping[str, Any]) -> list[str]:
    types = schema["type"]
    return [types] if isinstance(types, str) else list(types)


def _type_of(node: Node) -> str:
    """JSON Schema's word for a node; a number with decimals has none here, for no key takes one."""
    if isinstance(node, MapNode):
        return "object"
    if isinstance(node, ListNode):
        return "array"
    return _SCALAR_TYPES.get(node.kind, "number")


def _node_words(node: Node) -> str:
    if isinstance(node, MapNode):
        return "a map"
    if isinstance(node, ListNode):
        return "a list"
    if node.kind == "null":
        return "nothing"
    words = {"text": "the text ", "integer": "the number ", "decimal": "the number ", "boolean": ""}
    shown = quoted(node.text) if node.kind == "text" else node.text[:40]
    return words[node.kind] + shown


def _type_hint(node: Node, types: list[str]) -> str:
    """The likely fix when a value has the wrong type."""
    if isinstance(node, ListNode):
        several = "write {from: [first, second]}" if "string" in types else ""
        return several if "object" in types else "write the one value without brackets or dashes"
    if isinstance(node, MapNode):
        return "check the indentation of the lines below" if "array" not in types else "write `- ` before each"
    if node.kind == "null":
        return "give a value, or remove the key"
    if node.kind == "text":
        return _text_hint(node.text, types)
    if "string" in types:
        return f'quote it: "{node.text[:40]}"'
    if node.kind == "decimal" and "integer" in types:
        return "leave the decimals out"
    return "indent its keys below it" if "object" in types else ""


def _text_hint(text: str, types: list[str]) -> str:
    if "boolean" in types:
        word = _YES_NO.get(text.lower())
        bare = text.lower() if text.lower() in ("true", "false") else None
        return f"write {word}: YAML 1.2 knows only true and false" if word else _unquoted(bare)
    if "integer" in types:
        digits = re.sub(r"[_,.' ]", "", text)
        if re.fullmatch(r"[-+]?[0-9]{1,20}", text):
            return _unquoted(text)
        if re.fullmatch(r"[-+]?[0-9]{1,20}", digits):
            return f"write {digits}, without separators"
        number = re.fullmatch(r"([0-9]{1,20}) ?[A-Za-z]+", text)
        return f"write {number[1]}: the key's name holds the unit" if number else "write digits only"
    if "object" in types:
        return "put a space after the colon, and each key on a line of its own" if ":" in text else ""
    return f"write [{text[:40]}]" if types == ["array"] else ""


def _unquoted(word: str | None) -> str:
    return f"write {word} without quotes" if word else "write true or false"


def _text_fault(text: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    """Message and hint when a text breaks its schema; empty when it does not."""
    if text in schema.get("x-not-yet", ()):
        return f"{quoted(text)} is not available yet", f"so far there is: {', '.join(schema['enum'])}"
    if "enum" in schema and text not in schema["enum"]:
        says = schema.get("x-says", "{} is not one of " + ", ".join(map(str, schema["enum"][:_LISTED])))
        return says.format(quoted(text)), nearest(text, map(str, schema["enum"]))
    if len(text) < schema.get("minLength", 0):
        return "the text is empty", "give a value, or remove the key"
    longest = schema.get("maxLength")
    if longest is not None and len(text) > longest:
        return f"the text is longer than {longest} characters", "shorten it"
    if "pattern" in schema and not _matches(schema["pattern"], text):
        return f"{quoted(text)}: {schema['patternErrorMessage']}", _name_hint(text, schema)
    return "", ""


def _integer_fault(number: int, schema: Mapping[str, Any]) -> tuple[str, str]:
    if "enum" in schema and number not in schema["enum"]:
        return f"{number} is not one of {', '.join(map(str, schema['enum']))}", ""
    if "minimum" in schema and number < schema["minimum"]:
        return f"{number} is less than {schema['minimum']}", f"the least is {schema['minimum']}"
    if "maximum" in schema and number > schema["maximum"]:
        return f"{number} is more than {schema['maximum']}", f"the most is {schema['maximum']}"
    return "", ""


def _matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches; `$` alone would let a final newline through."""
    return re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is not None


def _name_hint(text: str, schema: Mapping[str, Any]) -> str:
    """The nearest text that would be accepted, made by lower case and the permitted joiner."""
    for joiner in ("-", "_"):
        fixed = re.sub(r"[^a-z0-9]+", joiner, text.lower()).strip("-_")[:63]
        if fixed and fixed != text and _matches(schema["pattern"], fixed):
            return f"for example {fixed}"
    examples = schema.get("examples", ())
    return f"for example {examples[0]}" if examples else ""

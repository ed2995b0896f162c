"""YAML text to a tree that knows its lines: bounded, without object construction, by YAML 1.2's core schema.

Only the event stream of ruamel.yaml is used: it carries the marks, builds nothing, and can be stopped at any
event, so that neither a deep nor an exploding document costs more than its limit. Scalars are resolved here, so
that `NO`, `on` and `12:30` stay text whatever a `%YAML` directive says, and no float ever arises. What the keys
mean stands in schema and shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from tieout.model.errors import Place, Problem

MAX_BYTES = 1_048_576
MAX_LINE_CHARACTERS = 10_000
"""The scanner's time grows with the square of some tokens' length, and tokens do not span lines."""
MAX_DEPTH = 50
MAX_NODES = 30_000
MAX_ALIASES = 100
MAX_INTEGER_DIGITS = 40

ScalarKind = Literal["text", "integer", "decimal", "boolean", "null"]

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TEXT_TAGS = {"!", "tag:yaml.org,2002:str"}
_PLAIN_TAGS = {None, *_TEXT_TAGS, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """One scalar as written (`text`) and what YAML 1.2 takes it for. `line` counts from 1."""

    text: str
    kind: ScalarKind
    file: str
    line: int
    size: int = 1
    depth: int = 0

    @property
    def value(self) -> str | int | bool | None:
        """Plain value; a number with decimals stays its text, for no float may arise."""
        if self.kind == "integer":
            return int(self.text, 0) if self.text[:2] in ("0o", "0x") else int(self.text)
        if self.kind == "boolean":
            return self.text in _TRUE
        return None if self.kind == "null" else self.text


@dataclass(frozen=True, slots=True)
class ListNode:
    """A sequence. `size` counts the nodes of the expanded tree below it, `depth` its levels."""

    items: tuple[Node, ...]
    file: str
    line: int
    size: int
    depth: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's line and the node it leads to."""

    file: str
    line: int
    node: Node


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping with text keys, in the order written. `line` is that of the key which leads to it."""

    entries: dict[str, Entry]
    file: str
    line: int
    size: int
    depth: int


Node = ScalarNode | ListNode | MapNode


def read_yaml(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """The tree of one YAML document, and what is wrong with it as YAML.

    The tree is None when the text cannot be framed (then there is one problem). Duplicate keys are problems
    beside a tree in which the first one stands.
    """
    refused = _refused_size(text, file)
    if refused:
        return None, [refused]
    builder = _Builder(file)
    try:
        for event in _events(text):
            builder.add(event)
    except _RefusedError as refusal:
        return None, [refusal.problem]
    except MarkedYAMLError as error:
        return None, [_syntax_problem(error, file)]
    except Exception as error:  # the parser's own slips on odd input must not reach people as a traceback
        return None, [_unreadable(error, file)]
    if builder.root is None:
        return None, [Problem("the file is empty", Place(file, 1), "start with `tieout init`")]
    return builder.root, builder.problems


def _events(text: str) -> Iterator[Event]:
    """ruamel's pure-Python event stream; the round-trip flavour would only add comments nobody reads here."""
    yield from YAML(typ="safe", pure=True).parse(text)


def _refused_size(text: str, file: str) -> Problem | None:
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return Problem("the file is larger than 1 MiB", Place(file), "split it with `includes`")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > MAX_LINE_CHARACTERS:
            message = f"the line is longer than {MAX_LINE_CHARACTERS} characters"
            return Problem(message, Place(file, number), "break it into several lines")
    return None


class _RefusedError(Exception):
    """The document exceeds a bound or uses what plain data does not need; reading stops at once."""

    def __init__(self, problem: Problem):
        super().__init__(problem.message)
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been seen yet."""

    is_map: bool
    line: int
    anchor: str | None
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    key: tuple[str, int] | None = None
    size: int = 1
    depth: int = 0


class _Builder:
    """Folds events into a tree, checking every bound as it goes."""

    def __init__(self, file: str):
        self.file = file
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node] = {}
        self.open: list[_Open] = []
        self.aliases = 0
        self.documents = 0

    def add(self, event: Event) -> None:
        """Takes the next event. Raises _RefusedError."""
        line = event.start_mark.line + 1
        if isinstance(event, ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            self._start(event, line)
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self._end()
        elif isinstance(event, AliasEvent):
            self._alias(str(event.anchor), line)
        elif isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self._refuse("a second document begins here", line, "keep one document; use `includes`")

    def _scalar(self, event: ScalarEvent, line: int) -> None:
        self._check_tag(event.tag, line)
        text = str(event.value)
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise self._refuse("the text holds a character that is not allowed", line, "remove the \\ escape")
        plain = event.style is None and event.tag not in _TEXT_TAGS
        kind = _kind(text) if plain else "text"
        key = self.open[-1].key if self.open else None
        if kind == "null" and key:
            line = key[1]  # the mark of an absent value lies behind the next line's indentation
        node = ScalarNode(text, kind, self.file, line)
        self._keep_anchor(event.anchor, node)
        self._put(node, line)

    def _start(self, event: MappingStartEvent | SequenceStartEvent, line: int) -> None:
        self._check_tag(event.tag, line)
        if len(self.open) >= MAX_DEPTH:
            raise self._refuse(f"nesting is deeper than {MAX_DEPTH} levels", line)
        key = self.open[-1].key if self.open else None
        is_map = isinstance(event, MappingStartEvent)
        self.open.append(_Open(is_map, key[1] if key else line, event.anchor))

    def _end(self) -> None:
        done = self.open.pop()
        node: Node
        if done.is_map:
            node = MapNode(done.entries, self.file, done.line, done.size, done.depth + 1)
        else:
            node = ListNode(tuple(done.items), self.file, done.line, done.size, done.depth + 1)
        self._keep_anchor(done.anchor, node)
        self._put(node, done.line)

    def _alias(self, name: str, line: int) -> None:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise self._refuse(f"there are more than {MAX_ALIASES} aliases", line)
        if name not in self.anchors:
            hint = f"define &{name} above, and never inside itself"
            raise self._refuse(f"alias *{name} refers to nothing complete", line, hint)
        self._put(self.anchors[name], line)

    def _put(self, node: Node, line: int) -> None:
        """Sets a finished node where it belongs: as the root, an item, a key or a value."""
        if not self.open:
            self.root = node
            return
        top = self.open[-1]
        top.size += node.size
        top.depth = max(top.depth, node.depth)
        if top.size > MAX_NODES:
            raise self._refuse(f"the file expands to more than {MAX_NODES} values", line)
        if len(self.open) + node.depth > MAX_DEPTH:
            raise self._refuse(f"nesting is deeper than {MAX_DEPTH} levels", line)
        if not top.is_map:
            top.items.append(node)
        elif top.key is None:
            top.key = (self._key(node, line), line)
        else:
            self._set_entry(top, *top.key, node)
            top.key = None

    def _key(self, node: Node, line: int) -> str:
        if not isinstance(node, ScalarNode):
            raise self._refuse("a key must be plain text", line, 'quote text that begins with "{" or "["')
        if node.text == "<<" and node.kind == "text":
            raise self._refuse("merge keys (<<) are not YAML 1.2", line, "write the keys out")
        return node.text

    def _set_entry(self, top: _Open, key: str, line: int, node: Node) -> None:
        first = top.entries.get(key)
        if first is None:
            top.entries[key] = Entry(self.file, line, node)
            return
        message = f"key {key[:60]!r} is there twice, first on line {first.line}"
        self.problems.append(Problem(message, Place(self.file, line), "remove or rename one of them"))

    def _keep_anchor(self, anchor: str | None, node: Node) -> None:
        if anchor is not None:
            self.anchors[str(anchor)] = node

    def _check_tag(self, tag: str | None, line: int) -> None:
        if tag not in _PLAIN_TAGS:
            short = str(tag).replace("tag:yaml.org,2002:", "!!")[:60]
            raise self._refuse(f"the tag {short} is not allowed", line, "leave it out: the file is plain data")

    def _refuse(self, message: str, line: int, hint: str = "") -> _RefusedError:
        return _RefusedError(Problem(message, Place(self.file, line), hint))


def _kind(text: str) -> ScalarKind:
    """What a plain scalar is by YAML 1.2's core schema (section 10.3.2); overlong integers stay text."""
    if text in _NULL:
        return "null"
    if text in _TRUE or text in _FALSE:
        return "boolean"
    if _INTEGER.fullmatch(text):
        return "integer" if len(text) <= MAX_INTEGER_DIGITS else "decimal"
    return "decimal" if _DECIMAL.fullmatch(text) else "text"


_SYNTAX_HINTS = (
    ("mapping values are not allowed", 'check the indentation, and quote text that contains ": "'),
    ("character '\\t'", "indent with spaces, not with tabs"),
    ("unknown escape character", "use single quotes: a backslash escapes inside double ones"),
    ("cannot start any token", "quote text that begins with this character"),
    ("expected ',' or", "close the bracket or brace that was opened, and put commas between its parts"),
    ("end of stream", "close the quote that was opened"),
    ("could not find expected ':'", "write `key: value`, indented like its neighbours"),
    ("<block end>", "indent this line like its neighbours"),
    ("alphabetic or numeric", "quote text that begins with & or *"),
)


def _syntax_problem(error: MarkedYAMLError, file: str) -> Problem:
    said = " ".join(str(part) for part in (error.problem, error.context) if part)
    hint = next((hint for sign, hint in _SYNTAX_HINTS if sign in said), "check quotes and indentation")
    marks = [mark for mark in (error.problem_mark, error.context_mark) if mark is not None]
    if "end of stream" in said or "stream end" in said:
        marks.reverse()  # the end of the file says nothing: what was never closed does
    elif len(marks) > 1 and marks[0].line != marks[1].line:
        said += f", begun on line {marks[1].line + 1}"
    place = Place(file, marks[0].line + 1 if marks else None)
    return Problem(f"not valid YAML: {said[:200]}", place, hint)


def _unreadable(error: Exception, file: str) -> Problem:
    reason = str(error).split("\n")[0][:120]
    return Problem(f"not readable as YAML ({reason})", Place(file), "save the file as UTF-8 text")
